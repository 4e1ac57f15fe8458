"""What a layer expects of its inputs."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.shapes import TensorShape


class InputSpec:
    """Rank, type and sizes of an input.

    Args:
      dtype: its type.
      shape: sizes, None where any will do.
      ndim, max_ndim, min_ndim: its rank, or bounds of it.
      axes: sizes by axis.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
    ) -> None:
        self.dtype = None if dtype is None else dt.as_dtype(dtype).name
        self.shape = None if shape is None else tuple(TensorShape(shape))
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(axis): size for axis, size in (axes or {}).items()}
        self.allow_last_axis_squeeze, self.name = allow_last_axis_squeeze, name

    def __repr__(self) -> str:
        shown = {k: v for k, v in vars(self).items() if v not in (None, False, {})}
        return f"InputSpec({', '.join(f'{k}={v}' for k, v in shown.items())})"

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> InputSpec:
        return cls(**config)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        names = ("dtype", "shape", "ndim", "max_ndim", "min_ndim", "axes")
        return {name: getattr(self, name) for name in names}


def check_inputs(specs: Any, inputs: Any, layer: str) -> None:
    """Raises ValueError (TypeError for what is no tensor) naming the layer and what it expects."""
    specs = nest.flatten(specs)
    tensors = nest.flatten(inputs)
    for x in tensors:
        if not hasattr(x, "shape"):
            raise TypeError(
                f"Inputs to a layer should be tensors. Got '{x}' (of type {type(x)}) as input "
                f"for layer '{layer}'."
            )
    if len(tensors) != len(specs):
        raise ValueError(
            f'Layer "{layer}" expects {len(specs)} input(s), but it received {len(tensors)} input '
            f"tensors. Inputs received: {inputs}"
        )
    for i, (x, spec) in enumerate(zip(tensors, specs)):
        shape = TensorShape(x.shape)
        if spec is None or shape.rank is None:
            continue
        trouble = _trouble(spec, shape, dt.as_dtype(x.dtype).name)
        if trouble:
            raise ValueError(
                f'Input {i} of layer "{layer}" is incompatible with the layer: {trouble}'
            )


def _trouble(spec: InputSpec, shape: TensorShape, dtype: str) -> str | None:
    rank, full = shape.rank, tuple(shape)
    if spec.ndim is not None and not spec.allow_last_axis_squeeze and rank != spec.ndim:
        return f"expected ndim={spec.ndim}, found ndim={rank}. Full shape received: {full}"
    if spec.max_ndim is not None and rank > spec.max_ndim:  # type: ignore[operator]
        return f"expected max_ndim={spec.max_ndim}, found ndim={rank}"
    if spec.min_ndim is not None and rank < spec.min_ndim:  # type: ignore[operator]
        return f"expected min_ndim={spec.min_ndim}, found ndim={rank}. Full shape received: {full}"
    if spec.dtype is not None and dtype != spec.dtype:
        return f"expected dtype={spec.dtype}, found dtype={dtype}"
    for axis, size in spec.axes.items():
        if size is not None and full[axis] not in (size, None):
            return (
                f"expected axis {axis} of input shape to have value {size}, but received input "
                f"with shape {full}"
            )
    if spec.shape is not None:
        wanted, found = spec.shape, full
        if spec.allow_last_axis_squeeze:
            found = found[:-1] if found and found[-1] == 1 else found
            wanted = wanted[:-1] if wanted and wanted[-1] == 1 else wanted
        if any(a is not None and b is not None and a != b for a, b in zip(wanted, found)):
            return f"expected shape={spec.shape}, found shape={full}"
    return None

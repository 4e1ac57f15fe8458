"""NumPy's behaviour of all tensors: methods as of arrays, and operators that promote types."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape.experimental.numpy import (
    arrays,
    elementwise,
    indexing,
    products,
    promotion,
    reductions,
    types,
)
from shardtape.ops.cast import cast
from shardtape.tensor import EagerTensor, Tensor
from shardtape.variable import Variable

_PROMOTED = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor")
_COMPARED = ("lt", "le", "gt", "ge", "eq", "ne")
_MODES = ("off", "legacy", "safe", "all")
_enabled = False
_plain: dict[str, Callable[[Any, Any], Any]] = {}  # the operators before, by their methods' names


def experimental_enable_numpy_behavior(
    prefer_float32: bool = False, dtype_conversion_mode: str = "legacy"
) -> None:
    """From now on tensors have methods of arrays (`T`, `reshape`, `astype`, `max`, ...), lists and
    arrays index them, and their operators promote types. It cannot be undone, but the mode can be
    changed by another call.

    With "safe" and "all" tensors of Python's numbers are weak: they take the type of the tensor
    that they meet. Call it before anything else: `from shardtape import add` keeps what `add` was.

    Args:
      prefer_float32: arrays of Python's floats alone are float32 and not float64.
      dtype_conversion_mode: "legacy", operators promote as NumPy's do; "all", operators and
        functions promote any two types of numbers; "safe", as "all", but what could lose digits
        or widen a value is refused; "off", nothing is promoted.

    Raises:
      ValueError: another mode.
    """
    global _enabled
    if dtype_conversion_mode not in _MODES:
        raise ValueError(
            f"The provided promotion mode {dtype_conversion_mode} does not exist. Make sure the "
            "provided dtype conversion mode is one of the followings: 'off', 'legacy', 'safe' or "
            "'all'."
        )
    types.experimental_enable_float32(prefer_float32)
    promotion.set_mode(dtype_conversion_mode)
    if not _enabled:
        _enabled = True
        for name in (*_PROMOTED, *_COMPARED):
            _plain[f"__{name}__"] = getattr(Tensor, f"__{name}__")
        for name in _PROMOTED:
            _plain[f"__r{name}__"] = getattr(Tensor, f"__r{name}__")
        _plain["__matmul__"] = lambda self, other: products.matmul(self, other)
        _plain["__rmatmul__"] = lambda self, other: products.matmul(other, self)
        for name, method in _METHODS.items():
            setattr(Tensor, name, method)
        for tensor in (Tensor, EagerTensor):
            setattr(tensor, "__round__", _rounded)  # noqa: B010
        Tensor.__getitem__ = indexing.getitem  # type: ignore[method-assign]
    chosen = dict(_plain)
    if dtype_conversion_mode == "legacy":
        chosen = {
            form: operator if "matmul" in form else _promoting(operator)
            for form, operator in _plain.items()
        }
    elif dtype_conversion_mode != "off":
        from shardtape.experimental.numpy import promoting  # no program pays for it but these

        promoting.install(_plain)
        chosen.update(promoting.operators(_plain))
    for kind in (Tensor, Variable):
        for form, operator in chosen.items():
            setattr(kind, form, operator)


def is_enabled() -> bool:
    """Whether it was called."""
    return _enabled


def _promoting(operator: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def promoted(self: Any, other: Any) -> Any:
        if other is None or isinstance(other, str) or getattr(other, "_takes_operators", False):
            return operator(self, other)
        return operator(*types.promoted(self, other))

    return promoted


def _reshaped(self: Any, *newshape: Any, order: str = "C") -> Any:
    shape = newshape[0] if len(newshape) == 1 else newshape
    return arrays.reshape(self, shape, order)


def _transposed(self: Any, *axes: Any) -> Any:
    if not axes or axes == (None,):
        return arrays.transpose(self)
    return arrays.transpose(self, axes[0] if isinstance(axes[0], (list, tuple)) else axes)


def _rounded(self: Any, ndigits: int | None = None) -> Any:
    return elementwise.around(self, ndigits or 0)


def _clipped(self: Any, a_min: Any = None, a_max: Any = None) -> Any:
    return elementwise.clip(self, a_min, a_max)


def _reducing(function: Callable[..., Any]) -> Callable[..., Any]:
    """A reduction as a method; `out` is what NumPy's own functions pass."""

    def method(self: Any, axis: Any = None, out: Any = None, keepdims: Any = None) -> Any:
        if out is not None:
            raise ValueError("Setting out is not supported: tensors never change")
        return function(self, axis, keepdims=bool(keepdims))

    return method


def _mean(
    self: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: Any = None
) -> Any:
    if out is not None:
        raise ValueError("Setting out is not supported: tensors never change")
    return reductions.mean(self, axis, dtype, None, bool(keepdims))


# the methods that TensorFlow's tensors get; NumPy's other functions then give arrays
_METHODS: dict[str, Any] = {
    "T": property(arrays.transpose, doc="The axes in reversed order."),
    "data": property(lambda self: self, doc="The tensor itself."),
    "size": property(arrays.size, doc="The number of elements."),
    "astype": lambda self, dtype, name=None: cast(self, dtype),
    "clip": _clipped,
    "flatten": arrays.ravel,
    "max": _reducing(reductions.max),
    "mean": _mean,
    "min": _reducing(reductions.min),
    "ravel": arrays.ravel,
    "reshape": _reshaped,
    "tolist": lambda self: self.numpy().tolist(),
    "transpose": _transposed,
}

"""Constraints: functions from an updated weight to the weight to keep."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.floatx import epsilon
from shardtape.keras.saving.registry import custom_object_scope, known
from shardtape.ops import math
from shardtape.ops.array import gather, reshape
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_sum

__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "RadialConstraint", "UnitNorm",
    "deserialize", "get", "max_norm", "min_max_norm", "non_neg", "radial_constraint",
    "serialize", "unit_norm",
]  # fmt: skip


def _norm(w: Any, axis: Any) -> Any:
    return math.sqrt(reduce_sum(math.square(w), axis, keepdims=True))


def _clip(x: Any, low: float, high: float) -> Any:
    dtype = x.dtype
    return math.minimum(
        math.maximum(x, convert_to_tensor(low, dtype)), convert_to_tensor(high, dtype)
    )


class Constraint:
    """Base: `constraint(weight) -> weight`."""

    def __call__(self, w: Any) -> Any:
        return w

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


class MaxNorm(Constraint):
    """Norms along `axis` of at most `max_value`."""

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        w = convert_to_tensor(w)
        norms = _norm(w, self.axis)
        return w * (_clip(norms, 0.0, self.max_value) / (norms + epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """No negative weights."""

    def __call__(self, w: Any) -> Any:
        w = convert_to_tensor(w)
        return w * math.cast(w >= 0.0, w.dtype)


class UnitNorm(Constraint):
    """Norms along `axis` of 1."""

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = convert_to_tensor(w)
        return w / (_norm(w, self.axis) + epsilon())

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Norms along `axis` moved towards [min_value, max_value] by the share `rate`."""

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
    ) -> None:
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        w = convert_to_tensor(w)
        norms = _norm(w, self.axis)
        inside = _clip(norms, self.min_value, self.max_value)
        wanted = self.rate * inside + (1 - self.rate) * norms
        return w * (wanted / (norms + epsilon()))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


class RadialConstraint(Constraint):
    """Kernels of square windows with one weight for each ring around the middle.

    Keras reads them on the diagonal: that of the middle before it, those of the rings behind it.
    """

    def __call__(self, w: Any) -> Any:
        w = convert_to_tensor(w)
        shape = w.shape
        if shape.rank != 4:
            raise ValueError(
                f"The weight tensor must have rank 4. Received weight tensor with shape: {shape}"
            )
        height, width = shape[0], shape[1]
        if height != width:
            raise ValueError(f"RadialConstraint takes square windows, got {height} x {width}")
        at = _radial_places(height)
        flat = reshape(w, [height * width, shape[2] * shape[3]])
        return reshape(gather(flat, at.ravel()), list(shape))


def _radial_places(size: int) -> np.ndarray:
    """(size, size): which place of a flattened window gives the weight of each place."""
    half, odd = size // 2, size % 2
    rows, columns = np.indices((size, size))
    edge = np.minimum(np.minimum(rows, columns), size - 1 - np.maximum(rows, columns))
    ring = (size - 1) // 2 - edge
    place = np.where(ring == 0, half - 1, half + ring - odd)
    return place * size + place


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm
radial_constraint = RadialConstraint
_BY_NAME: dict[str, Any] = {
    "MaxNorm": MaxNorm, "max_norm": MaxNorm, "NonNeg": NonNeg, "non_neg": NonNeg,
    "UnitNorm": UnitNorm, "unit_norm": UnitNorm, "MinMaxNorm": MinMaxNorm,
    "min_max_norm": MinMaxNorm, "RadialConstraint": RadialConstraint,
    "radial_constraint": RadialConstraint,
}  # fmt: skip


def get(identifier: Any) -> Any:
    """A constraint from a name, a config or a callable; None stays None.

    Raises ValueError for something else.
    """
    from shardtape.keras.saving.serialization import function_name

    identifier = function_name(identifier)
    if isinstance(identifier, type):
        return identifier()
    if identifier is None or callable(identifier):
        return identifier
    config: dict[str, Any] = {}
    name = identifier
    if isinstance(identifier, dict):
        from shardtape.keras.saving.serialization import without_modules

        identifier = without_modules(identifier)
        name, config = identifier.get("class_name"), identifier.get("config", {})
    found = known(name) if isinstance(name, str) else None
    if found is not None:
        return found.from_config(config) if hasattr(found, "from_config") else found
    if isinstance(name, str) and name in _BY_NAME:
        return _BY_NAME[name](**config)
    raise ValueError(f"Could not interpret constraint function identifier: {identifier}")


def serialize(constraint: Any, use_legacy_format: bool = False) -> Any:
    """A constraint as Keras writes it, with its module; None for None.

    Args:
      use_legacy_format: without modules, as `{"class_name", "config"}`; of a function its name.
    """
    if constraint is None:
        return None
    if not hasattr(constraint, "get_config"):  # a function of the user's
        if not callable(constraint):
            return constraint
        from shardtape.keras.saving.serialization import function_form, plain_form

        return plain_form(constraint) if use_legacy_format else function_form(constraint)
    from shardtape.keras.saving.serialization import keras_form, plain_form

    if use_legacy_format:
        return plain_form(constraint)
    return keras_form(constraint)


def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """As `get`, where names may be those of `custom_objects`; both formats are read."""
    with custom_object_scope(custom_objects):
        return get(config)

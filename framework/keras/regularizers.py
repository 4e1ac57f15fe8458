"""Penalties on weights that are added to a loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.saving.registry import custom_object_scope, known
from shardtape.ops import math
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.grids import eye
from shardtape.ops.linalg import matmul
from shardtape.ops.normalization import l2_normalize
from shardtape.ops.reduce import reduce_sum

__all__ = [
    "L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "deserialize", "get", "l1",
    "l1_l2", "l2", "orthogonal_regularizer", "serialize",
]  # fmt: skip


class Regularizer:
    """Base: `regularizer(weights) -> scalar`."""

    def __call__(self, x: Any) -> Any:
        raise NotImplementedError(f"{self} does not define __call__(weights)")

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        raise NotImplementedError(f"{self} does not implement get_config()")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        return cls(**config)


def _single(factor: float) -> float:
    """A factor as Keras keeps it, in single precision."""
    return float(np.float32(factor))


def _checked(factor: Any) -> float:
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or factor != factor:
        raise ValueError(
            f"Invalid value for regularization factor: {factor}. It must be a finite number."
        )
    return float(factor)


class L1L2(Regularizer):
    """l1 * sum(abs(x)) + l2 * sum(x * x)."""

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _checked(0.0 if l1 is None else l1)
        self.l2 = _checked(0.0 if l2 is None else l2)

    def __call__(self, x: Any) -> Any:
        x = convert_to_tensor(x)
        penalty = convert_to_tensor(0.0, x.dtype)
        if self.l1:
            penalty = penalty + self.l1 * reduce_sum(math.abs(x))
        if self.l2:
            penalty = penalty + self.l2 * reduce_sum(math.square(x))
        return penalty

    def get_config(self) -> dict[str, Any]:
        return {"l1": _single(self.l1), "l2": _single(self.l2)}


class L1(Regularizer):
    """l1 * sum(abs(x))."""

    def __init__(self, l1: float | None = 0.01, **kwargs: Any) -> None:
        l1 = kwargs.pop("l", l1)
        if kwargs:
            raise TypeError(f"Argument(s) not recognized: {kwargs}")
        self.l1 = _checked(0.01 if l1 is None else l1)

    def __call__(self, x: Any) -> Any:
        return self.l1 * reduce_sum(math.abs(convert_to_tensor(x)))

    def get_config(self) -> dict[str, Any]:
        return {"l1": _single(self.l1)}


class L2(Regularizer):
    """l2 * sum(x * x)."""

    def __init__(self, l2: float | None = 0.01, **kwargs: Any) -> None:
        l2 = kwargs.pop("l", l2)
        if kwargs:
            raise TypeError(f"Argument(s) not recognized: {kwargs}")
        self.l2 = _checked(0.01 if l2 is None else l2)

    def __call__(self, x: Any) -> Any:
        return self.l2 * reduce_sum(math.square(convert_to_tensor(x)))

    def get_config(self) -> dict[str, Any]:
        return {"l2": _single(self.l2)}


class OrthogonalRegularizer(Regularizer):
    """factor times the mean of abs(cosine) over pairs of rows (or columns) of a matrix."""

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise ValueError(
                "Invalid value for argument `mode`. Expected one of "
                f'{{"rows", "columns"}}. Received: mode={mode}'
            )
        self.factor, self.mode = _checked(factor), mode

    def __call__(self, x: Any) -> Any:
        x = convert_to_tensor(x)
        if x.shape.rank != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. Received: inputs.shape == "
                f"{x.shape}"
            )
        by_rows = self.mode == "rows"
        x = l2_normalize(x, 1 if by_rows else 0)
        cosines = matmul(x, x, transpose_b=True) if by_rows else matmul(x, x, transpose_a=True)
        size = x.shape[0 if by_rows else 1]
        others = math.abs(cosines * (1.0 - eye(size, dtype=x.dtype)))
        pairs = size * (size - 1.0) / 2.0
        return self.factor * 0.5 * reduce_sum(others) / pairs

    def get_config(self) -> dict[str, Any]:
        return {"factor": _single(self.factor), "mode": self.mode}


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """An `L1L2` regularizer."""
    return L1L2(l1=l1, l2=l2)


l1, l2, orthogonal_regularizer = L1, L2, OrthogonalRegularizer
_BY_NAME: dict[str, Any] = {
    "l1": L1, "L1": L1, "l2": L2, "L2": L2, "l1_l2": l1_l2, "L1L2": L1L2,
    "orthogonal_regularizer": OrthogonalRegularizer,
    "OrthogonalRegularizer": OrthogonalRegularizer,
}  # fmt: skip


def get(identifier: Any) -> Any:
    """A regularizer from a name, a config or a callable; None stays None.

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
    raise ValueError(f"Could not interpret regularizer identifier: {identifier}")


def serialize(regularizer: Any, use_legacy_format: bool = False) -> Any:
    """A regularizer as Keras writes it, with its module; None for None.

    Args:
      use_legacy_format: without modules, as `{"class_name", "config"}`; of a function its name.
    """
    if regularizer is None:
        return None
    if not hasattr(regularizer, "get_config"):  # a function of the user's
        if not callable(regularizer):
            return regularizer
        from shardtape.keras.saving.serialization import function_form, plain_form

        return plain_form(regularizer) if use_legacy_format else function_form(regularizer)
    from shardtape.keras.saving.serialization import keras_form, plain_form

    if use_legacy_format:
        return plain_form(regularizer)
    return keras_form(regularizer)


def deserialize(
    config: Any, custom_objects: dict[str, Any] | None = None, use_legacy_format: bool = False
) -> Any:
    """As `get`, where names may be those of `custom_objects`; both formats are read."""
    with custom_object_scope(custom_objects):
        return get(config)

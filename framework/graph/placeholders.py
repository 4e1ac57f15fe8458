"""Placeholders, and the check of what is fed to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.context import state
from shardtape.ops import source
from shardtape.ops.convert import convert_to_tensor


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Any:
    """A tensor that every run feeds by name.

    Args:
      dtype: its type.
      shape: sizes, None where a run decides; None for any shape.
      name: the name under which it is fed.

    Raises:
      RuntimeError: no graph is being built.
    """
    if state.graph is None:
        raise RuntimeError("tf.placeholder() is not compatible with eager execution.")
    return state.graph.add_op(
        source.placeholder,
        (),
        {"dtype": dt.as_dtype(dtype), "shape": shapes.as_shape(shape)},
        name,
    )


def placeholder_with_default(input: Any, shape: Any, name: str | None = None) -> Any:
    """A tensor that a run may feed, else `input`."""
    return source.placeholder_with_default(
        convert_to_tensor(input), shape=shapes.as_shape(shape), name=name
    )


@dataclass(frozen=True, slots=True)
class PlaceholderSpec:
    """Name, type and shape of something that is fed."""

    name: str
    dtype: dt.DType
    shape: shapes.TensorShape


def check_value(spec: PlaceholderSpec, value: Any) -> np.ndarray:
    """The value as an array of the placeholder's type.

    Raises:
      InvalidArgumentError: wrong type or shape; the text names the placeholder.
    """
    array = value if isinstance(value, np.ndarray) else np.asarray(value)
    wanted = spec.dtype.numpy_dtype
    if array.dtype != wanted:
        if not _fits(array, wanted):
            raise errors.InvalidArgumentError(
                f"Cannot feed a value of type {array.dtype} for placeholder '{spec.name}', which "
                f"has type {spec.dtype.name}: convert it with .astype('{spec.dtype.name}')"
            )
        array = array.astype(wanted)
    if not spec.shape.is_compatible_with(array.shape):
        raise errors.InvalidArgumentError(
            f"Cannot feed value of shape {array.shape} for placeholder '{spec.name}', which has "
            f"shape {spec.shape}"
        )
    return array


def _fits(array: np.ndarray, wanted: np.dtype) -> bool:
    """float64 to float32, and ints to other ints that hold all values, are converted."""
    have = array.dtype
    if have.kind == "f" and wanted.kind == "f":
        return True
    if have.kind in "iub" and wanted.kind == "f":
        return True
    if have.kind in "iu" and wanted.kind in "iu":
        limits = np.iinfo(wanted)
        return not array.size or (limits.min <= array.min() and array.max() <= limits.max)
    return have.kind in "SUO" and wanted.kind == "O"


def check_feed(
    specs: Mapping[str, PlaceholderSpec], feed: Mapping[str, Any]
) -> dict[str, np.ndarray]:
    """All of a feed by name, checked.

    Raises:
      InvalidArgumentError: a name without a placeholder, a placeholder without a value, a wrong
        type or shape; the text names it.
    """
    unknown = sorted(set(feed) - set(specs))
    missing = sorted(set(specs) - set(feed))
    if unknown:
        raise errors.InvalidArgumentError(
            f"The feed has the name {unknown[0]!r}, but the model has no such placeholder; it "
            f"has {', '.join(map(repr, specs)) or 'none'}"
        )
    if missing:
        spec = specs[missing[0]]
        raise errors.InvalidArgumentError(
            f"You must feed a value for placeholder '{spec.name}' with dtype {spec.dtype.name} "
            f"and shape {spec.shape}; the feed has {', '.join(map(repr, feed)) or 'nothing'}"
        )
    return {name: check_value(spec, feed[name]) for name, spec in specs.items()}

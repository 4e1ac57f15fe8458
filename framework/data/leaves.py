"""Putting leaves of elements into batches and taking batches apart, for each kind of leaf."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from shardtape.data.structure import string_scalar
from shardtape.errors import InvalidArgumentError
from shardtape.graph.func_graph import TensorSpec
from shardtape.type_spec import TypeSpec


def stack(spec: TypeSpec, leaves: Sequence[Any], component: int = 0) -> Any:
    """One leaf that holds all of these along a new first axis.

    Args:
      spec: of one of them.

    Raises:
      InvalidArgumentError: their shapes differ; the text names the component.
    """
    if not isinstance(spec, TensorSpec):
        return spec._stack(leaves)  # type: ignore[attr-defined]
    first = leaves[0]
    if spec.dtype.kind == "s":
        return _stack_strings(leaves, component)
    if not first.ndim:
        if any(x.ndim for x in leaves):
            _raise_shapes(leaves, component)
        return np.array(leaves, first.dtype)
    shape = first.shape
    for x in leaves:
        if x.shape != shape:
            _raise_shapes(leaves, component)
    return np.concatenate(leaves).reshape(len(leaves), *shape)


def _stack_strings(leaves: Sequence[Any], component: int) -> np.ndarray:
    shape = leaves[0].shape
    out = np.empty((len(leaves), *shape), object)
    for i, x in enumerate(leaves):
        if x.shape != shape:
            _raise_shapes(leaves, component)
        out[i] = x[()] if not shape else x
    return out


def _raise_shapes(leaves: Sequence[Any], component: int) -> None:
    first = list(leaves[0].shape)
    for i, x in enumerate(leaves):
        if list(x.shape) != first:
            raise InvalidArgumentError(
                f"Cannot batch tensors with different shapes in component {component}. First "
                f"element had shape {first} and element {i} had shape {list(x.shape)}."
            )


def unstack(spec: TypeSpec, leaf: Any) -> Iterable[Any]:
    """The rows of a leaf.

    Args:
      spec: of the whole leaf.
    """
    if not isinstance(spec, TensorSpec):
        return spec._slices(leaf)  # type: ignore[attr-defined]
    if leaf.ndim == 0:
        raise InvalidArgumentError("unbatch: a component is a scalar, it has no rows")
    if leaf.dtype == object and leaf.ndim == 1:
        return [string_scalar(x) for x in leaf]
    return leaf


def rows_of(spec: TypeSpec, leaf: Any) -> int:
    """The number of rows of a leaf."""
    if not isinstance(spec, TensorSpec):
        return spec._row_count(leaf)  # type: ignore[attr-defined]
    if leaf.ndim == 0:
        raise InvalidArgumentError("unbatch: a component is a scalar, it has no rows")
    return len(leaf)


def cut(spec: TypeSpec, leaf: Any, start: int, stop: int) -> Any:
    """Rows start..stop of a leaf, as a leaf of the same kind."""
    if not isinstance(spec, TensorSpec):
        return spec._cut(leaf, start, stop)  # type: ignore[attr-defined]
    return leaf[start:stop]


def join(spec: TypeSpec, leaves: Sequence[Any]) -> Any:
    """Leaves of several rows each, one behind the other."""
    if len(leaves) == 1:
        return leaves[0]
    if not isinstance(spec, TensorSpec):
        return spec._join(leaves)  # type: ignore[attr-defined]
    return np.concatenate(leaves)

"""`tf.sets`: sets of integers or strings, one in each row of the last axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.convert import convert_to_tensor
from shardtape.sparse_tensor import SparseTensor
from shardtape.tensor import EagerTensor

__all__ = ["difference", "intersection", "size", "union"]

_INTS = frozenset((dt.int8, dt.int16, dt.int32, dt.int64, dt.uint8, dt.uint16))


def _rows(a: Any, which: str) -> tuple[dict[tuple[int, ...], list[Any]], tuple[int, ...], Any]:
    """The members of each row, the leading sizes, and the dtype."""
    if isinstance(a, SparseTensor):
        indices, values = np.asarray(a.indices), np.asarray(a.values)
        sizes = tuple(int(n) for n in np.asarray(a.dense_shape))
        rows: dict[tuple[int, ...], list[Any]] = {}
        for place, value in zip(indices.tolist(), values.tolist()):
            rows.setdefault(tuple(place[:-1]), []).append(value)
        kind = a.values.dtype
    else:
        x = convert_to_tensor(a)
        if not isinstance(x, EagerTensor):
            raise errors.UnimplementedError(
                f"tf.sets works on values: {x!r} is a tensor of a graph; use tf.py_function"
            )
        array = np.asarray(x._array)
        sizes, kind = array.shape, x.dtype
        if array.ndim < 2:
            raise ValueError(f"Input {which} has rank {array.ndim}, sets need at least 2")
        rows = {place: array[place].tolist() for place in np.ndindex(*sizes[:-1])}
    if kind not in _INTS and kind is not dt.string:
        raise TypeError(f"sets hold integers or strings, got {kind.name}")
    return rows, sizes[:-1], kind


def _combined(a: Any, b: Any, operation: str) -> SparseTensor:
    left, sizes, kind = _rows(a, "a")
    right, other_sizes, other_kind = _rows(b, "b")
    if kind is not other_kind:
        raise TypeError(f"Types do not match: {kind.name} and {other_kind.name}")
    if sizes != other_sizes:
        raise errors.InvalidArgumentError(
            f"Mismatched group shapes {list(sizes)} and {list(other_sizes)}"
        )
    indices, values, most = [], [], 0
    for place in np.ndindex(*sizes):
        made = sorted(getattr(set(left.get(place, ())), operation)(right.get(place, ())))
        most = max(most, len(made))
        indices += [(*place, i) for i in range(len(made))]
        values += made
    flat = np.array(values, object if kind is dt.string else kind.numpy_dtype)
    return SparseTensor(
        np.array(indices, np.int64).reshape(-1, len(sizes) + 1),
        convert_to_tensor(flat, kind),
        np.array([*sizes, most], np.int64),
    )


def intersection(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """What is in both sets of a row.

    Args:
      a, b: tensors or SparseTensors of integers or strings, of equal leading sizes.

    Raises:
      TypeError: other types, or two different ones.
      InvalidArgumentError: other leading sizes.
    """
    return _combined(a, b, "intersection")


def difference(a: Any, b: Any, aminusb: bool = True, validate_indices: bool = True) -> SparseTensor:
    """What is in the set of `a` and not in that of `b` (the other way with aminusb=False)."""
    return _combined(a, b, "difference") if aminusb else _combined(b, a, "difference")


def union(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """What is in either set of a row."""
    return _combined(a, b, "union")


def size(a: Any, validate_indices: bool = True) -> Any:
    """How many different members the set of each row of a SparseTensor has, int32."""
    if not isinstance(a, SparseTensor):
        raise TypeError(f"Expected `SparseTensor`, got {a!r}")
    rows, sizes, _ = _rows(a, "a")
    counts = np.zeros(sizes, np.int32)
    for place, members in rows.items():
        counts[place] = len(set(members))
    return convert_to_tensor(counts)

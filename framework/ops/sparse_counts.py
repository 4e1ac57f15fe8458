"""Counts of numbers in rows, as the places and values of a sparse result."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.registry import Arg, op
from shardtape.shapes import TensorShape

_COUNTED = frozenset((dt.int32, dt.int64))
_WEIGHTS = frozenset((dt.int32, dt.int64, dt.float32, dt.float64))


def _types(dtypes: Any, attrs: Any) -> tuple[dt.DType, ...]:
    if dtypes[-2] not in _COUNTED:
        raise errors.InvalidArgumentError(
            f"the values that are counted must be int32 or int64, got {dtypes[-2].name}"
        )
    return dt.int64, dtypes[-1], dt.int64


def _shapes(rank: int | None) -> list[TensorShape]:
    return [TensorShape([None, rank]), TensorShape([None]), TensorShape([rank])]


def _counted(
    xp: Any, rows: Any, values: Any, weights: Any, sizes: list[int], minlength: int,
    maxlength: int, binary_output: bool,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Counts of `values` (n,) in `rows` (n,); `sizes` is [number of rows], or [] for one row.

    Raises ValueError for a negative number, or weights that are not one for each value.
    """
    if values.size and (values < 0).any().item():
        raise ValueError("Input values must all be non-negative")
    if weights.size and weights.size != values.size:
        raise ValueError(
            f"Weights and values must have the same size: {weights.size} against {values.size}"
        )
    largest = values.max().item() if values.size else 0
    width = maxlength if maxlength >= 0 else max(largest + 1, minlength)
    used = values < width
    keys = (rows * width + values)[used]
    found, where = xp.unique(keys, return_inverse=True)
    if binary_output:
        counts = xp.ones(found.shape, weights.dtype)
    elif weights.size:
        counts = xp.bincount(
            where.reshape(-1), weights.reshape(-1)[used].astype(np.float64), len(found)
        )
    else:
        counts = xp.bincount(where.reshape(-1), minlength=len(found))
    columns = [found % width if width else found]
    if sizes:
        columns.insert(0, found // width if width else found)
    indices = xp.stack(columns, 1)
    return indices.astype(np.int64), counts, xp.asarray(np.array([*sizes, width], np.int64))


def _attributes() -> list[dict[str, Any]]:
    return [
        {},
        {"minlength": 9},
        {"maxlength": 4},
        {"maxlength": 9, "binary_output": True},
    ]


def _dense_samples(rng: np.random.Generator) -> Any:
    values = rng.integers(0, 7, (2, 5)).astype(np.int32)
    nothing = np.zeros((0,), np.int64)
    made: list[Any] = [((values, nothing), {"binary_output": False, **a}) for a in _attributes()]
    made.append(((values, rng.normal(size=(2, 5))), {"binary_output": False}))
    made.append(((values[0].astype(np.int64), nothing), {"binary_output": False}))
    return made


@op("DenseCountSparseOutput", dtypes=_WEIGHTS, mixed=True, outputs=3, dtype=_types, dynamic=True,
    widen=False, differentiable=False, samples=_dense_samples,
    shape=lambda values, weights, **attrs: _shapes(values.shape.rank))  # fmt: skip
def dense_count(xp, values, weights, *, minlength=-1, maxlength=-1, binary_output):
    """Places, counts and shape of the numbers in each row of `values` (rows, n) or (n,)."""
    if values.ndim not in (1, 2):
        raise ValueError(f"Input must be a 1 or 2-dimensional tensor. Got: {list(values.shape)}")
    if weights.size and weights.shape != values.shape:
        raise ValueError(
            f"Weights and values must have the same shape: {list(weights.shape)} against "
            f"{list(values.shape)}"
        )
    flat, sizes = values.reshape(-1).astype(np.int64), [len(values)][: values.ndim - 1]
    rows = xp.arange(flat.size) // max(1, values.shape[-1]) if sizes else xp.zeros_like(flat)
    return _counted(xp, rows, flat, weights, sizes, minlength, maxlength, binary_output)


def _sparse_samples(rng: np.random.Generator) -> Any:
    places = np.array([[0, 0], [0, 1], [0, 4], [2, 0], [2, 3]], np.int64)
    values = np.array([2, 5, 2, 0, 2], np.int32)
    sizes, nothing = np.array([3, 5], np.int64), np.zeros((0,), np.int64)
    made: list[Any] = [
        ((places, values, sizes, nothing), {"binary_output": False, **a}) for a in _attributes()
    ]
    made.append(((places, values, sizes, rng.normal(size=5)), {"binary_output": False}))
    made.append(((places[:, 1:][:3], values[:3], sizes[1:], nothing), {"binary_output": False}))
    return made


@op("SparseCountSparseOutput", dtypes=_WEIGHTS, mixed=True, outputs=3, dynamic=True, widen=False,
    differentiable=False, samples=_sparse_samples, host=("dense_shape",),
    dtype=lambda dtypes, attrs: _types((dtypes[1], dtypes[3]), attrs),
    shape=lambda indices, *rest, **attrs: _shapes(
        None if indices.shape.rank is None else indices.shape[1]))  # fmt: skip
def sparse_count(xp, indices, values, dense_shape, weights, *, minlength=-1, maxlength=-1,
                 binary_output):  # fmt: skip
    """As `dense_count`, of the elements that a sparse matrix or vector has."""
    sizes = [int(n) for n in dense_shape[:-1]]
    if len(sizes) > 1:
        raise ValueError(f"Input must be a matrix or a vector. Got shape {dense_shape.tolist()}")
    flat = values.astype(np.int64)
    rows = indices[:, 0] if sizes else xp.zeros_like(flat)
    return _counted(xp, rows, flat, weights, sizes, minlength, maxlength, binary_output)


def _ragged_samples(rng: np.random.Generator) -> Any:
    splits, nothing = np.array([0, 2, 2, 5], np.int64), np.zeros((0,), np.int64)
    values = np.array([3, 3, 1, 0, 1], np.int32)
    made: list[Any] = [
        ((splits, values, nothing), {"binary_output": False, **a}) for a in _attributes()
    ]
    made.append(((splits, values, rng.normal(size=5)), {"binary_output": False}))
    return made


def _ragged_shapes(splits: Arg, values: Arg, weights: Arg, **attrs: Any) -> list[TensorShape]:
    return _shapes(2)


@op("RaggedCountSparseOutput", dtypes=_WEIGHTS, mixed=True, outputs=3, dtype=_types, dynamic=True,
    widen=False, differentiable=False, host=("splits",), samples=_ragged_samples,
    shape=_ragged_shapes)  # fmt: skip
def ragged_count(xp, splits, values, weights, *, minlength=-1, maxlength=-1, binary_output):
    """As `dense_count`, of ragged rows."""
    lengths = np.diff(splits)
    rows = xp.asarray(np.repeat(np.arange(len(lengths)), lengths))
    flat = values.astype(np.int64)
    return _counted(xp, rows, flat, weights, [len(lengths)], minlength, maxlength, binary_output)

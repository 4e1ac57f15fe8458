"""Where the largest and the smallest elements along an axis are: `tf.argmax`, `tf.argmin`."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.registry import Arg, op
from shardtape.ops.shape_rules import axis_index, known_int
from shardtape.shapes import UNKNOWN, TensorShape


def _arg_shape(input: Arg, axis: Arg, **attrs: Any) -> TensorShape:
    rank, at = input.shape.rank, known_int(axis)
    if rank is None:
        return UNKNOWN
    if at is None:
        return TensorShape([None] * (rank - 1))
    at = axis_index(at, rank)
    return TensorShape([d for i, d in enumerate(input.shape) if i != at])


def _arg_samples(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(3, 4))
    return [
        ((x, np.int32(0)), {}),
        ((x, np.int32(-1)), {"output_type": dt.int32}),
        ((np.array([1.0, 3.0, 3.0, 0.0]), np.int32(0)), {}),
    ]


def _check_dimension(input: Any, dimension: Any) -> None:
    if not -input.ndim <= int(dimension) < input.ndim:
        raise ValueError(
            f"Expected dimension in the range [{-input.ndim}, {input.ndim}), but got {dimension}"
        )


def _place(xp: Any, x: Any, axis: int, find: Any, sign: int) -> Any:
    """`find` along an axis, past NaNs (which numpy takes first); 0 if there is nothing else."""
    if x.dtype.kind == "f":
        # a NaN is the largest of all; asking a device would wait for it
        if xp is np and (x.size == 0 or (largest := x.max()) == largest):
            return find(x, axis=axis)
    elif x.dtype.name != "bfloat16":
        return find(x, axis=axis)
    return find(xp.where(x == x, x, x.dtype.type(sign * np.inf)), axis=axis)


@op("ArgMax", dtypes=dt.REAL | dt.BOOL, dtype="output_type", host=("dimension",),
    shape=_arg_shape, widen=False, differentiable=False, samples=_arg_samples)  # fmt: skip
def arg_max_op(xp, input, dimension, *, output_type=dt.int64):
    """The position of the largest element along an axis, the first of equal ones; see `_place`."""
    _check_dimension(input, dimension)
    return _place(xp, input, int(dimension), xp.argmax, -1)


@op("ArgMin", dtypes=dt.REAL | dt.BOOL, dtype="output_type", host=("dimension",),
    shape=_arg_shape, widen=False, differentiable=False, samples=_arg_samples)  # fmt: skip
def arg_min_op(xp, input, dimension, *, output_type=dt.int64):
    """The position of the smallest element along an axis, the first of equal ones; see `_place`."""
    _check_dimension(input, dimension)
    return _place(xp, input, int(dimension), xp.argmin, 1)


# ---- public functions -------------------------------------------------------------------------
def argmax(input: Any, axis: Any = None, output_type: Any = dt.int64, name: Any = None) -> Any:
    """The position of the largest element along `axis` (default 0), the first of equal ones."""
    axis = 0 if axis is None else axis
    return arg_max_op(input, axis, output_type=dt.as_dtype(output_type), name=name)


def argmin(input: Any, axis: Any = None, output_type: Any = dt.int64, name: Any = None) -> Any:
    """The position of the smallest element along `axis` (default 0), the first of equal ones."""
    axis = 0 if axis is None else axis
    return arg_min_op(input, axis, output_type=dt.as_dtype(output_type), name=name)

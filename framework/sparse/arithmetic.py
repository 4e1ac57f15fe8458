"""Sums, products and reductions of SparseTensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.compare import logical_or
from shardtape.ops.composites import overrides
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.dispatch import add_dispatcher
from shardtape.ops.math import abs, conj, maximum, minimum, multiply, truediv
from shardtape.ops.reduce import reduce_prod
from shardtape.ops.refusals import refusal
from shardtape.ops.registry import Op
from shardtape.sparse.places import keys, places, reorder, retain
from shardtape.sparse_tensor import SparseTensor, SparseTensorValue, checked


def is_sparse(x: Any) -> bool:
    """True for a SparseTensor and a SparseTensorValue."""
    return isinstance(x, (SparseTensor, SparseTensorValue))


# ---- sums -------------------------------------------------------------------------------------
def add(a: Any, b: Any, threshold: Any = 0) -> Any:
    """The sum: sparse of two sparse ones, dense where one is dense.

    Args:
      threshold: values of a sparse sum whose magnitude is below it are left out.

    Raises TypeError where neither is sparse.
    """
    if is_sparse(a) and is_sparse(b):
        return _sparse_sum(checked(a), checked(b), threshold)
    if is_sparse(b):
        a, b = b, a
    if not is_sparse(a):
        raise TypeError("At least one input should be SparseTensor; do you mean to use tf.add()?")
    sp = checked(a)
    dense = convert_to_tensor(b, sp.dtype)
    return array.tensor_scatter_nd_add(dense, sp.indices, sp.values)


def _sparse_sum(a: SparseTensor, b: SparseTensor, threshold: Any) -> SparseTensor:
    a.shape.assert_is_compatible_with(b.shape)
    numbers = array.concat([keys(a.indices, a.dense_shape), keys(b.indices, b.dense_shape)], 0)
    values = array.concat([a.values, b.values], 0)
    there, where = array.unique(numbers)
    total = array.unsorted_segment_sum(values, where, array.shape(there)[0])
    made = reorder(SparseTensor(places(there, a.dense_shape), total, a.dense_shape))
    limit = convert_to_tensor(threshold)
    known = float(limit.numpy()) if hasattr(limit, "_array") else None
    if known == 0:
        return made
    # values of one side alone are kept, as in TensorFlow
    alone = array.unsorted_segment_sum(array.ones_like(where), where, array.shape(there)[0]) < 2
    kept = abs(total) >= cast(limit, total.dtype.real_dtype)
    return reorder(retain(SparseTensor(places(there, a.dense_shape), total, a.dense_shape),
                          logical_or(alone, kept)))  # fmt: skip


def _merged(a: Any, b: Any, function: Any) -> SparseTensor:
    """`function` of the values of both, with 0 where one has none."""
    a, b = checked(a), checked(b)
    numbers = array.concat([keys(a.indices, a.dense_shape), keys(b.indices, b.dense_shape)], 0)
    there, where = array.unique(numbers)
    count, split = array.shape(there)[0], array.shape(a.values)[0]
    left = array.unsorted_segment_sum(a.values, where[:split], count)
    right = array.unsorted_segment_sum(b.values, where[split:], count)
    return reorder(SparseTensor(places(there, a.dense_shape), function(left, right), a.dense_shape))


def sparse_maximum(sp_a: Any, sp_b: Any, name: str | None = None) -> SparseTensor:
    """The larger of both at each place where one has a value."""
    return _merged(sp_a, sp_b, maximum)


def sparse_minimum(sp_a: Any, sp_b: Any, name: str | None = None) -> SparseTensor:
    """The smaller of both at each place where one has a value."""
    return _merged(sp_a, sp_b, minimum)


# ---- products ---------------------------------------------------------------------------------
def sparse_dense_matmul(
    sp_a: Any, b: Any, adjoint_a: bool = False, adjoint_b: bool = False, name: str | None = None
) -> Any:
    """A sparse matrix (n, k) times a dense one (k, m), or a dense one times a sparse one.

    Gradients flow to the values and to the dense matrix.
    """
    if is_sparse(b) and not is_sparse(sp_a):
        flipped = sparse_dense_matmul(b, sp_a, adjoint_a=not adjoint_b, adjoint_b=not adjoint_a)
        return array.transpose(flipped, conjugate=True)
    sp = checked(sp_a)
    dense = convert_to_tensor(b, sp.dtype)
    if adjoint_b:
        dense = array.transpose(dense, conjugate=True)
    row, column = (1, 0) if adjoint_a else (0, 1)
    inner, rows = sp.shape[column] if sp.shape.rank == 2 else None, dense.shape[0]
    if inner is not None and rows is not None and inner != rows:
        raise refusal(
            f"cannot multiply a sparse matrix of shape {sp.shape} and a matrix of shape "
            f"{dense.shape}: {inner} columns against {rows} rows"
        )
    values = conj(sp.values) if adjoint_a and sp.dtype.is_complex else sp.values
    terms = array.gather(dense, sp.indices[:, column]) * array.expand_dims(values, 1)
    count = cast(sp.dense_shape[row], dt.int32)
    return array.unsorted_segment_sum(terms, sp.indices[:, row], count)


def _with_dense(sp: Any, dense: Any, op: Any) -> SparseTensor:
    """`op` of the values and the elements of a tensor that broadcasts to their places."""
    sp = checked(sp)
    dense = convert_to_tensor(dense, sp.dtype)
    if dense.shape.rank == 0:
        return sp.with_values(op(sp.values, dense))
    rank, own = sp.dense_shape.shape[0], dense.shape.rank
    if own > rank:
        raise ValueError(f"a tensor of shape {dense.shape} does not broadcast to {sp.shape}")
    sizes = array.shape(dense, out_type=dt.int64)
    index = sp.indices[:, rank - own :] * cast(sizes > 1, dt.int64)
    return sp.with_values(op(sp.values, array.gather_nd(dense, index)))


# ---- reductions -------------------------------------------------------------------------------
def reduce_sum(
    sp_input: Any, axis: Any = None, keepdims: bool = False, output_is_sparse: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The sum of the values over `axis` (None: all), dense or sparse."""
    return _reduced(array.unsorted_segment_sum, sp_input, axis, keepdims, output_is_sparse)


def reduce_max(
    sp_input: Any, axis: Any = None, keepdims: bool = False, output_is_sparse: bool = False,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The largest value over `axis` (None: all); what is not there does not count.

    Where nothing is there a dense result has 0.
    """
    return _reduced(_segment_max, sp_input, axis, keepdims, output_is_sparse)


def _segment_max(values: Any, ids: Any, count: Any) -> Any:
    top = array.unsorted_segment_max(values, ids, count)
    there = array.unsorted_segment_sum(array.ones_like(ids), ids, count)
    return array.where(there > 0, top, array.zeros_like(top))


def _reduced(
    segment: Callable[..., Any], sp_input: Any, axis: Any, keepdims: bool, sparse: bool
) -> Any:
    sp = checked(sp_input)
    rank = sp.dense_shape.shape[0]
    axes = list(range(rank)) if axis is None else [int(a) for a in np.atleast_1d(axis)]
    for a in axes:
        if not -rank <= a < rank:
            raise ValueError(f"Invalid reduction dimension {a} for {rank} dimensions")
    gone = {a % rank for a in axes}
    rest = [i for i in range(rank) if i not in gone]
    sizes = array.gather(sp.dense_shape, np.array(rest, np.int64))
    kept = [i for i in range(rank) if keepdims or i not in gone]
    one = convert_to_tensor(1, dt.int64)
    full = convert_to_tensor(np.zeros(0, np.int64))
    if kept:
        full = array.stack([one if i in gone else sp.dense_shape[i] for i in kept])
    numbers = keys(array.gather(sp.indices, np.array(rest, np.int64), axis=1), sizes)
    if not sparse:
        total = segment(sp.values, numbers, cast(reduce_prod(sizes), dt.int32))
        return array.reshape(total, full)
    there, where = array.unique(numbers)
    total = segment(sp.values, where, array.shape(there)[0])
    return reorder(SparseTensor(places(there, full), total, full))


# ---- other functions of the values ------------------------------------------------------------
def map_values(op: Callable[..., Any], *args: Any, **kwargs: Any) -> SparseTensor:
    """`op` on the values of SparseTensors with the same places.

    Raises ValueError without a SparseTensor, or where their number of values differs.
    """
    found: list[SparseTensor] = []

    def inner(x: Any) -> Any:
        if is_sparse(x):
            found.append(checked(x))
            return found[-1].values
        return x

    new_args = [inner(a) for a in args]
    new_kwargs = {k: inner(v) for k, v in kwargs.items()}
    if not found:
        raise ValueError("No SparseTensor in argument list of map_values")
    for other in found[1:]:
        found[0].indices.shape.assert_is_compatible_with(other.indices.shape)
    return found[0].with_values(op(*new_args, **new_kwargs))


def softmax(sp_input: Any, name: str | None = None) -> SparseTensor:
    """The softmax of the values of each innermost row."""
    from shardtape.ops.math import exp

    sp = checked(sp_input)
    rows = keys(sp.indices[:, :-1], sp.dense_shape[:-1])
    count = cast(reduce_prod(sp.dense_shape[:-1]), dt.int32)
    top = array.gather(array.unsorted_segment_max(sp.values, rows, count), rows)
    raised = exp(sp.values - array.stop_gradient(top))
    return sp.with_values(raised / array.gather(
        array.unsorted_segment_sum(raised, rows, count), rows))  # fmt: skip


def to_indicator(sp_input: Any, vocab_size: int, name: str | None = None) -> Any:
    """A bool tensor, true at the places that the last axis's values name."""
    sp = checked(sp_input)
    index = array.concat([sp.indices[:, :-1], array.expand_dims(cast(sp.values, dt.int64), 1)], 1)
    shape = array.concat([sp.dense_shape[:-1], [vocab_size]], 0)
    counts = array.scatter_nd(index, array.ones_like(sp.values, dtype=dt.int32), shape)
    return counts > 0


def eye(
    num_rows: int, num_columns: int | None = None, dtype: Any = dt.float32, name: Any = None
) -> SparseTensor:
    """Ones on the diagonal."""
    columns = num_rows if num_columns is None else num_columns
    index = np.arange(min(num_rows, columns), dtype=np.int64)
    values = array.ones([len(index)], dtype)
    return SparseTensor(np.stack([index, index], 1), values, [num_rows, columns])


def mask(a: Any, mask_indices: Any, name: str | None = None) -> Any:
    """IndexedSlices without the rows at `mask_indices`."""
    from shardtape.indexed_slices import IndexedSlices
    from shardtape.ops.ordering import setdiff1d

    rest, places_of_rest = setdiff1d(a.indices, mask_indices)
    return IndexedSlices(array.gather(a.values, places_of_rest), rest, a.dense_shape)


# ---- operators and functions on tensors -------------------------------------------------------
_ON_VALUES = frozenset({"Neg", "Abs", "Sign", "Square", "Sqrt", "Cast", "Round", "Floor", "Ceil",
                        "Sin", "Tan", "Tanh", "Asin", "Atan", "Sinh", "Asinh", "Atanh", "Expm1",
                        "Log1p", "Identity"})  # fmt: skip


def _dispatch(op: Op, inputs: Sequence[Any]) -> Any:
    """Functions that keep 0 work on the values."""
    if not inputs or not is_sparse(inputs[0]) or op.type not in _ON_VALUES:
        return NotImplemented
    sp = checked(inputs[0])
    return lambda op, attrs, name: sp.with_values(op(sp.values, **attrs))


def _multiply(self: SparseTensor, other: Any) -> Any:
    return _with_dense(self, other, multiply)


def _divide(self: SparseTensor, other: Any) -> Any:
    return _with_dense(self, other, truediv)


add_dispatcher(_dispatch)
# `tensor * sparse` is the sparse one's to compute
SparseTensor._takes_operators = True  # type: ignore[attr-defined]
SparseTensor.__mul__ = SparseTensor.__rmul__ = _multiply  # type: ignore[attr-defined, operator]
SparseTensor.__truediv__ = _divide  # type: ignore[operator]


@overrides("cast", SparseTensor)
def _cast(x: Any, dtype: Any) -> Any:
    return x.with_values(cast(x.values, dtype))


@overrides("abs", SparseTensor)
def _abs(x: Any, name: str | None = None) -> Any:
    return x.with_values(abs(x.values))


@overrides("size", SparseTensor)
def _size(input: Any, out_type: Any = None, name: str | None = None) -> Any:
    kind = dt.int32 if out_type is None else dt.as_dtype(out_type)
    return cast(reduce_prod(input.dense_shape), kind)

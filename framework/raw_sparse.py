"""Raw ops of sparse tensors, which take and give them as indices, values and shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape.raw_entries import Entry, entry, whole_numbers
from shardtape.raw_entries import library as _tf


def _sparse(indices: Any, values: Any, shape: Any) -> Any:
    return _tf().SparseTensor(indices, values, shape)


def _parts(sparse: Any) -> tuple[Any, Any, Any]:
    return sparse.indices, sparse.values, sparse.dense_shape


def _sparse_add(
    a_indices: Any, a_values: Any, a_shape: Any, b_indices: Any, b_values: Any, b_shape: Any,
    thresh: Any,
) -> Any:  # fmt: skip
    a, b = _sparse(a_indices, a_values, a_shape), _sparse(b_indices, b_values, b_shape)
    return _parts(_tf().sparse.add(a, b, thresh))


def _reduced(name: str, keep_sparse: bool = False) -> Callable[..., Any]:
    def reduced(
        input_indices: Any, input_values: Any, input_shape: Any, reduction_axes: Any,
        keep_dims: bool = False,
    ) -> Any:  # fmt: skip
        given = _sparse(input_indices, input_values, input_shape)
        axes = whole_numbers(reduction_axes)
        made = getattr(_tf().sparse, name)(given, axes, keep_dims, output_is_sparse=keep_sparse)
        return _parts(made) if keep_sparse else made

    return reduced


def _sparse_product(
    a_indices: Any, a_values: Any, a_shape: Any, b: Any, adjoint_a: bool = False,
    adjoint_b: bool = False,
) -> Any:  # fmt: skip
    given = _sparse(a_indices, a_values, a_shape)
    return _tf().sparse.sparse_dense_matmul(given, b, adjoint_a, adjoint_b)


def _filled(indices: Any, values: Any, dense_shape: Any, default_value: Any) -> Any:
    filled, empty = _tf().sparse.fill_empty_rows(
        _sparse(indices, values, dense_shape), default_value
    )
    tf = _tf()
    # where each entry that was there lies among the filled ones
    order = tf.searchsorted(
        _flat_places(filled.indices, dense_shape), _flat_places(indices, dense_shape)
    )
    return filled.indices, filled.values, empty, tf.cast(order, tf.int64)


def _flat_places(indices: Any, dense_shape: Any) -> Any:
    tf = _tf()
    sizes = tf.cast(dense_shape, tf.int64)
    weights = tf.math.cumprod(sizes, exclusive=True, reverse=True)
    return tf.reduce_sum(tf.cast(indices, tf.int64) * weights, 1)


def _segments(name: str) -> Callable[..., Any]:
    def summed(data: Any, indices: Any, segment_ids: Any, sparse_gradient: bool = False) -> Any:
        return getattr(_tf().sparse, name)(data, indices, segment_ids)

    return summed


def _segments_of(name: str) -> Callable[..., Any]:
    def summed(
        data: Any, indices: Any, segment_ids: Any, num_segments: Any, sparse_gradient: bool = False
    ) -> Any:
        return getattr(_tf().sparse, name)(data, indices, segment_ids, num_segments)

    return summed


_PARTS = ("output_indices", "output_values", "output_shape")
SPARSE: dict[str, Entry] = {
    "SparseAdd": entry(_sparse_add, "sum_indices", "sum_values", "sum_shape"),
    "SparseConcat": entry(lambda indices, values, shapes, concat_dim: _parts(_tf().sparse.concat(
        concat_dim, [_sparse(*p) for p in zip(indices, values, shapes)])), *_PARTS),
    "SparseFillEmptyRows": entry(_filled, "output_indices", "output_values", "empty_row_indicator",
                                "reverse_index_map"),
    "SparseReduceMax": entry(_reduced("reduce_max")),
    "SparseReduceMaxSparse": entry(_reduced("reduce_max", True), *_PARTS),
    "SparseReduceSum": entry(_reduced("reduce_sum")),
    "SparseReduceSumSparse": entry(_reduced("reduce_sum", True), *_PARTS),
    "SparseReorder": entry(lambda input_indices, input_values, input_shape: _parts(
        _tf().sparse.reorder(_sparse(input_indices, input_values, input_shape)))[:2],
        "output_indices", "output_values"),
    "SparseReshape": entry(lambda input_indices, input_shape, new_shape: _reshaped(
        input_indices, input_shape, new_shape), "output_indices", "output_shape"),
    "SparseSegmentMean": entry(_segments("segment_mean")),
    "SparseSegmentSum": entry(_segments("segment_sum")),
    "SparseSegmentSqrtN": entry(_segments("segment_sqrt_n")),
    "SparseSegmentMeanWithNumSegments": entry(_segments_of("segment_mean")),
    "SparseSegmentSumWithNumSegments": entry(_segments_of("segment_sum")),
    "SparseSegmentSqrtNWithNumSegments": entry(_segments_of("segment_sqrt_n")),
    "SparseSlice": entry(lambda indices, values, shape, start, size: _parts(_tf().sparse.slice(
        _sparse(indices, values, shape), start, size)), *_PARTS),
    "SparseSoftmax": entry(lambda sp_indices, sp_values, sp_shape: _tf().sparse.softmax(
        _sparse(sp_indices, sp_values, sp_shape)).values),
    "SparseTensorDenseAdd": entry(lambda a_indices, a_values, a_shape, b: _tf().sparse.add(
        _sparse(a_indices, a_values, a_shape), b)),
    "SparseTensorDenseMatMul": entry(_sparse_product),
}  # fmt: skip


def _reshaped(indices: Any, shape: Any, new_shape: Any) -> tuple[Any, Any]:
    tf = _tf()
    ones = tf.ones(tf.shape(indices)[:1])
    made = tf.sparse.reshape(_sparse(indices, ones, shape), new_shape)
    return made.indices, made.dense_shape


__all__ = ["SPARSE"]

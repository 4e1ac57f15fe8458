"""Raw ops that are made of public functions: TensorFlow's types, arguments and outputs.

Each entry is a function with the arguments of the op's definition (attributes that only name types
are left out by the caller), and the names of its outputs where it has several.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape.tensor import SymbolicTensor, Tensor

_Entry = tuple[Callable[..., Any], tuple[str, ...]]


def _tf() -> Any:
    import shardtape

    return shardtape


def _variable(resource: Any) -> Any:
    """The Variable of its handle."""
    return resource.op.attrs["variable"] if type(resource) is SymbolicTensor else resource


def _sparse(indices: Any, values: Any, shape: Any) -> Any:
    return _tf().SparseTensor(indices, values, shape)


def _parts(sparse: Any) -> tuple[Any, Any, Any]:
    return sparse.indices, sparse.values, sparse.dense_shape


def _one(function: Callable[..., Any], *outputs: str) -> _Entry:
    return function, outputs


def _ints(values: Any) -> list[int]:
    return [int(v) for v in np.reshape(np.asarray(values), -1)]


# ---- numbers -----------------------------------------------------------------------------------
def _clipped(t: Any, clip_value_min: Any, clip_value_max: Any) -> Any:
    return _tf().clip_by_value(t, clip_value_min, clip_value_max)


def _batch_matmul(x: Any, y: Any, adj_x: bool = False, adj_y: bool = False) -> Any:
    return _tf().matmul(x, y, adjoint_a=adj_x, adjoint_b=adj_y)


def _batch_matmul_v3(
    x: Any, y: Any, Tout: Any = None, adj_x: bool = False, adj_y: bool = False
) -> Any:
    return _tf().matmul(x, y, adjoint_a=adj_x, adjoint_b=adj_y, output_type=Tout)


def _bucketize(input: Any, boundaries: Any) -> Any:
    tf = _tf()
    x = tf.convert_to_tensor(input)
    flat = tf.searchsorted(
        tf.constant(boundaries, tf.float32), tf.cast(tf.reshape(x, [-1]), tf.float32), "right"
    )
    return tf.reshape(flat, tf.shape(x))


def _population_count(x: Any) -> Any:
    tf = _tf()
    x = tf.convert_to_tensor(x)
    size = x.dtype.size * 8
    wide = tf.bitcast(x, tf.as_dtype(f"uint{size}"))
    wide = tf.cast(wide, tf.uint64)
    shifts = tf.range(size)
    bits = tf.bitwise.right_shift(wide[..., None], tf.cast(shifts, tf.uint64)) & tf.cast(
        1, tf.uint64
    )
    return tf.cast(tf.reduce_sum(tf.cast(bits, tf.int32), -1), tf.uint8)


def _nth(input: Any, n: Any, reverse: bool = False) -> Any:
    tf = _tf()
    return tf.gather(tf.sort(input, direction="DESCENDING" if reverse else "ASCENDING"), n, axis=-1)


_NUMBERS: dict[str, _Entry] = {
    "Add": _one(lambda x, y: _tf().add(x, y)),
    "ApproximateEqual": _one(lambda x, y, tolerance=1e-5: _tf().abs(
        _tf().subtract(x, y)) < tolerance),
    "Atan2": _one(lambda y, x: _tf().atan2(y, x)),
    "BatchMatMul": _one(_batch_matmul),
    "BatchMatMulV3": _one(_batch_matmul_v3),
    "BandedTriangularSolve": _one(lambda matrix, rhs, lower=True, adjoint=False:
                                  _tf().linalg.banded_triangular_solve(
                                      matrix, rhs, lower, adjoint)),
    "Bucketize": _one(_bucketize),
    "ClipByValue": _one(_clipped),
    "ConjugateTranspose": _one(lambda x, perm: _tf().transpose(x, perm, conjugate=True)),
    "Cross": _one(lambda a, b: _tf().linalg.cross(a, b)),
    "EuclideanNorm": _one(lambda input, axis, keep_dims=False: _tf().math.reduce_euclidean_norm(
        input, axis, keep_dims)),
    "Inv": _one(lambda x: _tf().math.reciprocal(x)),
    "LinSpace": _one(lambda start, stop, num: _tf().linspace(start, stop, num)),
    "MatrixSolveLs": _one(lambda matrix, rhs, l2_regularizer, fast=True: _tf().linalg.lstsq(
        matrix, rhs, l2_regularizer, fast)),
    "Mod": _one(lambda x, y: _tf().truncatemod(x, y)),
    "NthElement": _one(_nth),
    "PopulationCount": _one(_population_count),
    "Select": _one(lambda condition, x, y: _tf().where(condition, x, y)),
    "ToBool": _one(lambda input: _tf().reduce_any(_tf().cast(input, _tf().bool))),
    "TridiagonalMatMul": _one(lambda superdiag, maindiag, subdiag, rhs:
                              _tf().linalg.tridiagonal_matmul(
                                  _tf().concat([superdiag, maindiag, subdiag], -2), rhs,
                                  "compact")),
}  # fmt: skip


# ---- arrays --------------------------------------------------------------------------------------
def _set_diagonal(input: Any, diagonal: Any) -> Any:
    return _tf().linalg.set_diag(input, diagonal)


def _diagonals(input: Any, k: Any, padding_value: Any) -> Any:
    return _tf().linalg.diag_part(input, k=_band(k), padding_value=padding_value, align="LEFT_LEFT")


def _band(k: Any) -> Any:
    ends = _ints(k)
    return ends[0] if len(ends) == 1 else tuple(ends)


def _matrix_of(diagonal: Any, k: Any, num_rows: Any, num_cols: Any, padding_value: Any) -> Any:
    return _tf().linalg.diag(
        diagonal, k=_band(k), num_rows=num_rows, num_cols=num_cols, padding_value=padding_value,
        align="LEFT_LEFT",
    )  # fmt: skip


def _dense_of(
    sparse_indices: Any, output_shape: Any, sparse_values: Any, default_value: Any,
    validate_indices: bool = True,
) -> Any:  # fmt: skip
    tf = _tf()
    indices = tf.cast(sparse_indices, tf.int64)
    if indices.shape.rank == 0:
        indices = indices[None]
    if indices.shape.rank == 1:
        indices = indices[:, None]
    shape = tf.cast(output_shape, tf.int64)
    values = tf.convert_to_tensor(sparse_values)
    if values.shape.rank == 0:
        values = tf.fill(tf.shape(indices)[:1], values)
    full = tf.fill(shape, tf.cast(default_value, values.dtype))
    return tf.tensor_scatter_nd_update(full, indices, values)


_ARRAYS: dict[str, _Entry] = {
    "BatchToSpace": _one(lambda input, crops, block_size: _tf().batch_to_space(
        input, [block_size, block_size], crops)),
    "SpaceToBatch": _one(lambda input, paddings, block_size: _tf().space_to_batch(
        input, [block_size, block_size], paddings)),
    "Concat": _one(lambda concat_dim, values: _tf().concat(values, concat_dim)),
    "Diag": _one(lambda diagonal: _tf().linalg.tensor_diag(diagonal)),
    "DiagPart": _one(lambda input: _tf().linalg.tensor_diag_part(input)),
    "Empty": _one(lambda shape, dtype, init=False: _tf().zeros(shape, dtype)),
    "ExtractImagePatches": _one(lambda images, ksizes, strides, rates, padding:
                                _tf().image.extract_patches(
                                    images, ksizes, strides, rates, padding)),
    "ExtractVolumePatches": _one(lambda input, ksizes, strides, padding:
                                 _tf().extract_volume_patches(input, ksizes, strides, padding)),
    "Gather": _one(lambda params, indices, validate_indices=True: _tf().gather(params, indices)),
    "GuaranteeConst": _one(lambda input: _tf().identity(input)),
    "HistogramFixedWidth": _one(lambda values, value_range, nbins=100, dtype=None:
                                _tf().histogram_fixed_width(
                                    values, value_range, nbins, dtype or _tf().int32)),
    "MatrixDiag": _one(lambda diagonal: _tf().linalg.diag(diagonal)),
    "MatrixDiagV2": _one(_matrix_of),
    "MatrixDiagPart": _one(lambda input: _tf().linalg.diag_part(input)),
    "MatrixDiagPartV2": _one(_diagonals),
    "MatrixSetDiag": _one(_set_diagonal),
    "MatrixSetDiagV2": _one(lambda input, diagonal, k: _tf().linalg.set_diag(
        input, diagonal, k=_band(k), align="LEFT_LEFT")),
    "ParallelConcat": _one(lambda values, shape: _tf().concat(values, 0)),
    "ParallelDynamicStitch": _one(lambda indices, data: _tf().dynamic_stitch(indices, data)),
    "Reverse": _one(lambda tensor, dims: _tf().reverse(
        tensor, [i for i, d in enumerate(np.asarray(dims)) if d])),
    "ShapeN": _one(lambda input, out_type=None: _tf().shape_n(input, out_type or _tf().int32)),
    "SparseToDense": _one(_dense_of),
    "UniqueV2": _one(lambda x, axis, out_idx=None: _unique(x, axis, out_idx), "y", "idx"),
    "Bincount": _one(lambda arr, size, weights: _bincount(arr, size, weights)),
    "DenseBincount": _one(lambda input, size, weights, binary_output=False: _bincount(
        input, size, weights, binary_output)),
}  # fmt: skip


def _unique(x: Any, axis: Any, out_idx: Any) -> Any:
    tf = _tf()
    x = tf.convert_to_tensor(x)
    if x.shape.rank != 1:
        from shardtape.errors import UnimplementedError

        raise UnimplementedError("UniqueV2 takes vectors; rows of a matrix: np.unique(x, axis=0)")
    return tf.unique(x, out_idx or tf.int32)


def _bincount(values: Any, size: Any, weights: Any, binary: bool = False) -> Any:
    tf = _tf()
    x, w = tf.convert_to_tensor(values), tf.convert_to_tensor(weights)
    given = w.shape.num_elements() != 0
    axis = -1 if x.shape.rank == 2 else None
    kind = w.dtype
    made = tf.math.bincount(
        x, w if given else None, minlength=size, maxlength=size, dtype=kind, axis=axis,
        binary_output=binary,
    )  # fmt: skip
    return tf.cast(made, kind)


# ---- networks, images, text ---------------------------------------------------------------------
def _normalized(version: int) -> Callable[..., Any]:
    def fused(
        x: Any, scale: Any, offset: Any, mean: Any, variance: Any, epsilon: float = 1e-4,
        exponential_avg_factor: float = 1.0, data_format: str = "NHWC", is_training: bool = True,
    ) -> Any:  # fmt: skip
        tf = _tf()
        x = tf.convert_to_tensor(x)
        first = data_format.startswith("NC")
        axes = [i for i in range(x.shape.rank) if i != (1 if first else x.shape.rank - 1)]
        wide = tf.cast(x, tf.float32) if x.dtype.size < 4 else x
        shape = [1, -1] + [1] * (x.shape.rank - 2) if first else [-1]
        if not is_training:
            m, v = tf.convert_to_tensor(mean), tf.convert_to_tensor(variance)
            means, variances = m, v
        else:
            m, v = tf.nn.moments(wide, axes)
            count = tf.cast(tf.size(x) // tf.size(m), v.dtype)
            unbiased = v * count / tf.maximum(count - 1, 1)
            share = exponential_avg_factor
            means, variances = m, unbiased
            if share != 1:
                means = mean * (1 - share) + m * share
                variances = variance * (1 - share) + unbiased * share
        y = tf.nn.batch_normalization(
            wide, tf.reshape(m, shape), tf.reshape(v, shape),
            tf.reshape(tf.cast(offset, wide.dtype), shape),
            tf.reshape(tf.cast(scale, wide.dtype), shape), epsilon,
        )  # fmt: skip
        made = (tf.cast(y, x.dtype), means, variances, m, v)
        return (*made, tf.zeros([], tf.float32)) if version == 3 else made

    return fused


_NORMALIZED = ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2")


def _dilated(input: Any, filter: Any, strides: Any, rates: Any, padding: str) -> Any:
    return _tf().nn.dilation2d(input, filter, strides, padding, "NHWC", rates)


def _suppressed(boxes: Any, scores: Any, max_output_size: Any, iou_threshold: Any = 0.5) -> Any:
    return _tf().image.non_max_suppression(boxes, scores, max_output_size, iou_threshold)


def _fractional(name: str) -> Callable[..., Any]:
    def pooled(
        value: Any, pooling_ratio: Any, pseudo_random: bool = False, overlapping: bool = False,
        deterministic: bool = False, seed: int = 0, seed2: int = 0,
    ) -> Any:  # fmt: skip
        return getattr(_tf().nn, name)(value, pooling_ratio, pseudo_random, overlapping, seed)

    return pooled


_NETWORKS: dict[str, _Entry] = {
    "BiasAddV1": _one(lambda value, bias: _tf().nn.bias_add(value, bias)),
    "Dilation2D": _one(_dilated),
    "DrawBoundingBoxes": _one(lambda images, boxes: _tf().image.draw_bounding_boxes(
        images, boxes, [[1.0, 0.0, 0.0, 1.0]])),
    "ExtractGlimpse": _one(lambda input, size, offsets, centered=True, normalized=True,
                           uniform_noise=True, noise="uniform": _tf().image.extract_glimpse(
                               input, size, offsets, centered, normalized, noise)),
    "FractionalAvgPool": _one(_fractional("fractional_avg_pool"), "output",
                              "row_pooling_sequence", "col_pooling_sequence"),
    "FractionalMaxPool": _one(_fractional("fractional_max_pool"), "output",
                              "row_pooling_sequence", "col_pooling_sequence"),
    "FusedBatchNorm": _one(_normalized(1), *_NORMALIZED),
    "FusedBatchNormV2": _one(_normalized(2), *_NORMALIZED),
    "FusedBatchNormV3": _one(_normalized(3), *_NORMALIZED, "reserve_space_3"),
    "InTopK": _one(lambda predictions, targets, k: _tf().nn.in_top_k(targets, predictions, k)),
    "NonMaxSuppression": _one(_suppressed),
    "NonMaxSuppressionV2": _one(_suppressed),
    "StaticRegexFullMatch": _one(lambda input, pattern: _tf().strings.regex_full_match(
        input, pattern)),
    "StaticRegexReplace": _one(lambda input, pattern, rewrite, replace_global=True:
                               _tf().strings.regex_replace(
                                   input, pattern, rewrite, replace_global)),
}  # fmt: skip


# ---- random numbers -----------------------------------------------------------------------------
_RANDOM: dict[str, _Entry] = {
    "StatelessRandomNormal": _one(lambda shape, seed, dtype=None: _tf().random.stateless_normal(
        shape, seed, dtype=dtype or _tf().float32)),
    "StatelessTruncatedNormal": _one(lambda shape, seed, dtype=None:
                                     _tf().random.stateless_truncated_normal(
                                         shape, seed, dtype=dtype or _tf().float32)),
    "StatelessRandomUniform": _one(lambda shape, seed, dtype=None: _tf().random.stateless_uniform(
        shape, seed, dtype=dtype or _tf().float32)),
    "StatelessRandomUniformInt": _one(lambda shape, seed, minval, maxval: _whole(
        shape, seed, minval, maxval)),
    "StatelessRandomUniformFullInt": _one(lambda shape, seed, dtype=None:
                                          _tf().random.stateless_uniform(
                                              shape, seed, None, None, dtype or _tf().uint64)),
}  # fmt: skip


def _whole(shape: Any, seed: Any, minval: Any, maxval: Any) -> Any:
    low = _tf().convert_to_tensor(minval)
    return _tf().random.stateless_uniform(shape, seed, low, maxval, low.dtype)


# ---- sparse tensors -----------------------------------------------------------------------------
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
        axes = _ints(reduction_axes)
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
_SPARSE: dict[str, _Entry] = {
    "SparseAdd": _one(_sparse_add, "sum_indices", "sum_values", "sum_shape"),
    "SparseConcat": _one(lambda indices, values, shapes, concat_dim: _parts(_tf().sparse.concat(
        concat_dim, [_sparse(*p) for p in zip(indices, values, shapes)])), *_PARTS),
    "SparseFillEmptyRows": _one(_filled, "output_indices", "output_values", "empty_row_indicator",
                                "reverse_index_map"),
    "SparseReduceMax": _one(_reduced("reduce_max")),
    "SparseReduceMaxSparse": _one(_reduced("reduce_max", True), *_PARTS),
    "SparseReduceSum": _one(_reduced("reduce_sum")),
    "SparseReduceSumSparse": _one(_reduced("reduce_sum", True), *_PARTS),
    "SparseReorder": _one(lambda input_indices, input_values, input_shape: _parts(
        _tf().sparse.reorder(_sparse(input_indices, input_values, input_shape)))[:2],
        "output_indices", "output_values"),
    "SparseReshape": _one(lambda input_indices, input_shape, new_shape: _reshaped(
        input_indices, input_shape, new_shape), "output_indices", "output_shape"),
    "SparseSegmentMean": _one(_segments("segment_mean")),
    "SparseSegmentSum": _one(_segments("segment_sum")),
    "SparseSegmentSqrtN": _one(_segments("segment_sqrt_n")),
    "SparseSegmentMeanWithNumSegments": _one(_segments_of("segment_mean")),
    "SparseSegmentSumWithNumSegments": _one(_segments_of("segment_sum")),
    "SparseSegmentSqrtNWithNumSegments": _one(_segments_of("segment_sqrt_n")),
    "SparseSlice": _one(lambda indices, values, shape, start, size: _parts(_tf().sparse.slice(
        _sparse(indices, values, shape), start, size)), *_PARTS),
    "SparseSoftmax": _one(lambda sp_indices, sp_values, sp_shape: _tf().sparse.softmax(
        _sparse(sp_indices, sp_values, sp_shape)).values),
    "SparseTensorDenseAdd": _one(lambda a_indices, a_values, a_shape, b: _tf().sparse.add(
        _sparse(a_indices, a_values, a_shape), b)),
    "SparseTensorDenseMatMul": _one(_sparse_product),
}  # fmt: skip


def _reshaped(indices: Any, shape: Any, new_shape: Any) -> tuple[Any, Any]:
    tf = _tf()
    ones = tf.ones(tf.shape(indices)[:1])
    made = tf.sparse.reshape(_sparse(indices, ones, shape), new_shape)
    return made.indices, made.dense_shape


# ---- Variables and tables -----------------------------------------------------------------------
def _scattered(name: str) -> Callable[..., Any]:
    def scattered(resource: Any, indices: Any, updates: Any) -> None:
        tf = _tf()
        variable = _variable(resource)
        values = tf.convert_to_tensor(updates, variable.dtype)
        getattr(variable, name)(tf.IndexedSlices(values, tf.convert_to_tensor(indices)))

    return scattered


def _scattered_nd(name: str) -> Callable[..., Any]:
    def scattered(
        ref: Any, indices: Any, updates: Any, use_locking: bool = True,
        bad_indices_policy: str = "",
    ) -> None:  # fmt: skip
        getattr(_variable(ref), name)(indices, updates)

    return scattered


_STATE: dict[str, _Entry] = {
    "ReadVariableOp": _one(lambda resource, dtype=None: _tf().identity(
        _variable(resource).read_value())),
    "AssignVariableOp": _one(lambda resource, value, validate_shape=False: _nothing(
        _variable(resource).assign(value))),
    "AssignAddVariableOp": _one(lambda resource, value: _nothing(
        _variable(resource).assign_add(value))),
    "AssignSubVariableOp": _one(lambda resource, value: _nothing(
        _variable(resource).assign_sub(value))),
    "VariableShape": _one(lambda input, out_type=None: _tf().shape(
        _variable(input), out_type or _tf().int32)),
    "VarIsInitializedOp": _one(lambda resource: _tf().constant(True)),
    "ResourceGather": _one(lambda resource, indices, dtype=None, batch_dims=0,
                           validate_indices=True: _tf().gather(
                               _variable(resource), indices, batch_dims=batch_dims)),
    "ResourceGatherNd": _one(lambda resource, indices, dtype=None: _tf().gather_nd(
        _variable(resource), indices)),
    **{f"ResourceScatter{op}": _one(_scattered(f"scatter_{op.lower()}"))
       for op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Update")},
    **{f"ResourceScatterNd{op}": _one(_scattered_nd(f"scatter_nd_{op.lower()}"))
       for op in ("Add", "Sub", "Min", "Max", "Update")},
    "LookupTableFindV2": _one(lambda table_handle, keys, default_value: _found(
        table_handle, keys, default_value)),
    "LookupTableInsertV2": _one(lambda table_handle, keys, values: _nothing(
        table_handle.insert(keys, values))),
    "LookupTableRemoveV2": _one(lambda table_handle, keys: _nothing(table_handle.remove(keys))),
    "LookupTableSizeV2": _one(lambda table_handle: table_handle.size()),
    "LookupTableExportV2": _one(lambda table_handle: table_handle.export(), "keys", "values"),
}  # fmt: skip


def _nothing(result: Any) -> None:
    """What ops without outputs give."""


def _found(table: Any, keys: Any, default: Any) -> Any:
    from shardtape.lookup.tables import find

    tf = _tf()
    return find(tf.convert_to_tensor(keys, table.key_dtype),
                tf.convert_to_tensor(default, table.value_dtype), table=table)  # fmt: skip


ENTRIES: dict[str, _Entry] = {
    **_NUMBERS, **_ARRAYS, **_NETWORKS, **_RANDOM, **_SPARSE, **_STATE,
}  # fmt: skip


def named(type_name: str, outputs: tuple[str, ...], result: Any) -> Any:
    """Several outputs under their names, as TensorFlow gives them; a list for one as it is."""
    if not outputs or isinstance(result, Tensor):
        return result
    return namedtuple(type_name, outputs)(*result)


__all__ = ["ENTRIES", "named"]

"""Raw ops that are made of public functions: TensorFlow's types, arguments and outputs.

Each entry is a function with the arguments of the op's definition (attributes that only name types
are left out by the caller), and the names of its outputs where it has several. Those of sparse
tensors are in `raw_sparse.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape.raw_entries import Entry, entry, whole_numbers
from shardtape.raw_entries import library as _tf
from shardtape.raw_sparse import SPARSE
from shardtape.tensor import SymbolicTensor
from shardtape.variable_spec import variable_of


def _variable(resource: Any) -> Any:
    """The Variable of its handle."""
    return variable_of(resource) if type(resource) is SymbolicTensor else resource


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
    kind = tf.float64 if x.dtype == tf.float64 else tf.float32  # in which C++ compares both
    flat = tf.searchsorted(
        tf.cast(tf.constant(boundaries, tf.float32), kind),
        tf.cast(tf.reshape(x, [-1]), kind), "right",
    )  # fmt: skip
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


_NUMBERS: dict[str, Entry] = {
    "Add": entry(lambda x, y: _tf().add(x, y)),
    "ApproximateEqual": entry(lambda x, y, tolerance=1e-5: _tf().abs(
        _tf().subtract(x, y)) < tolerance),
    "Atan2": entry(lambda y, x: _tf().atan2(y, x)),
    "BatchMatMul": entry(_batch_matmul),
    "BatchMatMulV3": entry(_batch_matmul_v3),
    "BandedTriangularSolve": entry(lambda matrix, rhs, lower=True, adjoint=False:
                                  _tf().linalg.banded_triangular_solve(
                                      matrix, rhs, lower, adjoint)),
    "Bucketize": entry(_bucketize),
    "ClipByValue": entry(_clipped),
    "ConjugateTranspose": entry(lambda x, perm: _tf().transpose(x, perm, conjugate=True)),
    "Cross": entry(lambda a, b: _tf().linalg.cross(a, b)),
    "EuclideanNorm": entry(lambda input, axis, keep_dims=False: _tf().math.reduce_euclidean_norm(
        input, axis, keep_dims)),
    "Inv": entry(lambda x: _tf().math.reciprocal(x)),
    "LinSpace": entry(lambda start, stop, num: _tf().linspace(start, stop, num)),
    "MatrixSolveLs": entry(lambda matrix, rhs, l2_regularizer, fast=True: _tf().linalg.lstsq(
        matrix, rhs, l2_regularizer, fast)),
    "Mod": entry(lambda x, y: _tf().truncatemod(x, y)),
    "NthElement": entry(_nth),
    "PopulationCount": entry(_population_count),
    "Select": entry(lambda condition, x, y: _tf().where(condition, x, y)),
    "ToBool": entry(lambda input: _tf().reduce_any(_tf().cast(input, _tf().bool))),
    "TridiagonalMatMul": entry(lambda superdiag, maindiag, subdiag, rhs:
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
    ends = whole_numbers(k)
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


_ARRAYS: dict[str, Entry] = {
    "BatchToSpace": entry(lambda input, crops, block_size: _tf().batch_to_space(
        input, [block_size, block_size], crops)),
    "SpaceToBatch": entry(lambda input, paddings, block_size: _tf().space_to_batch(
        input, [block_size, block_size], paddings)),
    "Concat": entry(lambda concat_dim, values: _tf().concat(values, concat_dim)),
    "Diag": entry(lambda diagonal: _tf().linalg.tensor_diag(diagonal)),
    "DiagPart": entry(lambda input: _tf().linalg.tensor_diag_part(input)),
    "Empty": entry(lambda shape, dtype, init=False: _tf().zeros(shape, dtype)),
    "ExtractImagePatches": entry(lambda images, ksizes, strides, rates, padding:
                                _tf().image.extract_patches(
                                    images, ksizes, strides, rates, padding)),
    "ExtractVolumePatches": entry(lambda input, ksizes, strides, padding:
                                 _tf().extract_volume_patches(input, ksizes, strides, padding)),
    "Gather": entry(lambda params, indices, validate_indices=True: _tf().gather(params, indices)),
    "GuaranteeConst": entry(lambda input: _tf().identity(input)),
    "HistogramFixedWidth": entry(lambda values, value_range, nbins=100, dtype=None:
                                _tf().histogram_fixed_width(
                                    values, value_range, nbins, dtype or _tf().int32)),
    "MatrixDiag": entry(lambda diagonal: _tf().linalg.diag(diagonal)),
    "MatrixDiagV2": entry(_matrix_of),
    "MatrixDiagPart": entry(lambda input: _tf().linalg.diag_part(input)),
    "MatrixDiagPartV2": entry(_diagonals),
    "MatrixSetDiag": entry(_set_diagonal),
    "MatrixSetDiagV2": entry(lambda input, diagonal, k: _tf().linalg.set_diag(
        input, diagonal, k=_band(k), align="LEFT_LEFT")),
    "ParallelConcat": entry(lambda values, shape: _tf().concat(values, 0)),
    "ParallelDynamicStitch": entry(lambda indices, data: _tf().dynamic_stitch(indices, data)),
    "Reverse": entry(lambda tensor, dims: _tf().reverse(
        tensor, [i for i, d in enumerate(np.asarray(dims)) if d])),
    "ShapeN": entry(lambda input, out_type=None: _tf().shape_n(input, out_type or _tf().int32)),
    "SparseToDense": entry(_dense_of),
    "UniqueV2": entry(lambda x, axis, out_idx=None: _unique(x, axis, out_idx), "y", "idx"),
    "Bincount": entry(lambda arr, size, weights: _bincount(arr, size, weights)),
    "DenseBincount": entry(lambda input, size, weights, binary_output=False: _bincount(
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


_NETWORKS: dict[str, Entry] = {
    "BiasAddV1": entry(lambda value, bias: _tf().nn.bias_add(value, bias)),
    "Dilation2D": entry(_dilated),
    "DrawBoundingBoxes": entry(lambda images, boxes: _tf().image.draw_bounding_boxes(
        images, boxes, [[1.0, 0.0, 0.0, 1.0]])),
    "ExtractGlimpse": entry(lambda input, size, offsets, centered=True, normalized=True,
                           uniform_noise=True, noise="uniform": _tf().image.extract_glimpse(
                               input, size, offsets, centered, normalized, noise)),
    "FractionalAvgPool": entry(_fractional("fractional_avg_pool"), "output",
                              "row_pooling_sequence", "col_pooling_sequence"),
    "FractionalMaxPool": entry(_fractional("fractional_max_pool"), "output",
                              "row_pooling_sequence", "col_pooling_sequence"),
    "FusedBatchNorm": entry(_normalized(1), *_NORMALIZED),
    "FusedBatchNormV2": entry(_normalized(2), *_NORMALIZED),
    "FusedBatchNormV3": entry(_normalized(3), *_NORMALIZED, "reserve_space_3"),
    "InTopK": entry(lambda predictions, targets, k: _tf().nn.in_top_k(targets, predictions, k)),
    "NonMaxSuppression": entry(_suppressed),
    "NonMaxSuppressionV2": entry(_suppressed),
    "StaticRegexFullMatch": entry(lambda input, pattern: _tf().strings.regex_full_match(
        input, pattern)),
    "StaticRegexReplace": entry(lambda input, pattern, rewrite, replace_global=True:
                               _tf().strings.regex_replace(
                                   input, pattern, rewrite, replace_global)),
}  # fmt: skip


# ---- random numbers -----------------------------------------------------------------------------
_RANDOM: dict[str, Entry] = {
    "StatelessRandomNormal": entry(lambda shape, seed, dtype=None: _tf().random.stateless_normal(
        shape, seed, dtype=dtype or _tf().float32)),
    "StatelessTruncatedNormal": entry(lambda shape, seed, dtype=None:
                                     _tf().random.stateless_truncated_normal(
                                         shape, seed, dtype=dtype or _tf().float32)),
    "StatelessRandomUniform": entry(lambda shape, seed, dtype=None: _tf().random.stateless_uniform(
        shape, seed, dtype=dtype or _tf().float32)),
    "StatelessRandomUniformInt": entry(lambda shape, seed, minval, maxval: _whole(
        shape, seed, minval, maxval)),
    "StatelessRandomUniformFullInt": entry(lambda shape, seed, dtype=None:
                                          _tf().random.stateless_uniform(
                                              shape, seed, None, None, dtype or _tf().uint64)),
}  # fmt: skip


def _whole(shape: Any, seed: Any, minval: Any, maxval: Any) -> Any:
    low = _tf().convert_to_tensor(minval)
    return _tf().random.stateless_uniform(shape, seed, low, maxval, low.dtype)


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


_STATE: dict[str, Entry] = {
    "ReadVariableOp": entry(lambda resource, dtype=None: _tf().identity(
        _variable(resource).read_value())),
    "AssignVariableOp": entry(lambda resource, value, validate_shape=False: _nothing(
        _variable(resource).assign(value))),
    "AssignAddVariableOp": entry(lambda resource, value: _nothing(
        _variable(resource).assign_add(value))),
    "AssignSubVariableOp": entry(lambda resource, value: _nothing(
        _variable(resource).assign_sub(value))),
    "VariableShape": entry(lambda input, out_type=None: _tf().shape(
        _variable(input), out_type or _tf().int32)),
    "VarIsInitializedOp": entry(lambda resource: _tf().constant(True)),
    "ResourceGather": entry(lambda resource, indices, dtype=None, batch_dims=0,
                           validate_indices=True: _tf().gather(
                               _variable(resource), indices, batch_dims=batch_dims)),
    "ResourceGatherNd": entry(lambda resource, indices, dtype=None: _tf().gather_nd(
        _variable(resource), indices)),
    **{f"ResourceScatter{op}": entry(_scattered(f"scatter_{op.lower()}"))
       for op in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Update")},
    **{f"ResourceScatterNd{op}": entry(_scattered_nd(f"scatter_nd_{op.lower()}"))
       for op in ("Add", "Sub", "Min", "Max", "Update")},
    "LookupTableFindV2": entry(lambda table_handle, keys, default_value: _found(
        table_handle, keys, default_value)),
    "LookupTableInsertV2": entry(lambda table_handle, keys, values: _nothing(
        table_handle.insert(keys, values))),
    "LookupTableRemoveV2": entry(lambda table_handle, keys: _nothing(table_handle.remove(keys))),
    "LookupTableSizeV2": entry(lambda table_handle: table_handle.size()),
    "LookupTableExportV2": entry(lambda table_handle: table_handle.export(), "keys", "values"),
}  # fmt: skip


def _nothing(result: Any) -> None:
    """What ops without outputs give."""


def _found(table: Any, keys: Any, default: Any) -> Any:
    from shardtape.lookup.tables import find

    tf = _tf()
    return find(tf.convert_to_tensor(keys, table.key_dtype),
                tf.convert_to_tensor(default, table.value_dtype), table=table)  # fmt: skip


ENTRIES: dict[str, Entry] = {
    **_NUMBERS, **_ARRAYS, **_NETWORKS, **_RANDOM, **SPARSE, **_STATE,
}  # fmt: skip

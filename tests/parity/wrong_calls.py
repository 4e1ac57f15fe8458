"""Wrong calls of common functions with TensorFlow 2.15's errors: one table, long for its rows.

    PYTHON_OF_TF215 tests/parity/wrong_calls.py tests/parity/data/wrong_calls_tf215.json

records the classes ("none" where TensorFlow takes the call); `test_wrong_calls.py` compares them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def _ones(tf: Any, *shape: int) -> Any:
    return tf.ones(shape)


def _taped(tf: Any, use: Callable[[Any, Any, Any], Any], **options: Any) -> Any:
    x = tf.Variable(2.0)
    with tf.GradientTape(**options) as tape:
        y = x * x
    return use(tape, y, x)


def _variable(tf: Any) -> Any:
    return tf.Variable([1.0, 2.0])


def _function(tf: Any, *spec: Any) -> Any:
    @tf.function(input_signature=[tf.TensorSpec(*spec)])
    def f(x):
        return x + 1

    return f


CALLS: dict[str, Callable[[Any], Any]] = {
    # conversion
    "constant_ragged": lambda tf: tf.constant([[1, 2], [3]]),
    "constant_none": lambda tf: tf.constant(None),
    "constant_none_in_list": lambda tf: tf.constant([1, None]),
    "constant_mixed": lambda tf: tf.constant([1, "a"]),
    "constant_text_as_int": lambda tf: tf.constant("a", tf.int32),
    "constant_float_as_int": lambda tf: tf.constant(1.5, tf.int32),
    "constant_int_as_text": lambda tf: tf.constant(1, tf.string),
    "constant_int_as_bool": lambda tf: tf.constant(1, tf.bool),
    "constant_bool_as_int": lambda tf: tf.constant(True, tf.int32),
    "constant_bool_as_float": lambda tf: tf.constant(True, tf.float32),
    "constant_complex_as_float": lambda tf: tf.constant(1j, tf.float32),
    "constant_too_large": lambda tf: tf.constant(3000000000, tf.int32),
    "constant_negative_unsigned": lambda tf: tf.constant(-1, tf.uint8),
    "constant_object": lambda tf: tf.constant(object()),
    "constant_dict": lambda tf: tf.constant({"a": 1}),
    "constant_set": lambda tf: tf.constant({1, 2}),
    "constant_shape": lambda tf: tf.constant([1, 2, 3], shape=[2, 2]),
    "constant_bad_dtype": lambda tf: tf.constant(1, "nonsense"),
    "constant_tensor_dtype": lambda tf: tf.constant(tf.constant(1.5), tf.int32),
    "convert_other_dtype": lambda tf: tf.convert_to_tensor(tf.constant(1.5), tf.int32),
    "convert_array_dtype": lambda tf: tf.convert_to_tensor(np.array([1.5]), tf.int32),
    "convert_object_array": lambda tf: tf.convert_to_tensor(np.array([1, None], object)),
    "convert_tensor_and_none": lambda tf: tf.convert_to_tensor([tf.constant(1), None]),
    "convert_mixed_tensors": lambda tf: tf.convert_to_tensor([tf.constant(1), tf.constant(1.5)]),
    "convert_unlike_tensors": lambda tf: tf.convert_to_tensor([_ones(tf, 2), _ones(tf, 3)]),
    "as_dtype": lambda tf: tf.as_dtype("nonsense"),
    "as_dtype_none": lambda tf: tf.as_dtype(None),
    "cast_text": lambda tf: tf.cast("a", tf.int32),
    "cast_to_text": lambda tf: tf.cast(1, tf.string),
    "cast_none": lambda tf: tf.cast(None, tf.int32),
    "cast_bad_dtype": lambda tf: tf.cast(1, "nonsense"),
    # elementwise
    "add_int_float": lambda tf: tf.add(1, 1.5),
    "add_float_int": lambda tf: tf.add(1.5, 1),
    "add_tensor_float": lambda tf: tf.add(tf.constant(1), 1.5),
    "add_float_tensor": lambda tf: tf.add(1.5, tf.constant(1)),
    "add_tensors": lambda tf: tf.add(tf.constant(1), tf.constant(1.5)),
    "add_shapes": lambda tf: tf.add(_ones(tf, 2), _ones(tf, 3)),
    "add_none": lambda tf: tf.add(tf.constant(1), None),
    "add_none_first": lambda tf: tf.add(None, tf.constant(1)),
    "add_texts_numbers": lambda tf: tf.add("a", 1),
    "add_missing": lambda tf: tf.add(1),
    "add_keyword": lambda tf: tf.add(1, 2, foo=3),
    "add_bools": lambda tf: tf.add(True, False),
    "add_operator_text": lambda tf: tf.constant(1) + "a",
    "add_operator_none": lambda tf: tf.constant(1) + None,
    "add_operator_float": lambda tf: tf.constant(1) + 1.5,
    "add_operator_right": lambda tf: 1.5 + tf.constant(1),
    "add_operator_array": lambda tf: tf.constant([1]) + np.array([1.5]),
    "add_operator_list": lambda tf: tf.constant([1, 2]) + [1, 2, 3],
    "add_operator_object": lambda tf: tf.constant(1) + object(),
    "add_operator_dict": lambda tf: tf.constant(1) + {"a": 1},
    "subtract_texts": lambda tf: tf.constant("a") - tf.constant("b"),
    "multiply_text": lambda tf: tf.constant("a") * 2,
    "multiply_int_float": lambda tf: tf.multiply(2, 1.5),
    "subtract_int_float": lambda tf: tf.subtract(2, 1.5),
    "divide_int_float": lambda tf: tf.divide(2, 1.5),
    "divide_tensors": lambda tf: tf.constant(1) / tf.constant(1.5),
    "divide_text": lambda tf: tf.divide("a", 2),
    "floordiv_zero": lambda tf: tf.constant(1) // 0,
    "maximum_int_float": lambda tf: tf.maximum(1, 1.5),
    "pow_int_float": lambda tf: tf.pow(2, 1.5),
    "pow_tensor_float": lambda tf: tf.constant(2) ** 0.5,
    "matmul_operator_list": lambda tf: tf.ones([2, 2]) @ [1.0, 2.0],
    "negative_text": lambda tf: -tf.constant("a"),
    "negative_bool": lambda tf: tf.negative(True),
    "abs_text": lambda tf: tf.abs("a"),
    "abs_bool": lambda tf: tf.abs(True),
    "sqrt_int": lambda tf: tf.sqrt(4),
    "sqrt_text": lambda tf: tf.sqrt("a"),
    "sqrt_none": lambda tf: tf.sqrt(None),
    "exp_int": lambda tf: tf.exp(1),
    "exp_int_tensor": lambda tf: tf.exp(tf.constant(1)),
    "log_int": lambda tf: tf.math.log(2),
    "log_bool": lambda tf: tf.math.log(True),
    "sin_int": lambda tf: tf.sin(1),
    "sigmoid_int": lambda tf: tf.sigmoid(1),
    "tanh_int": lambda tf: tf.tanh(1),
    "floor_int": lambda tf: tf.floor(1),
    "round_text": lambda tf: tf.round("a"),
    "square_text": lambda tf: tf.square("a"),
    "add_n_empty": lambda tf: tf.add_n([]),
    "add_n_shapes": lambda tf: tf.add_n([_ones(tf, 2), _ones(tf, 3)]),
    "add_n_mixed": lambda tf: tf.add_n([tf.constant(1), tf.constant(1.5)]),
    "add_n_scalar": lambda tf: tf.add_n(3),
    # comparison and logic
    "equal_int_text": lambda tf: tf.equal(1, "a"),
    "equal_int_float": lambda tf: tf.equal(1, 1.5),
    "equal_tensors": lambda tf: tf.equal(tf.constant(1), tf.constant(1.5)),
    "equal_shapes": lambda tf: tf.equal(_ones(tf, 2), _ones(tf, 3)),
    "less_texts": lambda tf: tf.less("a", "b"),
    "less_int_float": lambda tf: tf.less(1, 1.5),
    "less_operator_text": lambda tf: tf.constant(1) < "a",
    "logical_and_ints": lambda tf: tf.logical_and(1, 0),
    "logical_not_int": lambda tf: tf.logical_not(1),
    "and_operator_floats": lambda tf: tf.constant(1.0) & tf.constant(1.0),
    "where_int": lambda tf: tf.where(1, 2, 3),
    "where_shapes": lambda tf: tf.where([True, False], [1, 2, 3], [4, 5, 6]),
    "where_one_branch": lambda tf: tf.where([True], 1),
    "where_mixed": lambda tf: tf.where([True], 1, 1.5),
    "where_texts_numbers": lambda tf: tf.where([True], 1, "a"),
    "bool_of_vector": lambda tf: bool(tf.constant([True, False])),
    "bool_of_text": lambda tf: bool(tf.constant("a")),
    "int_of_vector": lambda tf: int(tf.constant([1, 2])),
    "float_of_text": lambda tf: float(tf.constant("a")),
    "len_of_scalar": lambda tf: len(tf.constant(1)),
    "iterate_scalar": lambda tf: list(tf.constant(1)),
    "hash_tensor": lambda tf: hash(tf.constant(1)),
    "in_tensor": lambda tf: "a" in tf.constant([1, 2]),
    "range_of_float": lambda tf: range(tf.constant(1.5)),
    # reductions
    "reduce_sum_axis": lambda tf: tf.reduce_sum(_ones(tf, 2, 3), axis=2),
    "reduce_sum_negative_axis": lambda tf: tf.reduce_sum(_ones(tf, 2, 3), axis=-3),
    "reduce_sum_text": lambda tf: tf.reduce_sum(["a"]),
    "reduce_sum_bool": lambda tf: tf.reduce_sum([True]),
    "reduce_sum_none": lambda tf: tf.reduce_sum(None),
    "reduce_sum_axis_float": lambda tf: tf.reduce_sum(_ones(tf, 2, 3), axis=1.5),
    "reduce_sum_axis_text": lambda tf: tf.reduce_sum(_ones(tf, 2, 3), axis="a"),
    "reduce_sum_axis_twice": lambda tf: tf.reduce_sum(_ones(tf, 2, 3), axis=[0, 0]),
    "reduce_sum_keepdims": lambda tf: tf.reduce_sum(_ones(tf, 2), keepdims="yes"),
    "reduce_sum_keep_dims": lambda tf: tf.reduce_sum(_ones(tf, 2), keep_dims=True),
    "reduce_sum_ragged_list": lambda tf: tf.reduce_sum([[1], [2, 3]]),
    "reduce_mean_bool": lambda tf: tf.reduce_mean([True]),
    "reduce_mean_text": lambda tf: tf.reduce_mean("a"),
    "reduce_max_bool": lambda tf: tf.reduce_max([True]),
    "reduce_all_int": lambda tf: tf.reduce_all([1]),
    "reduce_std_int": lambda tf: tf.math.reduce_std([1, 2]),
    "argmax_axis": lambda tf: tf.argmax(_ones(tf, 2), axis=1),
    "argmax_text": lambda tf: tf.argmax(["a"]),
    "argmax_scalar": lambda tf: tf.argmax(1),
    "argsort_scalar": lambda tf: tf.argsort(1),
    "argsort_axis": lambda tf: tf.argsort(_ones(tf, 2), axis=1),
    "argsort_direction": lambda tf: tf.argsort([1, 2], direction="UP"),
    "sort_scalar": lambda tf: tf.sort(1),
    "sort_axis": lambda tf: tf.sort(_ones(tf, 2), axis=3),
    "sort_direction": lambda tf: tf.sort([1, 2], direction="UP"),
    "sort_text": lambda tf: tf.sort(["a", "b"]),
    "top_k_scalar": lambda tf: tf.math.top_k(1),
    "top_k_many": lambda tf: tf.math.top_k([1, 2], k=3),
    "top_k_negative": lambda tf: tf.math.top_k([1, 2], k=-1),
    "top_k_float": lambda tf: tf.math.top_k([1, 2], k=1.5),
    "cumsum_axis": lambda tf: tf.cumsum([1, 2], axis=1),
    "cumsum_text": lambda tf: tf.cumsum(["a"]),
    "unique_matrix": lambda tf: tf.unique(_ones(tf, 2, 2)),
    "bincount_negative": lambda tf: tf.math.bincount([-1]),
    "bincount_float": lambda tf: tf.math.bincount([1.5]),
    "bincount_none": lambda tf: tf.math.bincount(None),
    "segment_sum_lengths": lambda tf: tf.math.segment_sum([1, 2, 3], [0, 1]),
    "segment_sum_order": lambda tf: tf.math.segment_sum([1, 2], [1, 0]),
    "confusion_matrix": lambda tf: tf.math.confusion_matrix([1, 2], [1]),
    "confusion_matrix_negative": lambda tf: tf.math.confusion_matrix([-1], [1]),
    # shapes
    "reshape_size": lambda tf: tf.reshape([1, 2, 3], [2, 2]),
    "reshape_two_unknown": lambda tf: tf.reshape([1, 2, 3, 4], [-1, -1]),
    "reshape_negative": lambda tf: tf.reshape([1, 2], [-2, -1]),
    "reshape_float": lambda tf: tf.reshape([1, 2], [2.0]),
    "reshape_none": lambda tf: tf.reshape([1, 2], None),
    "reshape_none_inside": lambda tf: tf.reshape([1, 2], [None, 2]),
    "reshape_text": lambda tf: tf.reshape([1, 2], "a"),
    "reshape_matrix": lambda tf: tf.reshape([1, 2], [[2]]),
    "reshape_indivisible": lambda tf: tf.reshape([1, 2, 3], [2, -1]),
    "transpose_perm": lambda tf: tf.transpose(_ones(tf, 2, 3), [0]),
    "transpose_twice": lambda tf: tf.transpose(_ones(tf, 2, 3), [0, 0]),
    "transpose_range": lambda tf: tf.transpose(_ones(tf, 2, 3), [0, 2]),
    "transpose_float": lambda tf: tf.transpose(_ones(tf, 2, 3), [0.0, 1.0]),
    "expand_dims_axis": lambda tf: tf.expand_dims([1, 2], 3),
    "expand_dims_missing": lambda tf: tf.expand_dims([1, 2]),
    "expand_dims_none": lambda tf: tf.expand_dims([1, 2], None),
    "expand_dims_float": lambda tf: tf.expand_dims([1, 2], 1.5),
    "squeeze_axis": lambda tf: tf.squeeze(_ones(tf, 2, 1), axis=0),
    "squeeze_range": lambda tf: tf.squeeze(_ones(tf, 2, 1), axis=5),
    "concat_shapes": lambda tf: tf.concat([_ones(tf, 2, 2), _ones(tf, 3, 3)], 0),
    "concat_ranks": lambda tf: tf.concat([_ones(tf, 2), _ones(tf, 2, 2)], 0),
    "concat_axis": lambda tf: tf.concat([_ones(tf, 2), _ones(tf, 2)], 1),
    "concat_scalars": lambda tf: tf.concat([1, 2], 0),
    "concat_mixed": lambda tf: tf.concat([[1], [1.5]], 0),
    "concat_mixed_tensors": lambda tf: tf.concat([tf.constant([1]), tf.constant([1.5])], 0),
    "concat_empty": lambda tf: tf.concat([], 0),
    "concat_no_axis": lambda tf: tf.concat([[1], [2]]),
    "concat_axis_none": lambda tf: tf.concat([[1], [2]], None),
    "concat_none": lambda tf: tf.concat(None, 0),
    "stack_shapes": lambda tf: tf.stack([_ones(tf, 2), _ones(tf, 3)]),
    "stack_mixed": lambda tf: tf.stack([1, 1.5]),
    "stack_texts": lambda tf: tf.stack([1, "a"]),
    "stack_empty": lambda tf: tf.stack([]),
    "stack_axis": lambda tf: tf.stack([_ones(tf, 2), _ones(tf, 2)], axis=3),
    "stack_scalar": lambda tf: tf.stack(1),
    "unstack_num": lambda tf: tf.unstack([1, 2], num=3),
    "unstack_scalar": lambda tf: tf.unstack(1),
    "unstack_axis": lambda tf: tf.unstack([1, 2], axis=2),
    "split_sizes": lambda tf: tf.split([1, 2, 3], [1, 1]),
    "split_indivisible": lambda tf: tf.split([1, 2, 3], 2),
    "split_zero": lambda tf: tf.split([1, 2, 3], 0),
    "split_axis": lambda tf: tf.split([1, 2, 3], 3, axis=1),
    "split_scalar": lambda tf: tf.split(1, 1),
    "tile_rank": lambda tf: tf.tile([1, 2], [1, 2]),
    "tile_float": lambda tf: tf.tile([1, 2], [1.5]),
    "tile_negative": lambda tf: tf.tile([1, 2], [-1]),
    "tile_scalar": lambda tf: tf.tile([1, 2], 2),
    "repeat_lengths": lambda tf: tf.repeat([1, 2, 3], [1, 2]),
    "repeat_axis": lambda tf: tf.repeat([1, 2, 3], 2, axis=1),
    "repeat_float": lambda tf: tf.repeat([1, 2, 3], 1.5),
    "repeat_text": lambda tf: tf.repeat([1, 2, 3], "a"),
    "repeat_negative": lambda tf: tf.repeat([1, 2, 3], -1),
    "repeat_matrix": lambda tf: tf.repeat([1, 2], [[1, 2], [3, 4]]),
    "repeat_none": lambda tf: tf.repeat([1, 2], None),
    "pad_rank": lambda tf: tf.pad(_ones(tf, 2, 2), [[1, 1]]),
    "pad_negative": lambda tf: tf.pad([1, 2], [[-1, 0]]),
    "pad_mode": lambda tf: tf.pad([1, 2], [[1, 1]], mode="NONSENSE"),
    "pad_reflect": lambda tf: tf.pad([1, 2], [[2, 2]], mode="REFLECT"),
    "pad_float": lambda tf: tf.pad([1, 2], [[1.5, 1.5]]),
    "reverse_axis": lambda tf: tf.reverse([1, 2], [1]),
    "reverse_scalar_axis": lambda tf: tf.reverse([1, 2], 0),
    "roll_axis": lambda tf: tf.roll([1, 2], 1, 2),
    "broadcast_to": lambda tf: tf.broadcast_to(_ones(tf, 3), [2, 2]),
    "broadcast_to_rank": lambda tf: tf.broadcast_to(_ones(tf, 2, 2), [2]),
    "meshgrid_indexing": lambda tf: tf.meshgrid([1], [2], indexing="zz"),
    "ensure_shape": lambda tf: tf.ensure_shape([1, 2], [3]),
    "set_shape": lambda tf: tf.constant([1, 2]).set_shape([3]),
    "fill_negative": lambda tf: tf.fill([-1], 1),
    "fill_float": lambda tf: tf.fill([1.5], 1),
    "fill_vector": lambda tf: tf.fill([2], [1, 2]),
    "zeros_negative": lambda tf: tf.zeros([-1]),
    "zeros_float": lambda tf: tf.zeros([1.5]),
    "zeros_none": lambda tf: tf.zeros([None]),
    "zeros_text": lambda tf: tf.zeros("a"),
    "zeros_bad_dtype": lambda tf: tf.zeros([1], "nonsense"),
    "ones_text_dtype": lambda tf: tf.ones([1], tf.string),
    "ones_none": lambda tf: tf.ones(None),
    "eye_negative": lambda tf: tf.eye(-1),
    "eye_float": lambda tf: tf.eye(1.5),
    "range_step": lambda tf: tf.range(0, 3, 0),
    "range_direction": lambda tf: tf.range(3, 0, 1),
    "range_text": lambda tf: tf.range("a"),
    "range_none": lambda tf: tf.range(None),
    "range_vector": lambda tf: tf.range([1, 2]),
    "linspace_num": lambda tf: tf.linspace(0.0, 1.0, 0),
    "linspace_ints": lambda tf: tf.linspace(0, 1, 3),
    "linspace_num_float": lambda tf: tf.linspace(0.0, 1.0, 2.5),
    "one_hot_depth": lambda tf: tf.one_hot([0, 1], -1),
    "one_hot_float": lambda tf: tf.one_hot([0.0, 1.0], 2),
    "one_hot_depth_float": lambda tf: tf.one_hot([0, 1], 2.5),
    "one_hot_depth_none": lambda tf: tf.one_hot([0, 1], None),
    "one_hot_values": lambda tf: tf.one_hot([0], 2, on_value=1, off_value=0.5),
    "sequence_mask_float": lambda tf: tf.sequence_mask([1.5]),
    # indexing
    "index_range": lambda tf: tf.constant([1, 2])[5],
    "index_float": lambda tf: tf.constant([1, 2])[1.5],
    "index_text": lambda tf: tf.constant([1, 2])["a"],
    "index_many": lambda tf: tf.constant([1, 2])[0, 0],
    "index_list": lambda tf: tf.constant([1, 2])[[0, 1]],
    "index_step_zero": lambda tf: tf.constant([1, 2])[::0],
    "index_assign": lambda tf: tf.constant([1, 2]).__setitem__(0, 3),
    "index_float_tensor": lambda tf: tf.constant([1, 2])[tf.constant(1.0)],
    "index_slice_float": lambda tf: tf.constant([1, 2])[0.5:],
    "index_two_ellipses": lambda tf: tf.constant([[1, 2]])[..., 0, ...],
    "gather_range": lambda tf: tf.gather([1, 2], 5),
    "gather_negative": lambda tf: tf.gather([1, 2], -1),
    "gather_float": lambda tf: tf.gather([1, 2], 0.5),
    "gather_axis": lambda tf: tf.gather([1, 2], 0, axis=2),
    "gather_batch_dims": lambda tf: tf.gather([1, 2], [0], batch_dims=3),
    "gather_none": lambda tf: tf.gather(None, 0),
    "gather_scalar": lambda tf: tf.gather(1, 0),
    "gather_nd_range": lambda tf: tf.gather_nd([[1, 2]], [[5, 0]]),
    "gather_nd_depth": lambda tf: tf.gather_nd([1, 2], [[0, 0]]),
    "gather_nd_float": lambda tf: tf.gather_nd([1, 2], [[0.5]]),
    "boolean_mask_shape": lambda tf: tf.boolean_mask([1, 2, 3], [True, False]),
    "boolean_mask_scalar": lambda tf: tf.boolean_mask([1, 2, 3], True),
    "boolean_mask_ints": lambda tf: tf.boolean_mask([1, 2], [1, 0]),
    "slice_size": lambda tf: tf.slice([1, 2], [1], [5]),
    "slice_rank": lambda tf: tf.slice([1, 2], [0, 0], [1, 1]),
    "slice_begin": lambda tf: tf.slice([1, 2], [-1], [1]),
    "slice_float": lambda tf: tf.slice([1, 2], [0.5], [1]),
    "scatter_nd_range": lambda tf: tf.scatter_nd([[5]], [1], [2]),
    "scatter_nd_shapes": lambda tf: tf.scatter_nd([[0], [1]], [1], [2]),
    "scatter_nd_update_range": lambda tf: tf.tensor_scatter_nd_update([1, 2], [[5]], [1]),
    "scatter_nd_update_dtype": lambda tf: tf.tensor_scatter_nd_update([1, 2], [[0]], [1.5]),
    "scatter_nd_add_shape": lambda tf: tf.tensor_scatter_nd_add([1, 2], [[0]], [1, 2]),
    "dynamic_partition_range": lambda tf: tf.dynamic_partition([1, 2], [0, 5], 2),
    "dynamic_stitch_lengths": lambda tf: tf.dynamic_stitch([[0]], [[1], [2]]),
    # linear algebra
    "matmul_shapes": lambda tf: tf.matmul(_ones(tf, 2, 3), _ones(tf, 2, 3)),
    "matmul_vectors": lambda tf: tf.matmul(_ones(tf, 2), _ones(tf, 2)),
    "matmul_vector": lambda tf: tf.matmul(_ones(tf, 2, 2), _ones(tf, 2)),
    "matmul_scalar": lambda tf: tf.matmul(1.0, 2.0),
    "matmul_mixed": lambda tf: tf.matmul(tf.ones([2, 2]), tf.ones([2, 2], tf.float64)),
    "matmul_ints_floats": lambda tf: tf.matmul([[1]], [[1.5]]),
    "matmul_text": lambda tf: tf.matmul([["a"]], [["b"]]),
    "matmul_none": lambda tf: tf.matmul(None, _ones(tf, 2, 2)),
    "matmul_batch": lambda tf: tf.matmul(_ones(tf, 2, 3, 3), _ones(tf, 4, 3, 3)),
    "matmul_both_transposed": lambda tf: tf.matmul(
        _ones(tf, 2, 2), _ones(tf, 2, 2), transpose_a=True, adjoint_a=True
    ),
    "matvec_shapes": lambda tf: tf.linalg.matvec(_ones(tf, 2, 3), _ones(tf, 2)),
    "tensordot_axes": lambda tf: tf.tensordot(_ones(tf, 2), _ones(tf, 3), 1),
    "tensordot_many_axes": lambda tf: tf.tensordot(_ones(tf, 2), _ones(tf, 2), 3),
    "einsum_equation": lambda tf: tf.einsum("ij,jk->", _ones(tf, 2, 2)),
    "einsum_shapes": lambda tf: tf.einsum("ij,jk->ik", _ones(tf, 2, 3), _ones(tf, 2, 3)),
    "einsum_label": lambda tf: tf.einsum("ij->k", _ones(tf, 2, 3)),
    "einsum_rank": lambda tf: tf.einsum("ijk->i", _ones(tf, 2, 3)),
    "inv_shape": lambda tf: tf.linalg.inv(_ones(tf, 2, 3)),
    "inv_singular": lambda tf: tf.linalg.inv(_ones(tf, 2, 2)),
    "inv_ints": lambda tf: tf.linalg.inv([[1]]),
    "inv_vector": lambda tf: tf.linalg.inv([1.0]),
    "det_shape": lambda tf: tf.linalg.det(_ones(tf, 2, 3)),
    "solve_shapes": lambda tf: tf.linalg.solve(_ones(tf, 2, 2), _ones(tf, 3, 1)),
    "solve_vector": lambda tf: tf.linalg.solve(tf.eye(2), _ones(tf, 2)),
    "solve_singular": lambda tf: tf.linalg.solve(_ones(tf, 2, 2), _ones(tf, 2, 1)),
    "cholesky_indefinite": lambda tf: tf.linalg.cholesky([[-1.0]]),
    "cholesky_shape": lambda tf: tf.linalg.cholesky(_ones(tf, 2, 3)),
    "eigh_shape": lambda tf: tf.linalg.eigh(_ones(tf, 2, 3)),
    "svd_vector": lambda tf: tf.linalg.svd([1.0]),
    "qr_ints": lambda tf: tf.linalg.qr([[1]]),
    "trace_scalar": lambda tf: tf.linalg.trace(1.0),
    "norm_text": lambda tf: tf.norm("a"),
    "norm_ord": lambda tf: tf.norm(_ones(tf, 2), ord="nonsense"),
    "norm_ints": lambda tf: tf.norm([1, 2]),
    "diag_scalar": lambda tf: tf.linalg.diag(1.0),
    "band_part_vector": lambda tf: tf.linalg.band_part([1.0], 0, 0),
    "cross_shape": lambda tf: tf.linalg.cross([1.0, 2.0], [3.0, 4.0]),
    # networks
    "relu_text": lambda tf: tf.nn.relu("a"),
    "softmax_int": lambda tf: tf.nn.softmax([1, 2]),
    "softmax_axis": lambda tf: tf.nn.softmax(_ones(tf, 2), axis=2),
    "softmax_scalar": lambda tf: tf.nn.softmax(1.0),
    "cross_entropy_shapes": lambda tf: tf.nn.softmax_cross_entropy_with_logits(
        labels=_ones(tf, 2, 3), logits=_ones(tf, 2, 2)
    ),
    "cross_entropy_positional": lambda tf: tf.nn.softmax_cross_entropy_with_logits(_ones(tf, 2, 3)),
    "sparse_cross_entropy_ranks": lambda tf: tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=[[1]], logits=[[1.0, 2.0]]
    ),
    "sparse_cross_entropy_floats": lambda tf: tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=[1.0], logits=[[1.0, 2.0]]
    ),
    "sparse_cross_entropy_range": lambda tf: tf.nn.sparse_softmax_cross_entropy_with_logits(
        labels=[5], logits=[[1.0, 2.0]]
    ),
    "sigmoid_cross_entropy": lambda tf: tf.nn.sigmoid_cross_entropy_with_logits(
        labels=_ones(tf, 2), logits=_ones(tf, 3)
    ),
    "conv2d_channels": lambda tf: tf.nn.conv2d(
        _ones(tf, 1, 4, 4, 3), _ones(tf, 2, 2, 2, 1), 1, "SAME"
    ),
    "conv2d_padding": lambda tf: tf.nn.conv2d(
        _ones(tf, 1, 4, 4, 1), _ones(tf, 2, 2, 1, 1), 1, "NONSENSE"
    ),
    "conv2d_strides": lambda tf: tf.nn.conv2d(
        _ones(tf, 1, 4, 4, 1), _ones(tf, 2, 2, 1, 1), [1, 2, 3], "SAME"
    ),
    "conv2d_zero_stride": lambda tf: tf.nn.conv2d(
        _ones(tf, 1, 4, 4, 1), _ones(tf, 2, 2, 1, 1), 0, "SAME"
    ),
    "conv2d_ints": lambda tf: tf.nn.conv2d(
        tf.ones([1, 4, 4, 1], tf.int64), tf.ones([2, 2, 1, 1], tf.int64), 1, "SAME"
    ),
    "conv2d_large_filter": lambda tf: tf.nn.conv2d(
        _ones(tf, 1, 2, 2, 1), _ones(tf, 3, 3, 1, 1), 1, "VALID"
    ),
    "max_pool_padding": lambda tf: tf.nn.max_pool2d(_ones(tf, 1, 2, 2, 1), 2, 2, "NONSENSE"),
    "avg_pool_ksize": lambda tf: tf.nn.avg_pool2d(_ones(tf, 1, 2, 2, 1), 0, 1, "SAME"),
    "bias_add_shape": lambda tf: tf.nn.bias_add(_ones(tf, 2, 3), _ones(tf, 2)),
    "bias_add_rank": lambda tf: tf.nn.bias_add(_ones(tf, 2, 3), _ones(tf, 2, 3)),
    "dropout_rate": lambda tf: tf.nn.dropout(_ones(tf, 2), 1.5),
    "dropout_ints": lambda tf: tf.nn.dropout([1, 2], 0.5),
    "dropout_none": lambda tf: tf.nn.dropout(_ones(tf, 2), None),
    "embedding_range": lambda tf: tf.nn.embedding_lookup(_ones(tf, 2, 2), [5]),
    "embedding_none": lambda tf: tf.nn.embedding_lookup(None, [0]),
    "embedding_float_ids": lambda tf: tf.nn.embedding_lookup(_ones(tf, 2, 2), [0.5]),
    "in_top_k_ranks": lambda tf: tf.math.in_top_k([1], [1.0], 1),
    "moments_missing": lambda tf: tf.nn.moments(_ones(tf, 2)),
    "l2_normalize_text": lambda tf: tf.nn.l2_normalize("a"),
    "clip_by_value_mixed": lambda tf: tf.clip_by_value([1, 2], 0.5, 1.5),
    "clip_by_value_shape": lambda tf: tf.clip_by_value(_ones(tf, 2), _ones(tf, 3), 1.0),
    "clip_by_norm_ints": lambda tf: tf.clip_by_norm([1, 2], 1),
    # variables
    "variable_none": lambda tf: tf.Variable(None),
    "variable_missing": lambda tf: tf.Variable(),
    "variable_shape": lambda tf: tf.Variable([1.0, 2.0], shape=[3]),
    "variable_dtype": lambda tf: tf.Variable(1.5, dtype=tf.int32),
    "assign_shape": lambda tf: _variable(tf).assign([1.0]),
    "assign_dtype": lambda tf: _variable(tf).assign(tf.constant([1, 2])),
    "assign_text": lambda tf: _variable(tf).assign("a"),
    "assign_none": lambda tf: _variable(tf).assign(None),
    "assign_add_shape": lambda tf: _variable(tf).assign_add([1.0]),
    "assign_add_text": lambda tf: _variable(tf).assign_add("a"),
    "assign_item": lambda tf: _variable(tf).__setitem__(0, 1.0),
    "variable_plus_text": lambda tf: _variable(tf) + "a",
    "scatter_update_range": lambda tf: _variable(tf).scatter_nd_update([[5]], [1.0]),
    # tapes
    "gradient_of_number": lambda tf: _taped(tf, lambda tape, y, x: tape.gradient(1.0, x)),
    "gradient_of_text": lambda tf: _taped(tf, lambda tape, y, x: tape.gradient("a", x)),
    "gradient_of_none": lambda tf: _taped(tf, lambda tape, y, x: tape.gradient(None, x)),
    "gradient_by_number": lambda tf: _taped(tf, lambda tape, y, x: tape.gradient(y, 1.0)),
    "gradient_by_text": lambda tf: _taped(tf, lambda tape, y, x: tape.gradient(y, "a")),
    "gradient_by_none": lambda tf: _taped(tf, lambda tape, y, x: tape.gradient(y, None)),
    "gradient_by_nones": lambda tf: _taped(tf, lambda tape, y, x: tape.gradient(y, [x, None])),
    "gradient_by_array": lambda tf: _taped(tf, lambda tape, y, x: tape.gradient(y, np.ones(2))),
    "gradient_twice": lambda tf: _taped(
        tf, lambda tape, y, x: (tape.gradient(y, x), tape.gradient(y, x))
    ),
    "gradient_shape": lambda tf: _taped(
        tf, lambda tape, y, x: tape.gradient(y, x, output_gradients=[1.0, 2.0])
    ),
    "gradient_unconnected": lambda tf: _taped(
        tf, lambda tape, y, x: tape.gradient(y, x, unconnected_gradients="nonsense")
    ),
    "jacobian_of_number": lambda tf: _taped(tf, lambda tape, y, x: tape.jacobian(1.0, x)),
    "jacobian_of_none": lambda tf: _taped(tf, lambda tape, y, x: tape.jacobian(None, x)),
    "batch_jacobian_scalar": lambda tf: _taped(
        tf, lambda tape, y, x: tape.batch_jacobian(y, x.read_value())
    ),
    "watch_number": lambda tf: tf.GradientTape().watch(1.0),
    "watch_text": lambda tf: tf.GradientTape().watch("a"),
    "watch_none": lambda tf: tf.GradientTape().watch(None),
    "stop_recording": lambda tf: tf.GradientTape().stop_recording().__enter__(),
    "enter_tape_twice": lambda tf: _taped(tf, lambda tape, y, x: tape.__exit__(None, None, None)),
    "gradients_eager": lambda tf: tf.gradients(tf.constant(1.0), tf.constant(1.0)),
    # functions
    "signature_dtype": lambda tf: _function(tf, [2], tf.float32)(tf.constant([1, 2])),
    "signature_shape": lambda tf: _function(tf, [2], tf.float32)(_ones(tf, 3)),
    "signature_text": lambda tf: _function(tf, [2], tf.float32)("a"),
    "signature_missing": lambda tf: _function(tf, [2], tf.float32)(),
    "signature_surplus": lambda tf: _function(tf, [2], tf.float32)(_ones(tf, 2), 1),
    "signature_keyword": lambda tf: _function(tf, [2], tf.float32)(y=_ones(tf, 2)),
    "function_shapes": lambda tf: tf.function(lambda a, b: a + b)(_ones(tf, 2), _ones(tf, 3)),
    "function_dtypes": lambda tf: tf.function(lambda a, b: a + b)(tf.constant(1), tf.constant(1.5)),
    "function_of_number": lambda tf: tf.function(3),
    "function_matmul": lambda tf: tf.function(tf.matmul)(_ones(tf, 2, 3), _ones(tf, 2, 3)),
    "function_reshape": lambda tf: tf.function(lambda x: tf.reshape(x, [2, 2]))(_ones(tf, 3)),
    "function_bool": lambda tf: tf.function(lambda x: bool(x > 0), autograph=False)(_ones(tf)),
    "function_numpy": lambda tf: tf.function(lambda x: x.numpy())(_ones(tf)),
    "function_axis": lambda tf: tf.function(lambda x: tf.reduce_sum(x, 3))(_ones(tf, 2)),
    "function_array": lambda tf: tf.function(lambda x: np.array(x))(_ones(tf, 2)),
    "cond_no_tensor": lambda tf: tf.cond(tf.constant([True, False]), lambda: 1, lambda: 2),
    "cond_no_function": lambda tf: tf.cond(tf.constant(True), 1, 2),
    "map_fn_scalar": lambda tf: tf.map_fn(lambda x: x, tf.constant(1)),
    "map_fn_no_function": lambda tf: tf.map_fn(3, tf.constant([1])),
    "switch_case_text": lambda tf: tf.switch_case("a", [lambda: 1]),
    "case_empty": lambda tf: tf.case([]),
    "scan_scalar": lambda tf: tf.scan(lambda a, x: a + x, tf.constant(1)),
    # strings
    "join_numbers": lambda tf: tf.strings.join([1, 2]),
    "split_numbers": lambda tf: tf.strings.split(1),
    "length_number": lambda tf: tf.strings.length(1),
    "upper_number": lambda tf: tf.strings.upper(1),
    "to_number_text": lambda tf: tf.strings.to_number("abc"),
    "to_number_dtype": lambda tf: tf.strings.to_number("1", tf.bool),
    "regex_bad": lambda tf: tf.strings.regex_replace("a", "(", "b"),
    "substr_range": lambda tf: tf.strings.substr("abc", 5, 1),
    "format_count": lambda tf: tf.strings.format("{} {}", [1]),
    "decode_base64": lambda tf: tf.io.decode_base64("!"),
    "decode_raw_size": lambda tf: tf.io.decode_raw(b"abc", tf.int32),
    "parse_tensor": lambda tf: tf.io.parse_tensor(b"abc", tf.int32),
    "read_file_missing": lambda tf: tf.io.read_file("/nowhere/at/all"),
    "decode_png_garbage": lambda tf: tf.io.decode_png(b"abc"),
    # random numbers
    "normal_ints": lambda tf: tf.random.normal([2], dtype=tf.int32),
    "normal_shape": lambda tf: tf.random.normal([-1]),
    "normal_shape_float": lambda tf: tf.random.normal([1.5]),
    "normal_shape_none": lambda tf: tf.random.normal(None),
    "uniform_ints": lambda tf: tf.random.uniform([2], dtype=tf.int32),
    "uniform_empty_range": lambda tf: tf.random.uniform([2], 3, 1, dtype=tf.int32),
    "uniform_text": lambda tf: tf.random.uniform([2], "a", "b"),
    "shuffle_scalar": lambda tf: tf.random.shuffle(1),
    "categorical_vector": lambda tf: tf.random.categorical([1.0, 2.0], 1),
    "stateless_seed": lambda tf: tf.random.stateless_normal([2], seed=1),
    # images
    "resize_rank": lambda tf: tf.image.resize(_ones(tf, 2), [2, 2]),
    "resize_size": lambda tf: tf.image.resize(_ones(tf, 1, 2, 2, 1), 3),
    "resize_size_three": lambda tf: tf.image.resize(_ones(tf, 1, 2, 2, 1), [1, 2, 3]),
    "resize_method": lambda tf: tf.image.resize(_ones(tf, 1, 2, 2, 1), [2, 2], method="nonsense"),
    "crop_large": lambda tf: tf.image.crop_to_bounding_box(_ones(tf, 2, 2, 1), 0, 0, 3, 3),
    "crop_negative": lambda tf: tf.image.crop_to_bounding_box(_ones(tf, 2, 2, 1), -1, 0, 1, 1),
    "random_crop_large": lambda tf: tf.image.random_crop(_ones(tf, 2, 2, 1), [3, 3, 1]),
    "grayscale_channels": lambda tf: tf.image.rgb_to_grayscale(_ones(tf, 2, 2, 2)),
    "grayscale_to_rgb": lambda tf: tf.image.grayscale_to_rgb(_ones(tf, 2, 2, 3)),
    "flip_rank": lambda tf: tf.image.flip_left_right(_ones(tf, 2)),
    "adjust_hue_range": lambda tf: tf.image.adjust_hue(_ones(tf, 2, 2, 3), 2.0),
    "random_contrast_bounds": lambda tf: tf.image.random_contrast(_ones(tf, 2, 2, 3), 2.0, 1.0),
    "random_brightness": lambda tf: tf.image.random_brightness(_ones(tf, 2, 2, 3), -1.0),
    "convert_image_text": lambda tf: tf.image.convert_image_dtype("a", tf.float32),
    # data
    "slices_scalar": lambda tf: tf.data.Dataset.from_tensor_slices(1),
    "slices_lengths": lambda tf: tf.data.Dataset.from_tensor_slices(([1, 2], [1, 2, 3])),
    "slices_none": lambda tf: tf.data.Dataset.from_tensor_slices(None),
    "slices_ragged": lambda tf: tf.data.Dataset.from_tensor_slices([[1], [2, 3]]),
    "batch_zero": lambda tf: tf.data.Dataset.range(3).batch(0),
    "batch_float": lambda tf: tf.data.Dataset.range(3).batch(1.5),
    "batch_text": lambda tf: tf.data.Dataset.range(3).batch("a"),
    "batch_unlike": lambda tf: list(
        tf.data.Dataset.range(1, 3).map(lambda n: tf.ones([n])).batch(2)
    ),
    "take_text": lambda tf: tf.data.Dataset.range(3).take("a"),
    "shuffle_zero": lambda tf: tf.data.Dataset.range(3).shuffle(0),
    "map_no_function": lambda tf: tf.data.Dataset.range(3).map(3),
    "map_arguments": lambda tf: tf.data.Dataset.range(3).map(lambda a, b: a),
    "filter_number": lambda tf: tf.data.Dataset.range(3).filter(lambda x: x),
    "zip_numbers": lambda tf: tf.data.Dataset.zip((1, 2)),
    "concatenate_types": lambda tf: tf.data.Dataset.range(3).concatenate(
        tf.data.Dataset.from_tensors("a")
    ),
    "generator_none": lambda tf: tf.data.Dataset.from_generator(None, tf.int32),
    "generator_type": lambda tf: list(
        tf.data.Dataset.from_generator(lambda: iter(["a"]), output_types=tf.int32)
    ),
    "window_zero": lambda tf: tf.data.Dataset.range(3).window(0),
    "repeat_text_count": lambda tf: tf.data.Dataset.range(3).repeat("a"),
    "skip_none": lambda tf: tf.data.Dataset.range(3).skip(None),
    "shard_index": lambda tf: tf.data.Dataset.range(3).shard(2, 5),
    "len_unknown": lambda tf: len(tf.data.Dataset.range(3).filter(lambda x: x > 1)),
    "len_infinite": lambda tf: len(tf.data.Dataset.range(3).repeat()),
    "reduce_missing": lambda tf: tf.data.Dataset.range(3).reduce(0),
    "padded_shapes": lambda tf: list(
        tf.data.Dataset.range(1, 3).map(lambda n: tf.ones([n])).padded_batch(2, [1])
    ),
    # checks, ragged and sparse tensors, others
    "assert_equal": lambda tf: tf.debugging.assert_equal(1, 2),
    "assert_shapes": lambda tf: tf.debugging.assert_shapes([(_ones(tf, 2), (3,))]),
    "assert_rank": lambda tf: tf.debugging.assert_rank(_ones(tf, 2), 2),
    "assert_type": lambda tf: tf.debugging.assert_type(1, tf.float32),
    "check_numerics": lambda tf: tf.debugging.check_numerics([np.nan], "bad"),
    "Assert": lambda tf: tf.debugging.Assert(False, [1]),
    "ragged_depth": lambda tf: tf.ragged.constant([1, [2]]),
    "ragged_mixed": lambda tf: tf.ragged.constant([[1], ["a"]]),
    "row_splits": lambda tf: tf.RaggedTensor.from_row_splits([1, 2], [0, 5]),
    "row_lengths": lambda tf: tf.RaggedTensor.from_row_lengths([1, 2], [5]),
    "ragged_plus": lambda tf: tf.ragged.constant([[1], [2, 3]]) + tf.ragged.constant([[1, 2], [3]]),
    "sparse_shapes": lambda tf: tf.SparseTensor([[0, 0]], [1, 2], [2, 2]),
    "sparse_rank": lambda tf: tf.SparseTensor([[0, 0]], [1], [2]),
    "sparse_order": lambda tf: tf.sparse.to_dense(tf.SparseTensor([[1], [0]], [1, 2], [2])),
    "sparse_no_sparse": lambda tf: tf.sparse.to_dense([1]),
    "sparse_matmul": lambda tf: tf.sparse.sparse_dense_matmul(
        tf.sparse.from_dense([[1.0, 0.0]]), _ones(tf, 3, 1)
    ),
    "tensor_array_range": lambda tf: tf.TensorArray(tf.float32, 2).read(5),
    "tensor_array_dtype": lambda tf: tf.TensorArray(tf.float32, 2).write(0, "a"),
    "tensor_array_write_range": lambda tf: tf.TensorArray(tf.float32, 2).write(5, 1.0),
    "tensor_spec": lambda tf: tf.TensorSpec("a", tf.float32),
    "tensor_shape": lambda tf: tf.TensorShape([1, "a"]),
    "tensor_shape_merge": lambda tf: tf.TensorShape([1]).merge_with([2]),
    "nest_structures": lambda tf: tf.nest.map_structure(lambda a, b: a, [1], [1, 2]),
    "nest_same": lambda tf: tf.nest.assert_same_structure([1], {"a": 1}),
    "nest_pack": lambda tf: tf.nest.pack_sequence_as([1, 2], [1]),
    "device_name": lambda tf: tf.device("/nonsense:0").__enter__(),
    "numpy_function": lambda tf: tf.numpy_function(lambda x: x + 1, [1], tf.float32),
    "custom_gradient": lambda tf: tf.custom_gradient(lambda x: x)(_ones(tf, 2)),
    "checkpoint_missing": lambda tf: tf.train.Checkpoint().restore("/nowhere/at/all").foo,
    "load_missing": lambda tf: tf.saved_model.load("/nowhere/at/all"),
    "table_dtype": lambda tf: tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["a"], [1]), -1
    ).lookup(tf.constant([1])),
    "table_default": lambda tf: tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(["a"], [1]), "b"
    ),
    "no_such_name": lambda tf: tf.nonsense,
    "no_such_math": lambda tf: tf.math.nonsense,
    "no_such_method": lambda tf: tf.constant(1).nonsense,
}


# Where this framework refuses in another class, on purpose.
OTHERWISE: dict[str, tuple[str, str]] = {
    # name: (class here, why)
    "add_int_float": ("TypeError", "tf.add and + are one function here, + raises it"),
    "add_tensor_float": ("TypeError", "tf.add and + are one function here, + raises it"),
    "add_float_tensor": ("TypeError", "tf.add and + are one function here, + raises it"),
    "add_texts_numbers": ("TypeError", "tf.add and + are one function here, + raises it"),
    "add_operator_object": ("TypeError", "what Python raises for operands without a sum"),
    "add_operator_dict": ("TypeError", "what Python raises for operands without a sum"),
    "range_of_float": ("TypeError", "TensorFlow's is an accident (a number has no __index__)"),
    "range_text": ("TypeError", "TensorFlow's is a failed assertion"),
    "matmul_ints_floats": ("TypeError", "the second argument is converted to the first's dtype"),
    "jacobian_of_none": ("ValueError", "TensorFlow's is an accident (None has no dtype)"),
    "batch_jacobian_scalar": ("ValueError", "TensorFlow's is an accident of indexing"),
    "map_fn_no_function": ("TypeError", "TensorFlow's is an accident of AutoGraph"),
    "scan_scalar": ("ValueError", "TensorFlow's is an accident of indexing"),
    "tensor_array_dtype": ("TypeError", "a value is converted to the array's dtype"),
}


def outcome(call: Callable[[Any], Any], tf: Any) -> tuple[str, BaseException | None]:
    """(name of the error's class or "none", the error)."""
    try:
        call(tf)
    except Exception as error:  # noqa: BLE001 - any class is an answer here
        return type(error).__name__, error
    return "none", None


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    import tensorflow

    found = {name: outcome(call, tensorflow)[0] for name, call in CALLS.items()}
    Path(sys.argv[1]).write_text(json.dumps(found, indent=0, sort_keys=True) + "\n")
    print(f"{len(found)} calls of TensorFlow {tensorflow.__version__}")

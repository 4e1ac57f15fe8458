"""Lists of numpy's scalars and arrays become tensors by TensorFlow's rules, figures of 2.15."""

from __future__ import annotations

import numpy as np
import pytest

import shardtape as tf

f16, f32, f64 = np.float16, np.float32, np.float64
i64, u8 = np.int64, np.uint8


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        ([i64(1), i64(2)], tf.int32),
        ([i64(2**40), 1], tf.int64),
        ([i64(1), 2.5], tf.float32),
        ([i64(1), True], tf.int32),
        ([u8(200), u8(1)], tf.int32),
        ([f64(3), 1], tf.float64),
        ([1.0, f64(3)], tf.float32),
        ([f32(1), 2.0], tf.float32),
        ([f32(1), f64(2)], tf.float32),
        ([f16(1), 2.0], tf.float16),
        ([np.complex64(1)], tf.complex128),
        ([np.array([1, 2]), np.array([3, 4])], tf.int32),
        ([np.ones((2, 2), u8)] * 2, tf.int32),
        ([np.ones(2, f32), np.ones(2, f32)], tf.float32),
        ([np.ones(2), [1.0, 2.0]], tf.float64),
        ([np.array([1, 2]), np.array([1.5, 2.0])], tf.float32),
        ([np.zeros((0,), u8)], tf.float32),
        ([np.array(["a"])], tf.string),
    ],
)
def test_the_first_leaf_decides(value, dtype):
    made = tf.constant(value)
    assert made.dtype == dtype
    assert tf.convert_to_tensor(value).dtype == dtype
    assert tf.Variable(value).dtype == dtype
    if dtype != tf.string:
        np.testing.assert_array_equal(made.numpy(), np.array(value))


def test_they_meet_lists_of_python_numbers():
    total = tf.constant([i64(1), i64(2)]) + tf.constant([3, 4])
    assert total.dtype == tf.int32
    assert total.numpy().tolist() == [4, 6]


def test_stacked_arrays():
    assert tf.stack([np.arange(3), np.arange(3)]).dtype == tf.int32
    assert tf.ragged.constant([np.array([1, 2]), np.array([1])]).dtype == tf.int32


@pytest.mark.parametrize(
    "value", [[np.bool_(True), 1], [f32(1), np.complex64(1j)], [np.array([True]), np.array([1])]]
)
def test_kinds_that_do_not_mix(value):
    with pytest.raises(ValueError, match="mixed types"):
        tf.constant(value)


def test_a_number_that_int64_does_not_hold():
    with pytest.raises(ValueError, match="out-of-range"):
        tf.constant([np.uint64(2**63)])


def test_datasets_keep_the_dtype_that_arrays_share():
    spec = tf.data.Dataset.from_tensor_slices([np.ones((2, 2), u8)] * 2).element_spec
    assert spec == tf.TensorSpec((2, 2), tf.uint8)
    assert tf.data.Dataset.from_tensor_slices([i64(1)]).element_spec.dtype == tf.int32
    mixed = tf.data.Dataset.from_tensor_slices([np.array([1, 2]), np.array([1.5, 2.0])])
    assert mixed.element_spec.dtype == tf.float32


@pytest.mark.parametrize(
    "value", [np.datetime64("2020-01-01"), np.longdouble(1), np.zeros(2, [("a", "i4")])]
)
def test_dtypes_of_numpy_that_no_tensor_has(value):
    with pytest.raises(ValueError, match="Failed to convert a NumPy array to a Tensor"):
        tf.constant(value)


def test_an_unknown_size_in_the_shape_of_a_constant():
    with pytest.raises(ValueError, match="must be >= 0"):
        tf.constant([1, 2, 3, 4], shape=(2, -1))


def test_a_list_of_another_librarys_arrays():
    class Row:
        """As of a library whose dtypes are not numpy's."""

        dtype = object()

        def __init__(self, values):
            self._values = np.array(values)

        def __array__(self, dtype=None, copy=None):
            return self._values

        def __len__(self):
            return len(self._values)

        def __getitem__(self, i):
            return self._values[i]

    assert tf.constant([Row([1.0, 2.0]), Row([3.0, 4.0])]).numpy().tolist() == [[1, 2], [3, 4]]

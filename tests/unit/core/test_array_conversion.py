"""numpy arrays and truth values where another dtype is wanted; TensorFlow 2.15's results."""

import numpy as np
import pytest

import shardtape as tf

ARRAYS = {  # int32, float32, complex64, bool
    "float": (np.array([1.5, -2.7]), [1, -2], [1.5, -2.7], [1.5 + 0j, -2.7 + 0j], [True, True]),
    "half": (np.array([1.5], np.float16), [1], [1.5], [1.5 + 0j], [True]),
    "unsigned": (np.array([200, 0], np.uint8), [200, 0], [200, 0], [200, 0], [True, False]),
    "complex": (np.array([1 + 2j]), [1], [1], [1 + 2j], [True]),
    "bool": (np.array([True, False]), [1, 0], [1, 0], [1, 0], [True, False]),
    "scalar": (np.float64(2.7), 2, 2.7, 2.7 + 0j, True),
    "objects": (np.array([1, 2], object), [1, 2], [1, 2], [1, 2], [True, True]),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.filterwarnings("error")
def test_arrays_are_cast(name):
    array, *expected = ARRAYS[name]
    for dtype, want in zip((tf.int32, tf.float32, tf.complex64, tf.bool), expected):
        for convert in (tf.constant, tf.convert_to_tensor):
            made = convert(array, dtype)
            assert made.dtype is dtype
            np.testing.assert_allclose(made.numpy(), want, rtol=1e-6)
        traced = tf.data.Dataset.range(1).map(lambda _, wanted=dtype: tf.constant(array, wanted))
        np.testing.assert_allclose(next(iter(traced)).numpy(), want, rtol=1e-6)


def test_python_values_are_not():
    for value in (1.5, [1.5], [np.float32(1.5)], [np.array([1.5])], 1j):
        with pytest.raises(TypeError):
            tf.constant(value, tf.int32)
    for dtype in (tf.int32, tf.int64, tf.float32, tf.float64):
        assert tf.constant(True, dtype).numpy() == 1
        assert tf.constant([[True, False]], dtype).numpy().tolist() == [[1, 0]]
    for dtype in (tf.uint8, tf.complex64, tf.string):
        with pytest.raises(TypeError):
            tf.constant([True], dtype)


def test_operands_follow_the_tensor():
    one = tf.constant(1)
    assert (one + np.array([1.5])).numpy().tolist() == [2]
    assert (one + True).numpy() == 2 and (one + True).dtype is tf.int32
    assert (tf.constant(2.0) * np.array([True, False])).numpy().tolist() == [2.0, 0.0]
    assert (np.array([1.5]) + tf.constant([1])).numpy().tolist() == [2]
    assert (tf.constant([1, 2]) == np.array([1.0, 2.5])).numpy().tolist() == [True, True]
    assert tf.maximum(tf.constant(3), np.float64(2.5)).numpy() == 3
    with pytest.raises(TypeError):
        one * 1.5
    variable = tf.Variable(0.0)
    assert variable.assign(np.array(3)).numpy() == 3.0 and variable.assign(True).numpy() == 1.0
    assert tf.Variable(np.array([1.5]), dtype=tf.int32).numpy().tolist() == [1]


def test_a_truth_value_is_an_index():
    assert [7, 8][tf.constant(True)] == 8 and [7, 8][tf.constant(0)] == 7
    with pytest.raises(TypeError):
        [7, 8][tf.constant(1.0)]

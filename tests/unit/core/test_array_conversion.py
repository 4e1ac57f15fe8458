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


@pytest.mark.parametrize(
    "value",
    [
        [1, "a"], ["a", 1], [[1, 2], ["a", "b"]], [True, 1], [True, 1.5], [1, 1j], [1.5, 1j],
        [True, "a"], ["a", None], [1, b"a"], [["a", "b"], [1, 2]],
    ],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [None, tf.string])
def test_sequences_of_mixed_types_are_refused(value, dtype):
    # as TensorFlow 2.15 does, also where numpy has a common type
    with pytest.raises(ValueError, match=r"Can't convert Python sequence with mixed types to Ten"):
        tf.constant(value, dtype)


@pytest.mark.parametrize(
    ("value", "dtype", "wanted"),
    [
        ([1, True], None, tf.int32), ([1.5, True], None, tf.float32), ([1, 2.5], None, tf.float32),
        ([1j, 1], None, tf.complex128), ([True, 1], tf.int32, tf.int32),
        ([True, 1.5], tf.float32, tf.float32),
    ],
)  # fmt: skip
def test_sequences_of_mixed_numbers(value, dtype, wanted):
    got = tf.constant(value, dtype)
    assert got.dtype is wanted
    np.testing.assert_array_equal(got, value)


def test_sequences_of_mixed_numbers_in_a_function():
    got = tf.function(lambda: (tf.constant([True, 1]), tf.constant([4.0, 1 + 0.5j])))()
    assert [t.dtype for t in got] == [tf.int32, tf.complex128]
    given = tf.constant([4.0, 1 + 0.5j], tf.complex128)
    np.testing.assert_array_equal(given, [4, 1 + 0.5j])


def test_nothing_in_a_sequence_of_another_type():
    for dtype in (None, tf.int32, tf.string):
        with pytest.raises(ValueError, match="None"):
            tf.constant([None, 1], dtype)
    with pytest.raises(TypeError, match="int32"):
        tf.constant(["a", "b"], tf.int32)


def test_numbers_go_round_in_integer_types():
    pixels = tf.constant([1, 200], tf.uint8)
    traced = tf.function(lambda: (pixels * -1, tf.constant(300, tf.uint8)))
    assert [x.numpy().tolist() for x in traced()] == [[255, 56], 44]
    assert (pixels + 300).numpy().tolist() == [45, 244]
    assert (pixels > 300).numpy().tolist() == [False, True]
    assert tf.pad(pixels, [[1, 0]], constant_values=-1).numpy().tolist() == [255, 1, 200]
    assert tf.constant(2**31, tf.int32).numpy() == -(2**31)
    assert (tf.constant([1]) * 2**40).numpy().tolist() == [0]
    assert tf.constant(True, tf.uint64).numpy() == 1
    with pytest.raises(ValueError, match="out-of-range integer"):
        tf.constant(2**63, tf.int32)
    assert tf.constant([300, -1], tf.uint8).numpy().tolist() == [44, 255]
    assert tf.constant([1, 2**63], tf.uint64).numpy().tolist() == [1, 2**63]
    for value in (-1, [-1], [1, 2**64]):
        with pytest.raises(TypeError):
            tf.constant(value, tf.uint64)

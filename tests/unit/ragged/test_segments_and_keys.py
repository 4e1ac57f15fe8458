"""Segments of ragged rows and wrong keys; TensorFlow 2.15's results."""

import numpy as np
import pytest

import shardtape as tf

DIGITS = tf.ragged.constant([[3, 1, 4, 1], [], [5, 9, 2], [6], []])
DEEP = tf.ragged.constant([[[1, 2, 3], [4]], [[5], [], [6]], [[7]], [[8, 9], [10]]])
UNIFORM = tf.RaggedTensor.from_uniform_row_length(tf.ragged.constant([[1], [2, 3], [4], [5, 6]]), 2)


@pytest.mark.parametrize(
    ("function", "data", "count", "expected"),
    [
        ("sum", DIGITS, 2, [[8, 10, 6, 1], [6]]),
        ("max", DIGITS, 2, [[5, 9, 4, 1], [6]]),
        ("min", DIGITS, 3, [[3, 1, 2, 1], [6], []]),
        ("prod", DIGITS, 2, [[15, 9, 8, 1], [6]]),
        ("mean", tf.cast(DIGITS, tf.float32), 2, [[4.0, 5.0, 3.0, 1.0], [6.0]]),
        ("sum", DEEP, 2, [[[8, 2, 3], [4]], [[13, 9], [10], [6]]]),
    ],
)
def test_segments_of_rows(function, data, count, expected):
    ids = [0, 1, 0, 1, 0][: data.shape[0]]
    reduce = getattr(tf.math, f"unsorted_segment_{function}")
    assert reduce(data, ids, count).to_list() == expected
    assert tf.function(reduce)(data, tf.constant(ids), count).to_list() == expected


def test_segments_of_elements():
    ids = tf.ragged.constant([[0, 1], [0, 1, 0], [1], [0, 0]])
    assert tf.math.unsorted_segment_sum(DEEP, ids, 2).to_list() == [[30, 11, 3], [11]]
    mean = tf.math.unsorted_segment_mean(tf.cast(DEEP, tf.float32), ids, 2)
    assert mean.to_list() == [[6.0, 5.5, 3.0], [5.5]]
    root = tf.math.unsorted_segment_sqrt_n(tf.cast(DIGITS, tf.float32), [0, 1, 0, 1, 0], 2)
    np.testing.assert_allclose(root.flat_values, [5.656854, 7.071068, 4.242641, 1.0, 6.0], 1e-6)
    with pytest.raises(ValueError, match="segment_ids is ragged"):
        tf.math.unsorted_segment_sum(tf.ones([2, 2]), tf.ragged.constant([[0], [1]]), 2)


def test_negative_indices_that_are_tensors():
    last = tf.constant(-1)
    assert DEEP[last].to_list() == [[8, 9], [10]]
    assert tf.function(lambda i: DEEP[i])(last).to_list() == [[8, 9], [10]]
    assert UNIFORM[:, last].to_list() == UNIFORM[:, np.int64(-1)].to_list() == [[2, 3], [5, 6]]
    assert UNIFORM[last, last, last].numpy() == 6
    assert DEEP[[1, 2]].numpy().tolist() == [6]


@pytest.mark.parametrize(
    ("key", "error"),
    [
        (9, IndexError),
        (tf.constant(9), IndexError),
        (-9, tf.errors.InvalidArgumentError),
        ("a", TypeError),
        (1.5, TypeError),
        (True, ValueError),
        (slice("a"), TypeError),
        ((slice(None), slice(1.5)), TypeError),
        (tf.constant([1, 2]), TypeError),
    ],
)
def test_wrong_keys(key, error):
    with pytest.raises(error):
        DIGITS[key]


def test_a_wrong_key_of_uniform_rows():
    for column in (5, -5, tf.constant(7)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Index out of bounds"):
            UNIFORM[:, column]


def test_dynamic_partitions_of_rows_and_elements():
    rows = tf.ragged.stack_dynamic_partitions(DIGITS, [0, 1, 0, 1, 0], 2)
    assert rows.to_list() == [[[3, 1, 4, 1], [5, 9, 2], []], [[], [6]]]
    ids = tf.ragged.constant([[0, 1, 0, 1], [], [0, 1, 0], [1], []])
    parts = tf.ragged.stack_dynamic_partitions(DIGITS, ids, 2)
    assert parts.to_list() == [[3, 4, 5, 2], [1, 1, 9, 6]]
    with pytest.raises(tf.errors.InvalidArgumentError, match="partition 5"):
        tf.ragged.stack_dynamic_partitions([1, 2], [0, 5], 2)
    with pytest.raises(ValueError):
        tf.ragged.stack_dynamic_partitions([1, 2], [0], 2)


def test_another_number_of_values():
    for values in ([1], 3):
        with pytest.raises(ValueError):
            DIGITS.with_values(values)
    with pytest.raises(ValueError):
        DIGITS.with_flat_values([1, 2])
    assert DIGITS.with_values(tf.ones([8, 2])).shape == (5, None, 2)
    for length, nrows in ((2, None), (-1, None), (0, None), (2, 3)):
        with pytest.raises(ValueError):
            tf.RaggedTensor.from_uniform_row_length([1, 2, 3], length, nrows)
    with pytest.raises(ValueError):
        tf.RaggedTensor.from_value_rowids([3, 1, 4], [0, 0, 2], nrows=1)

"""Bands of diagonals; the values are TensorFlow 2.15's (more of them in the registry's record)."""

import numpy as np
import pytest

import shardtape as tf

X = np.arange(1, 9).reshape(2, 4)


@pytest.mark.parametrize(
    ("align", "want"),
    [
        ("LEFT_RIGHT", [[3, 8], [2, 7], [1, 6], [-1, 5]]),
        ("RIGHT_LEFT", [[3, 8], [2, 7], [1, 6], [5, -1]]),
        ("LEFT_LEFT", [[3, 8], [2, 7], [1, 6], [5, -1]]),
    ],
)
def test_a_band_is_packed_as_align_says(align, want):
    packed = tf.linalg.diag_part(X, k=(-1, 2), padding_value=-1, align=align)
    np.testing.assert_array_equal(packed, want)
    rest = tf.linalg.diag(packed, k=(-1, 2), num_rows=2, num_cols=4, align=align)
    np.testing.assert_array_equal(rest, np.where(X == 4, 0, X))
    negated = tf.linalg.set_diag(X, -packed, k=(-1, 2), align=align)
    np.testing.assert_array_equal(negated, np.where(X == 4, X, -X))


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tf.linalg.diag_part(X, k=(1, 0)), "lowest diagonal is above the highest"),
        (lambda: tf.linalg.diag_part(X, k=(0, 1, 2)), "one diagonal or"),
        (lambda: tf.linalg.diag_part(X, k=(0, 4)), "diagonal 4 does not lie in a matrix of 2 x 4"),
        (lambda: tf.linalg.diag_part(X, align="LEFT"), "`align` must be one of LEFT_RIGHT"),
        (lambda: tf.linalg.diag(np.ones((3, 3)), k=(0, 1)), "takes 2 rows"),
        (lambda: tf.linalg.set_diag(X, np.ones((2, 3), int), k=(0, 2)), "must have shape"),
    ],
)
def test_bands_that_are_refused(call, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        call()


def test_a_band_in_a_function_with_unknown_sizes():
    @tf.function(input_signature=[tf.TensorSpec([None, None], tf.int64)])
    def packed(x):
        found = tf.linalg.diag_part(x, k=(0, 1))
        assert found.shape.as_list() == [2, None]
        return found

    np.testing.assert_array_equal(packed(X), [[2, 7], [1, 6]])


@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3)])
def test_diagonals_without_elements(shape):
    diagonal = np.zeros(shape)
    made = tf.linalg.diag(diagonal)
    assert made.shape.as_list() == [*shape, shape[-1]]
    assert tf.linalg.set_diag(made, diagonal).shape == made.shape
    assert tf.linalg.diag_part(made).shape.as_list() == list(shape)

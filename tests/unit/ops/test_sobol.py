"""`tf.math.sobol_sample`; the points are TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf


def test_points():
    first = [[0.5] * 3, [0.75, 0.25, 0.25], [0.25, 0.75, 0.75], [0.375, 0.375, 0.625]]
    np.testing.assert_array_equal(tf.math.sobol_sample(3, 4), first)
    later = tf.math.sobol_sample(3, 2, skip=2, dtype=tf.float64)
    np.testing.assert_array_equal(later, first[2:])
    assert later.dtype == tf.float64
    np.testing.assert_array_equal(tf.math.sobol_sample(1, 2, 1), [[0.75], [0.25]])


def test_every_dimension_is_stratified():
    points = tf.math.sobol_sample(1111, 255, dtype=tf.float64).numpy()
    want = np.arange(1, 256) / 256
    for column in points.T:  # with the origin, 256 points lie one in each interval of 1/256
        np.testing.assert_array_equal(np.sort(column), want)


def test_the_shape_is_known_in_a_function():
    sample = tf.function(lambda: tf.math.sobol_sample(2, 5)).get_concrete_function()
    assert sample.outputs[0].shape.as_list() == [5, 2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((0, 3), "at least one"),
        ((3, 2, -1), "non-negative"),
        ((1112, 1), "at most 1111"),
        ((2, 3, 2**31 - 4), "must be less than 2147483647"),
        ((2, 3, 0, tf.float16), "float32 or float64, not float16"),
    ],
)
def test_what_is_refused(arguments, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        tf.math.sobol_sample(*arguments)

"""Gradients that are not finite: a place that a mask shuts gets zero, as TensorFlow 2.15 has it."""

import numpy as np
import pytest

import shardtape as tf

X = np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0, 7.0], np.float32)
inf, nan = np.inf, np.nan


@pytest.mark.parametrize("upstream", [inf, nan])
@pytest.mark.parametrize(
    ("function", "passes"),
    [
        (tf.nn.leaky_relu, [1, 1, 1, 1, 1, 1, 1]),
        (lambda x: tf.clip_by_value(x, -1.0, 1.0), [0, 1, 1, 1, 1, 0, 0]),
        (lambda x: tf.maximum(x, 0.75), [0, 0, 0, 0, 1, 1, 1]),
        (lambda x: tf.where(x > 0.0, x, 2.0), [0, 0, 0, 1, 1, 1, 1]),
        (lambda x: tf.math.unsorted_segment_max(x, [0, 0, 0, 1, 1, -1, 1], 2),
         [0, 0, 1, 0, 0, 0, 1]),
        (lambda x: tf.nn.max_pool1d(tf.reshape(x, [1, 7, 1]), 2, 2, "SAME"),
         [0, 1, 0, 1, 0, 1, 1]),
        (lambda x: tf.nn.max_pool1d(tf.reshape(x, [1, 7, 1]), 3, 1, "SAME"),
         [0, 1, 1, 1, 1, 1, 1]),
    ],
)  # fmt: skip
def test_a_closed_place_gets_zero(function, passes, upstream):
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    got = tape.gradient(y, x, output_gradients=tf.fill(tf.shape(y), upstream))
    np.testing.assert_array_equal(got, [upstream if p else 0.0 for p in passes])

"""`argmax` and `argmin` of rows with NaN; recorded from TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

NAN, INF = float("nan"), float("inf")
ROWS = [[1, NAN, 3], [NAN, 1, 2], [NAN] * 3, [1, 2, NAN], [INF, 1, NAN], [-INF, NAN, -INF],
        [INF, INF, 1], [-INF] * 3, [3, 1, 2]]  # fmt: skip


@pytest.mark.parametrize("dtype", [tf.float32, tf.float64, tf.float16, tf.bfloat16])
def test_nan_is_never_the_place(dtype):
    x = tf.constant(ROWS, dtype)
    for call in (lambda f, *a: f(*a), lambda f, *a: tf.function(f)(*a)):
        np.testing.assert_array_equal(call(tf.argmax, x, 1), [2, 2, 0, 1, 0, 0, 0, 0, 0])
        np.testing.assert_array_equal(call(tf.argmin, x, 1), [0, 1, 0, 0, 1, 0, 2, 0, 1])
        np.testing.assert_array_equal(call(tf.argmax, x, 0), [4, 6, 0])
    wide = tf.tile(x, [1, 9])
    np.testing.assert_array_equal(tf.argmax(wide, 1), [2, 2, 0, 1, 0, 0, 0, 0, 0])


def test_accuracy_counts_predictions_that_are_nan_as_keras():
    metric = tf.keras.metrics.SparseCategoricalAccuracy()
    metric.update_state([0, 1], [[NAN, NAN], [NAN, 0.5]])
    assert metric.result().numpy() == 1.0

"""`tf.nn.isotonic_regression`; the values are TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf


@pytest.mark.parametrize(
    ("inputs", "options", "values", "runs", "dtype"),
    [
        ([3.0, 1.0, 2.0], {}, [3, 1.5, 1.5], [0, 1, 1], tf.float32),
        ([3.0, 1.0, 2.0], {"decreasing": False}, [2, 2, 2], [0, 0, 1], tf.float32),
        ([3, 1, 2], {}, [3, 1.5, 1.5], [0, 1, 1], tf.float64),
        (np.int8([[1, 3], [2, 1]]), {}, [[2, 2], [2, 1]], [[0, 0], [0, 1]], tf.float32),
        ([1.0, 1.0, 1.0], {}, [1, 1, 1], [0, 1, 2], tf.float32),
        ([[3.0, 1.0], [4.0, 2.0]], {"axis": 0}, [[3.5, 1.5]] * 2, [[0, 0]] * 2, tf.float32),
        ([[], []], {}, [[], []], [[], []], tf.float32),
        (5.0, {}, 5.0, 0, tf.float32),
    ],
)
def test_values_and_runs(inputs, options, values, runs, dtype):
    found, numbers = tf.nn.isotonic_regression(inputs, **options)
    np.testing.assert_allclose(found, values)
    np.testing.assert_array_equal(numbers, runs)
    assert found.dtype == dtype and numbers.dtype == tf.int32


def test_the_gradient_is_the_mean_of_each_run_also_with_unknown_sizes():
    @tf.function(input_signature=[tf.TensorSpec([None, None])])
    def gradient(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            values, _ = tf.nn.isotonic_regression(x, decreasing=False)
            total = tf.reduce_sum(values * [1.0, 2.0, 3.0, 4.0, 5.0])
        return tape.gradient(total, x)

    np.testing.assert_allclose(gradient([[3.0, 1, 2, 5, 4]]), [[1.5, 1.5, 3, 4.5, 4.5]])
    np.testing.assert_allclose(gradient([[2.0, 1, 3, 5, 4]]), [[1.5, 1.5, 3, 4.5, 4.5]])

"""A gradient of zero at places where the slope is not finite; numbers of TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

inf, nan = np.inf, np.nan
X = [0.0, 4.0, -1.0, inf, nan]


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize(
    ("function", "at_zero", "at_one"),
    [
        (tf.sqrt, [0, 0, 0, 0, 0], [inf, 0.25, nan, 0, nan]),
        (tf.math.rsqrt, [0, 0, 0, 0, 0], [-inf, -0.0625, nan, 0, nan]),
        (tf.math.reciprocal, [0, 0, 0, 0, 0], [-inf, -0.0625, -1, 0, nan]),
        (tf.math.log, [nan, 0, 0, 0, nan], [inf, 0.25, -1, 0, nan]),
        (lambda x: x**0.5, [nan, 0, nan, 0, nan], [inf, 0.25, nan, 0, nan]),
        (tf.math.bessel_i0e, [0, 0, 0, 0, nan], [0, -0.028251037, 0.257849216, 0, nan]),
        (tf.math.bessel_i1e, [0, 0, 0, 0, nan], [0.5, -0.016436681, 0.049938798, 0, nan]),
        (tf.math.special.bessel_k1e, [nan, 0, nan, 0, nan], [-inf, -0.098115742, nan, 0, nan]),
        (lambda x: tf.math.igamma(x, [0.0, 900.0, 1.0, inf, 1.0]),
         [0, 0, nan, 0, nan], [0, 0, nan, 0, nan]),
    ],
)  # fmt: skip
def test_zero_upstream(function, at_zero, at_one, traced):
    def slopes(x, upstream):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x, output_gradients=tf.fill([5], upstream))

    run = tf.function(slopes) if traced else slopes
    np.testing.assert_array_equal(run(tf.constant(X), tf.constant(0.0)), at_zero)
    np.testing.assert_allclose(run(tf.constant(X), tf.constant(1.0)), at_one, rtol=2e-5)


@pytest.mark.parametrize("function", [tf.sqrt, tf.math.rsqrt, tf.math.reciprocal])
def test_zero_upstream_complex(function):
    x = tf.constant([0, 4], tf.complex64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    got = tape.gradient(y, x, output_gradients=tf.zeros([2], tf.complex64))
    np.testing.assert_array_equal(got, [0, 0])


def test_masked_norms():
    x = tf.constant([[0.0, 0.0], [3.0, 4.0]])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        length, spread = tf.norm(x, axis=1), tf.math.reduce_std(x, axis=1)
        lengths = tf.reduce_sum(tf.where(length > 0, length, 0.0))
        spreads = tf.reduce_sum(tf.where(spread > 0, spread, 0.0))
    np.testing.assert_allclose(tape.gradient(lengths, x), [[0, 0], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(spreads, x), [[0, 0], [-0.5, 0.5]], rtol=1e-6)


def test_bessel_of_the_first_order_near_zero():
    x = tf.constant([1e-30, 1e-10])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.math.bessel_i1(x)
    np.testing.assert_allclose(y, [5e-31, 5e-11], rtol=1e-6)
    np.testing.assert_allclose(tape.gradient(y, x), [0.5, 0.5], rtol=1e-6)


def test_zeta_by_its_second_argument():
    q = tf.constant([4.0, inf])
    with tf.GradientTape() as tape:
        tape.watch(q)
        y = tf.math.zeta(2.0, q)
    np.testing.assert_allclose(tape.gradient(y, q), [-0.0800397471, 0], rtol=1e-6)

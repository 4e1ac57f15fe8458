"""tf.nn.dilation2d and erosion2d; weighted sums of TensorFlow 2.15's values and gradients."""

import pytest

import shardtape as tf

X = tf.reshape(tf.range(32.0) * tf.cos(tf.range(32.0)), [1, 4, 4, 2])
K = tf.reshape(tf.range(8.0) * 0.1, [2, 2, 2])


def weighed(x):
    return float(tf.reduce_sum(x * tf.reshape(tf.range(1.0, float(tf.size(x)) + 1.0), x.shape)))


@pytest.mark.parametrize(
    ("stride", "rate", "padding", "shape", "sums"),
    [
        (1, 1, "SAME", (1, 4, 4, 2), (7550.5635, 19443.9988, 3773.4938, -6738.8252)),
        (1, 2, "SAME", (1, 4, 4, 2), (5494.1186, 13076.2771, 3304.4470, -5084.6100)),
        (1, 2, "VALID", (1, 2, 2, 2), (683.77426, 6259.9830, 1536.9662, -577.7696)),
        (2, 1, "VALID", (1, 2, 2, 2), (610.63089, 5093.6379, 1293.2781, -574.5754)),
    ],
)
def test_values_and_gradients(stride, rate, padding, shape, sums):
    options = ([1, stride, stride, 1], padding, "NHWC", [1, rate, rate, 1])
    with tf.GradientTape() as tape:
        tape.watch([X, K])
        y = tf.nn.dilation2d(X, K, *options)
        loss = tf.reduce_sum(y**2)
    found = (y, *tape.gradient(loss, [X, K]), tf.nn.erosion2d(X, K, *options))
    assert y.shape == shape
    assert [weighed(v) for v in found] == pytest.approx(sums, rel=1e-5)


def test_in_a_function():
    f = tf.function(lambda x: tf.nn.dilation2d(x, K, [1] * 4, "SAME", "NHWC", [1] * 4))
    assert weighed(f(X)) == pytest.approx(7550.5635, rel=1e-5)


@pytest.mark.parametrize(
    ("x", "k", "strides", "padding", "layout", "error"),
    [
        (X, K, [2, 1, 1, 1], "SAME", "NHWC", tf.errors.UnimplementedError),
        (X, K, [1] * 4, "SAME", "NCHW", ValueError),
        (X, K[..., :1], [1] * 4, "SAME", "NHWC", tf.errors.InvalidArgumentError),
        (X[0], K, [1] * 4, "SAME", "NHWC", tf.errors.InvalidArgumentError),
        (X, K, [1] * 4, "ROUND", "NHWC", tf.errors.InvalidArgumentError),
    ],
)
def test_what_does_not_fit(x, k, strides, padding, layout, error):
    with pytest.raises(error):
        tf.nn.dilation2d(x, k, strides, padding, layout, [1] * 4)

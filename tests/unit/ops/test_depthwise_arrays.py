"""Depthwise products by rows of positions, against the definition, for every kind of window."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops import depthwise, depthwise_arrays
from shardtape.ops.conv_arrays import axes_of

EXPECTED = [-0.7749879360198975, 45.642215728759766, 17.401676177978516, 1.978398323059082]
CASES = [
    # images, filters, strides, dilations, padding
    ((3, 7, 9, 2), (3, 3), (1, 1), (1, 1), "SAME"),
    ((2, 8, 9, 3), (3, 4), (2, 2), (1, 1), "SAME"),
    ((2, 9, 10, 2), (2, 3), (3, 2), (1, 1), "VALID"),
    ((1, 9, 8, 1), (1, 2), (2, 3), (1, 1), "SAME"),  # places that no window reads
    ((2, 9, 11, 2), (3, 2), (1, 1), (2, 3), "SAME"),
    ((1, 11, 12, 2), (3, 4), (3, 2), (2, 3), "VALID"),
    ((2, 5, 6, 2), (3, 3), (2, 1), (1, 1), (0, 0, 2, 1, 0, 3, 0, 0)),
    ((1, 4, 4, 2), (2, 2), (1, 1), (1, 1), (0, 0, 3, 0, 0, 2, 0, 0)),  # wider than windows
]


@pytest.mark.parametrize(("x_shape", "window", "strides", "rates", "padding"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_are_those_of_the_definition(
    x_shape: tuple[int, ...],
    window: tuple[int, int],
    strides: tuple[int, int],
    rates: tuple[int, int],
    padding: str | tuple[int, ...],
    dtype: type,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    attrs = {
        "strides": (1, *strides, 1),
        "dilations": (1, *rates, 1),
        "padding": padding if isinstance(padding, str) else "EXPLICIT",
        "explicit_paddings": () if isinstance(padding, str) else padding,
    }
    rng = np.random.RandomState(0)
    x = rng.randn(*x_shape).astype(dtype)
    w = rng.randn(*window, x_shape[-1], 1).astype(dtype)
    axes = axes_of(x_shape[1:3], window, {"data_format": "NHWC", **attrs})
    for budget in ("_ROWS_BYTES", "_FILTER_ROWS_BYTES"):
        monkeypatch.setattr(depthwise_arrays, budget, 3 * x[:1].nbytes)  # several blocks
    y = depthwise_arrays.depthwise(np, x, w, axes)
    g = rng.randn(*y.shape).astype(dtype)
    close = {"rtol": 1e-4, "atol": 1e-5} if dtype == np.float32 else {"rtol": 1e-10}
    np.testing.assert_allclose(y, depthwise._direct(x, w, **attrs), **close)
    np.testing.assert_allclose(
        depthwise_arrays.depthwise_input_gradient(np, w, g, axes),
        depthwise._direct_input(x.shape, w, g, **attrs),
        **close,
    )
    np.testing.assert_allclose(
        depthwise_arrays.depthwise_filter_gradient(np, x, g, axes),
        depthwise._direct_filter(x, w.shape, g, **attrs),
        **close,
    )


def test_gradients_of_a_separable_convolution_are_those_of_tensorflow() -> None:
    # made by TensorFlow 2.15 from the same arrays
    x = np.sin(np.arange(2 * 5 * 4 * 2, dtype=np.float32)).reshape(2, 5, 4, 2)
    w = np.cos(np.arange(3 * 3 * 2, dtype=np.float32)).reshape(3, 3, 2, 1)
    p = np.array([[[[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]]], np.float32)
    a, b, c = tf.constant(x), tf.constant(w), tf.constant(p)
    with tf.GradientTape() as tape:
        tape.watch([a, b, c])
        y = tf.nn.separable_conv2d(a, b, c, (1, 2, 2, 1), "SAME")
        loss = tf.reduce_sum(tf.tanh(y))
    slopes = tape.gradient(loss, [a, b, c])
    found = [float(loss), *[float(tf.reduce_sum(s * s)) for s in slopes]]
    np.testing.assert_allclose(found, EXPECTED, rtol=1e-5)

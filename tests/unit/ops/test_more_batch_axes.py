"""Convolutions of inputs with several batch axes; the figures are TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf

layers = tf.keras.layers


@pytest.mark.parametrize(
    ("given", "kernel", "expected"),
    [
        ((4, 7, 10, 2), (3, 2, 5), (4, 7, 8, 5)),
        ((2, 4, 7, 10, 2), (3, 2, 5), (2, 4, 7, 8, 5)),
        ((4, 7, 10, 10, 2), (3, 3, 2, 5), (4, 7, 8, 8, 5)),
        ((4, 7, 5, 5, 5, 2), (3, 3, 3, 2, 5), (4, 7, 3, 3, 3, 5)),
    ],
)
def test_convolutions(given, kernel, expected):
    assert tf.nn.convolution(tf.ones(given), tf.ones(kernel)).shape == expected


def test_values_and_gradients():
    x = tf.Variable(tf.reshape(tf.range(16.0), (2, 2, 4, 1)))
    with tf.GradientTape() as tape:
        y = tf.nn.conv1d(x, tf.ones((2, 1, 1)), 1, "VALID")
        total = tf.reduce_sum(y[0, 1])
    expected = [[[1, 3, 5], [9, 11, 13]], [[17, 19, 21], [25, 27, 29]]]
    assert y.numpy()[..., 0].tolist() == expected
    assert tape.gradient(total, x).numpy()[0, :, :, 0].tolist() == [[0] * 4, [1, 2, 2, 1]]


@pytest.mark.parametrize(
    ("layer", "given", "expected"),
    [
        (lambda: layers.Conv1D(3, 2), (4, 7, 10, 2), (4, 7, 9, 3)),
        (lambda: layers.Conv1D(3, 2, padding="causal"), (4, 7, 10, 2), (4, 7, 10, 3)),
        (lambda: layers.Conv1D(4, 2, groups=2), (4, 7, 10, 2), (4, 7, 9, 4)),
        (lambda: layers.Conv2D(3, 2), (4, 7, 5, 5, 2), (4, 7, 4, 4, 3)),
        (lambda: layers.Conv3D(3, 2), (4, 7, 5, 5, 5, 2), (4, 7, 4, 4, 4, 3)),
        (lambda: layers.Conv2D(3, 2, data_format="channels_first"), (4, 7, 2, 5, 5),
         (4, 7, 3, 4, 4)),
    ],
)  # fmt: skip
def test_layers(layer, given, expected):
    made = layer()
    assert made(tf.ones(given)).shape == expected
    assert made.compute_output_shape(given) == expected
    symbolic = layer()(tf.keras.Input(given[1:]))
    assert tuple(symbolic.shape) == (None, *expected[1:])


def test_the_bias_goes_to_the_channels():
    layer = layers.Conv2D(
        2, 1, data_format="channels_first", kernel_initializer="zeros",
        bias_initializer=lambda shape, dtype=None: tf.constant([1.0, 2.0]),
    )  # fmt: skip
    made = layer(tf.ones((1, 3, 1, 1, 1))).numpy()
    assert np.squeeze(made).tolist() == [[1, 2]] * 3


def test_convolutions_of_each_channel_take_one_batch_axis():
    with pytest.raises(ValueError, match="should have rank 4"):
        layers.DepthwiseConv2D(2)(tf.ones((4, 7, 5, 5, 2)))

"""`set_image_data_format`: the default of layers and functions; the figures are Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf

K, layers = tf.keras.backend, tf.keras.layers


@pytest.fixture
def channels_first():
    K.set_image_data_format("channels_first")
    yield
    K.set_image_data_format("channels_last")


def test_the_default_layout():
    assert K.image_data_format() == "channels_last"
    with pytest.raises(ValueError, match="Unknown `data_format`: x"):
        K.set_image_data_format("x")


@pytest.mark.parametrize(
    ("layer", "given", "expected"),
    [
        (lambda: layers.Conv2D(3, 2), (1, 2, 5, 6), (1, 3, 4, 5)),
        (lambda: layers.Conv2D(3, 2, data_format="channels_last"), (1, 5, 6, 2), (1, 4, 5, 3)),
        (lambda: layers.Conv1D(3, 2), (1, 5, 2), (1, 4, 3)),
        (lambda: layers.Conv3D(3, 2), (1, 2, 4, 4, 4), (1, 3, 3, 3, 3)),
        (lambda: layers.DepthwiseConv2D(2), (1, 2, 5, 6), (1, 2, 4, 5)),
        (lambda: layers.Conv2DTranspose(3, 2), (1, 2, 5, 6), (1, 3, 6, 7)),
        (lambda: layers.MaxPooling2D(), (1, 2, 6, 6), (1, 2, 3, 3)),
        (lambda: layers.MaxPooling1D(), (1, 6, 2), (1, 3, 2)),
        (lambda: layers.GlobalAveragePooling2D(), (1, 2, 6, 6), (1, 2)),
        (lambda: layers.GlobalMaxPooling1D(), (1, 6, 2), (1, 2)),
        (lambda: layers.ZeroPadding2D(), (1, 2, 3, 3), (1, 2, 5, 5)),
        (lambda: layers.Cropping3D(1), (1, 2, 3, 3, 3), (1, 2, 1, 1, 1)),
        (lambda: layers.UpSampling2D(), (1, 2, 3, 3), (1, 2, 6, 6)),
        (lambda: layers.ConvLSTM2D(2, 2), (1, 3, 2, 5, 5), (1, 2, 4, 4)),
        (lambda: layers.LocallyConnected2D(2, 2), (1, 2, 4, 4), (1, 2, 3, 3)),
    ],
)
def test_layers_take_the_default(channels_first, layer, given, expected):
    assert tuple(layer()(tf.ones(given)).shape) == expected


def test_what_a_layer_took_stays(channels_first):
    layer = layers.Conv2D(3, 2)
    K.set_image_data_format("channels_last")
    assert layer.get_config()["data_format"] == "channels_first"
    assert layer(tf.ones((1, 2, 5, 6))).shape == (1, 3, 4, 5)


def test_flattening_moves_the_channels(channels_first):
    flat = layers.Flatten()(tf.reshape(tf.range(8), (1, 2, 2, 2)))
    assert flat.numpy().tolist() == [[0, 4, 1, 5, 2, 6, 3, 7]]


def test_functions_take_the_default(channels_first):
    assert K.pool2d(tf.ones((1, 2, 4, 4)), (2, 2)).shape == (1, 2, 3, 3)
    assert K.conv2d(tf.ones((1, 2, 4, 4)), tf.ones((2, 2, 2, 1))).shape == (1, 1, 3, 3)
    assert tf.keras.utils.img_to_array(np.ones((2, 3, 4))).shape == (4, 2, 3)


@pytest.mark.parametrize("make", [np.array, tf.constant])
def test_preprocessing_takes_the_default(channels_first, make):
    images = make(np.arange(12.0, dtype=np.float32).reshape(1, 3, 2, 2))
    made = np.asarray(tf.keras.applications.resnet.preprocess_input(images))
    assert made.shape == (1, 3, 2, 2)
    np.testing.assert_allclose(made[0, :, 0, 0], [8 - 103.939, 4 - 116.779, 0 - 123.68], rtol=1e-6)


def test_networks_say_that_they_are_of_the_other_layout(channels_first):
    with pytest.raises(tf.errors.UnimplementedError, match="channels_last"):
        tf.keras.applications.MobileNetV2(weights=None)


IMAGES = np.arange(32.0, dtype=np.float32).reshape(1, 4, 4, 2)
FIRST = IMAGES.transpose(0, 3, 1, 2)
KERNEL = np.arange(36.0, dtype=np.float32).reshape(3, 3, 2, 2)


def test_convolutions_of_channels_that_come_first():
    made = K.conv2d(FIRST, KERNEL, data_format="channels_first").numpy()
    assert made.tolist() == [[[[4470, 5082], [6918, 7530]], [[4659, 5307], [7251, 7899]]]]
    ones = tf.ones((3, 3, 2, 1))
    made = K.depthwise_conv2d(FIRST, ones, data_format="channels_first").numpy()
    assert made.tolist() == [[[[90, 108], [162, 180]], [[99, 117], [171, 189]]]]
    made = K.separable_conv2d(FIRST, ones, tf.ones((1, 1, 2, 3)), data_format="channels_first")
    assert made.shape == (1, 3, 2, 2)
    made = K.conv2d_transpose(
        FIRST, tf.ones((3, 3, 1, 2)), (1, 1, 6, 6), data_format="channels_first"
    )
    assert made.shape == (1, 1, 6, 6)


def test_other_functions_of_channels_that_come_first():
    made = K.pool2d(FIRST, (2, 2), data_format="channels_first").numpy()
    assert made[0, 1].tolist() == [[11, 13, 15], [19, 21, 23], [27, 29, 31]]
    added = K.bias_add(tf.zeros((1, 2, 3)), tf.constant([1.0, 2.0]), data_format="channels_first")
    assert added.numpy().tolist() == [[[1, 1, 1], [2, 2, 2]]]
    padded = K.spatial_2d_padding(tf.ones((1, 1, 1, 1)), ((1, 0), (0, 1)), "channels_first")
    assert padded.numpy().tolist() == [[[[0, 0], [1, 0]]]]
    enlarged = K.resize_images(FIRST, 2, 2, "channels_first", "bilinear").numpy()
    assert enlarged[0, 0, 0].tolist() == [0, 0.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6]
    kernel = tf.ones((9, 4, 2))
    made = K.local_conv2d(
        tf.ones((1, 1, 4, 4)), kernel, (2, 2), (1, 1), (3, 3), data_format="channels_first"
    )
    assert made.shape == (1, 2, 3, 3)
    with pytest.raises(ValueError, match="Unknown data_format: x"):
        K.pool2d(IMAGES, (2, 2), data_format="x")

"""RandomFlip of images that come one by one; the numbers are TensorFlow 2.15's."""

import numpy as np

import shardtape as tf
from shardtape.keras import layers


def test_flips_of_single_images():
    tf.keras.utils.set_random_seed(5)
    images = np.arange(36, dtype="float32").reshape(6, 2, 3, 1)
    flip = layers.RandomFlip("horizontal", seed=1)
    corners = [int(flip(image, training=True)[0, 0, 0]) for image in images]
    assert corners == [2, 8, 12, 18, 26, 32]
    flip = layers.RandomFlip(seed=2)
    corners = [int(flip(image, training=True)[0, 0, 0]) for image in images]
    assert corners == [2, 8, 12, 18, 24, 35]
    batch = flip(images, training=True).numpy()[:, 0, 0, 0]
    np.testing.assert_array_equal(batch, [0, 8, 14, 23, 24, 30])
    data = tf.data.Dataset.from_tensor_slices(images).map(lambda x: flip(x, training=True))
    assert [int(image[0, 0, 0]) for image in data] == [3, 8, 14, 21, 26, 33]

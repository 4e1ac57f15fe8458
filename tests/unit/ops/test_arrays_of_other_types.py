"""Arrays and lists of other types given to ops whose type is float32, and results that are float32
whatever is given; figures of TensorFlow 2.15."""

from __future__ import annotations

import numpy as np
import pytest

import shardtape as tf

PIXEL = [[[102, 190, 124]]]


@pytest.mark.parametrize("kind", ["uint8", "int64", "float64", "float16"])
def test_colors_of_arrays(kind):
    made = tf.image.rgb_to_hsv(np.array(PIXEL, kind))
    assert made.dtype == tf.float32
    np.testing.assert_allclose(made[0, 0], [0.3750, 0.463158, 190.0], rtol=1e-4)
    back = tf.image.hsv_to_rgb(np.array([[[0, 0, 1]]], kind))
    assert back.dtype == tf.float32
    assert back.numpy().tolist() == [[[1.0, 1.0, 1.0]]]


def test_colors_of_lists_and_in_graphs():
    assert tf.image.rgb_to_hsv(PIXEL).dtype == tf.float32
    assert tf.function(lambda: tf.image.rgb_to_hsv(np.array(PIXEL)))().dtype == tf.float32
    wide = tf.function(lambda: tf.image.rgb_to_hsv(np.array(PIXEL, "float64")))()
    assert wide.dtype == tf.float64
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.image.rgb_to_hsv(tf.constant(PIXEL))


@pytest.mark.parametrize("kind", ["uint8", "int64", "float64", "float16"])
def test_the_largest_of_windows_of_arrays(kind):
    x = np.array([[[[1], [2]], [[3], [4]]]], kind)
    made = tf.nn.max_pool2d(x, 2, 1, "VALID")
    assert (made.dtype, made.numpy().tolist()) == (tf.float32, [[[[4.0]]]])
    assert tf.nn.max_pool2d(tf.constant(x), 2, 1, "VALID").dtype == kind


@pytest.mark.parametrize("kind", ["uint8", "float16", "float32", "float64"])
def test_standardized_images(kind):
    x = tf.cast(tf.reshape(tf.range(48.0), [4, 4, 3]), kind)
    made = tf.image.per_image_standardization(x)
    assert made.dtype == tf.float32
    np.testing.assert_allclose(made[0, 0], [-1.6963346, -1.6241502, -1.5519657], rtol=1e-5)


def test_members_of_an_empty_axis_in_a_graph():
    @tf.function
    def parts(x):
        return tf.unstack(x)

    assert parts(tf.zeros([0, 3])) == []


def test_a_scalar_repeated_along_its_last_axis():
    assert tf.repeat(3.0, 2, axis=-1).numpy().tolist() == [3.0, 3.0]

"""Colors that are refused, and images of many; further values are in the parity tests."""

import colorsys

import numpy as np
import pytest

import shardtape as tf


@pytest.mark.parametrize("delta", [1.5, np.float32(-1.5), tf.constant(1.5)])
def test_a_hue_is_turned_by_one_turn_at_most(delta):
    with pytest.raises(ValueError, match=r"interval \[-1, 1\]"):  # as in TensorFlow 2.15
        tf.image.adjust_hue(np.ones((2, 2, 3), np.float32), delta)


def test_colors_of_images_are_those_of_the_standard_library():
    x = np.random.RandomState(0).rand(40, 50, 3).astype(np.float32)
    x[0], x[1], x[2, :, 1] = 0, 0.3, x[2, :, 0]  # black, gray, two equal channels
    hsv = np.array([colorsys.rgb_to_hsv(*p) for p in x.reshape(-1, 3).tolist()])
    np.testing.assert_allclose(tf.image.rgb_to_hsv(x).numpy().reshape(-1, 3), hsv, atol=2e-6)
    back = tf.image.hsv_to_rgb(hsv.reshape(x.shape).astype(np.float32)).numpy()
    np.testing.assert_allclose(back, x, atol=2e-6)
    for found, turn, scale in (
        (tf.image.adjust_hue(x, -0.3), -0.3, 1),
        (tf.image.adjust_saturation(x, 1.8), 0, 1.8),
    ):
        expected = [colorsys.hsv_to_rgb((h + turn) % 1, min(s * scale, 1), v) for h, s, v in hsv]
        np.testing.assert_allclose(found.numpy().reshape(-1, 3), expected, atol=5e-6)

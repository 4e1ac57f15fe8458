"""Boxes of images that are chosen or drawn; the numbers are TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf

PAIR = [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.9]]


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_soft_suppression_has_no_threshold(threshold):
    found, scores = tf.image.non_max_suppression_with_scores(
        PAIR, [0.9, 0.8], 2, iou_threshold=threshold, soft_nms_sigma=0.5
    )
    np.testing.assert_array_equal(found, [0, 1])
    np.testing.assert_allclose(scores, [0.9, 0.35588649], rtol=1e-6)


def test_hard_suppression_has_one():
    found, scores = tf.image.non_max_suppression_with_scores(PAIR, [0.9, 0.8], 2, 0.5)
    np.testing.assert_array_equal(found, [0])
    np.testing.assert_allclose(scores, [0.9])

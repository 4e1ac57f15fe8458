"""Ties in `combined_non_max_suppression`; the order of boxes recorded from TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf


def drawn():
    """Twelve cases with few different scores."""
    random = np.random.RandomState(1)
    for i in range(12):
        count, classes = random.randint(3, 30), random.randint(1, 5)
        per_class, total = random.randint(2, 9), random.randint(2, 20)
        corners = random.randint(0, 4, (1, count, 1, 2)) * 1.0
        boxes = np.concatenate([corners, corners + 1 + random.randint(0, 2, corners.shape)], -1)
        scores = (random.randint(0, 4, (1, count, classes)) / 3.0).astype("float32")
        yield boxes.astype("float32"), scores, per_class, total, [0.1, float("-inf")][i % 2]


# The first corners (y, x) of the boxes as numbers 10 y + x, and their classes.
RECORDED = {
    0: ([30, 3, 20, 31, 21, 21, 31, 10, 31, 10], [0, 3, 3, 3, 2, 1, 0, 0, 1, 1]),
    1: ([13, 32, 12], [0, 0, 0]),
    2: ([31, 30, 1, 20, 30, 3, 30, 30, 3], [0, 2, 2, 3, 3, 3, 0, 0, 1]),
    3: ([10, 3, 33], [0, 0, 0]),
    4: ([32, 31], [0, 0]),
    5: (
        [22, 10, 31, 21, 31, 10, 31, 21, 11, 12, 3, 12, 22, 20, 3],
        [0, 0, 1, 2, 2, 2, 0, 0, 0, 1, 2, 2, 1, 1, 1],
    ),
    6: ([11, 32, 20, 20, 12, 23, 20, 20, 20, 33, 20, 20], [0, 0, 0, 0, 1, 2, 2, 2, 3, 3, 3, 1]),
    7: ([22, 22, 22], [0, 0, 0]),
    8: ([23, 21, 33, 31, 13, 13, 23], [0, 3, 3, 3, 3, 2, 2]),
    9: ([32, 22, 22, 33, 23, 11, 22, 22, 31, 13], [0, 0, 1, 1, 1, 1, 1, 0, 0, 0]),
    10: ([1, 11, 0, 10, 32, 3, 0], [0, 0, 0, 0, 0, 0, 0]),
    11: ([30, 2, 22, 10], [0, 0, 0, 0]),
}


@pytest.mark.parametrize("number", RECORDED)
def test_equal_scores_come_in_tensorflows_order(number):
    *case, least = list(drawn())[number]
    made = tf.image.combined_non_max_suppression(*case, clip_boxes=False, score_threshold=least)
    count = int(made.valid_detections[0])
    corners = made.nmsed_boxes.numpy()[0, :count, :2] @ [10, 1]
    corners_wanted, classes_wanted = RECORDED[number]
    np.testing.assert_array_equal(corners, corners_wanted)
    np.testing.assert_array_equal(made.nmsed_classes.numpy()[0, :count], classes_wanted)

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


OBJECTS = [[[0.1, 0.2, 0.5, 0.6], [0.3, 0.3, 0.9, 0.8]]]


@pytest.mark.parametrize(
    ("size", "seed", "options", "begin", "extent"),
    [
        ([100, 80, 3], [1, 2], {}, [12, 3, 0], [58, 72, -1]),
        ([100, 80, 3], [1, 3], {"min_object_covered": 0.5}, [51, 12, 0], [48, 60, -1]),
        (
            [100, 80, 3], [1, 2],
            {"aspect_ratio_range": [0.9, 1.1], "area_range": [0.2, 0.4]}, [36, 17, 0], [54, 58, -1],
        ),
        ([10, 8, 3], [1, 2], {"min_object_covered": 1.0, "max_attempts": 3}, [0, 0, 0], [7, 6, -1]),
        (
            [33, 57, 1], [3, 7],
            {"min_object_covered": 0.2, "area_range": [0.3, 0.9]}, [8, 2, 0], [24, 30, -1],
        ),
    ],
)  # fmt: skip
def test_crops_of_a_seed_are_tensorflows(size, seed, options, begin, extent):
    got = tf.image.stateless_sample_distorted_bounding_box(size, OBJECTS, seed, **options)
    assert got[0].numpy().tolist() == begin and got[1].numpy().tolist() == extent
    y, x, height, width = (v / s for v, s in zip([*begin[:2], *extent[:2]], [*size[:2]] * 2))
    np.testing.assert_allclose(got[2], [[[y, x, y + height, x + width]]], rtol=1e-6)


def test_crops_of_seeded_calls_are_tensorflows():
    tf.random.set_seed(3)
    found = [tf.image.sample_distorted_bounding_box([100, 80, 3], OBJECTS, seed=5)]
    tf.random.set_seed(3)
    options = {"seed": 5, "min_object_covered": 0.9}
    found += [tf.image.sample_distorted_bounding_box([100, 80, 3], OBJECTS, **options)]
    found += [tf.image.sample_distorted_bounding_box([100, 80, 3], OBJECTS, **options)]
    assert [f[0].numpy().tolist() for f in found] == [[10, 13, 0], [10, 13, 0], [33, 15, 0]]
    assert [f[1].numpy().tolist() for f in found] == [[57, 56, -1], [57, 56, -1], [62, 58, -1]]


def test_a_crop_in_a_function():
    @tf.function
    def cropped(image):
        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.shape(image), OBJECTS, [1, 2]
        )
        return tf.slice(image, begin, size)

    assert cropped(tf.zeros([100, 80, 3])).shape.as_list() == [58, 72, 3]


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (([10, 8, 3], np.zeros((1, 0, 4))), {}, "use_image_if_no_bounding_boxes=True"),
        (([10, 8, 3], OBJECTS), {"aspect_ratio_range": [-1, 1]}, "aspect_ratio_range"),
        (([10, 8, 3], OBJECTS), {"area_range": [0, 2]}, "area_range"),
        (([10, 8, 3], [[[0.0, 0.5, 1.5, 0.2]]]), {}, r"must be in \[0.0, 1.0\]: 1.5"),
        (([10, 8], OBJECTS), {}, "must contain 3 elements"),
        (([10, 8, 3], OBJECTS), {"max_attempts": 0}, "max_attempts must be positive"),
    ],
)
def test_crops_that_are_refused(arguments, options, said):
    with pytest.raises(tf.errors.InvalidArgumentError, match=said):
        tf.image.stateless_sample_distorted_bounding_box(*arguments, seed=[1, 2], **options)


def test_many_boxes_with_equal_scores_are_chosen_as_tensorflow_does():
    rng = np.random.RandomState(0)
    corners = rng.uniform(0, 1, (400, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0.05, 0.4, (400, 2))], 1)
    boxes, scores = boxes.astype(np.float32), np.round(rng.uniform(0, 1, 400), 2).astype(np.float32)
    hard = tf.image.non_max_suppression(boxes, scores, 12, 0.4, 0.2)
    assert hard.numpy().tolist() == [357, 4, 26, 219, 90, 182, 328, 165, 202, 225, 241, 45]
    soft, values = tf.image.non_max_suppression_with_scores(boxes, scores, 12, 1.0, 0.2, 0.3)
    assert soft.numpy().tolist() == [357, 4, 219, 26, 90, 182, 328, 225, 241, 165, 268, 361]
    assert float(tf.reduce_sum(values)) == pytest.approx(11.734264, rel=1e-6)


# most, threshold; how many, the first, the last, their sum
CHOSEN_2_15 = [
    (200, 0.3, 200, 17, 274, 147137), (1500, 0.5, 991, 17, 1326, 745369),
    (1500, 0.0, 77, 17, 225, 59411), (33, 0.9, 33, 17, 1371, 23893),
]  # fmt: skip


def test_boxes_are_chosen_over_many_blocks():
    rng = np.random.RandomState(1)
    corners = rng.uniform(0, 1, (1500, 2))
    boxes = np.concatenate([corners + rng.uniform(0.02, 0.2, (1500, 2)), corners], 1)
    boxes, scores = boxes.astype(np.float32), np.round(rng.uniform(0, 1, 1500), 2)
    for most, limit, count, first, last, total in CHOSEN_2_15:
        chosen = tf.image.non_max_suppression(boxes, scores.astype(np.float32), most, limit, 0.1)
        found = chosen.numpy()
        assert (len(found), found[0], found[-1], found.sum()) == (count, first, last, total)

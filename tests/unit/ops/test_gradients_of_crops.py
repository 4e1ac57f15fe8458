"""Gradients of crops, of ops without any, and JPEG qualities that are drawn in graphs; figures of
TensorFlow 2.15."""

from __future__ import annotations

import numpy as np
import pytest

import shardtape as tf

BOXES = [[0, 0, 1, 1], [0.2, 0.6, 1.3, 0.2], [0.1, 0.2, 0.7, 0.9]]
IMAGES = np.random.RandomState(0).rand(2, 5, 6, 2).astype("f")


@pytest.mark.parametrize(
    ("method", "columns", "rows"),
    [
        (
            "bilinear",
            [5.4027, 10.8218, 12.841, 14.1177, 6.4773, 7.9688],
            [14.6731, 8.7039, 12.2941, 15.9542, 6.004],
        ),
        (
            "nearest",
            [5.4027, 7.7148, 17.633, 16.9041, 0.0, 11.4996],
            [17.4131, 3.9987, 13.9019, 18.1396, 5.701],
        ),
    ],
)
def test_boxes_of_images(method, columns, rows):
    images = tf.constant(IMAGES)

    def loss():
        crops = tf.image.crop_and_resize(images, BOXES, [0, 1, 1], [3, 4], method=method)
        return tf.reduce_sum(crops**2)

    for run in (loss, tf.function(loss)):
        with tf.GradientTape() as tape:
            tape.watch(images)
            y = run()
        g = tape.gradient(y, images).numpy()
        np.testing.assert_allclose(g.sum((0, 1, 3)), columns, atol=2e-4)
        np.testing.assert_allclose(g.sum((0, 2, 3)), rows, atol=2e-4)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (
            [3, 4],
            [
                [-0.6467000246047974, -0.8665000200271606, 1.7156000137329102, -3.5968000888824463],
                [-4.0858001708984375, -3.1429998874664307, -2.3215999603271484, -2.696899890899658],
            ],
        ),
        (
            [1, 3],
            [
                [
                    -0.1826999932527542,
                    0.6793000102043152,
                    -0.1826999932527542,
                    -0.17800000309944153,
                ],
                [-1.9860999584197998, -4.371699810028076, -1.9860999584197998, 0.964900016784668],
            ],
        ),
    ],
)
@pytest.mark.parametrize("run", [lambda f: f, tf.function], ids=["eager", "function"])
def test_corners_of_boxes(size, expected, run):
    def gradient(boxes):
        with tf.GradientTape() as tape:
            tape.watch(boxes)
            y = tf.reduce_sum(tf.image.crop_and_resize(IMAGES, boxes, [0, 1], size) ** 2)
        return tape.gradient(y, boxes)

    boxes = tf.constant([[0.13, 0.22, 0.71, 0.93], [0.23, 0.61, 1.33, 0.27]])
    np.testing.assert_allclose(run(gradient)(boxes), expected, atol=2e-4)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: tf.image.adjust_hue(x, 0.1),
        lambda x: tf.image.adjust_saturation(x, 0.5),
        lambda x: tf.image.resize(x, [2, 2], "area"),
        lambda x: tf.image.draw_bounding_boxes(x, [[[0.1, 0.1, 0.5, 0.5]]], [[1.0, 0, 0]]),
        lambda x: tf.unique(tf.reshape(x, [-1]))[0],
        lambda x: tf.unique_with_counts(tf.reshape(x, [-1]))[0],
        lambda x: tf.random.poisson([2], x),
    ],
)
def test_ops_without_a_gradient_say_so(f):
    x = tf.reshape(tf.range(48.0) / 48, [1, 4, 4, 3])
    for run in (f, tf.function(f)):
        with pytest.raises(LookupError, match="gradient registry has no entry"):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = run(x)
            tape.gradient(y, x)


def test_a_quality_that_is_drawn_in_a_dataset():
    image = np.random.RandomState(1).randint(0, 256, (8, 8, 3)).astype("uint8")
    draw = lambda x: tf.image.stateless_random_jpeg_quality(x, 30, 95, (1, 2))
    want = draw(tf.constant(image)).numpy()
    dataset = tf.data.Dataset.from_tensors(image).map(draw)
    np.testing.assert_array_equal(next(iter(dataset)).numpy(), want)
    made = tf.data.Dataset.from_tensors(image).map(lambda x: tf.image.random_jpeg_quality(x, 5, 95))
    assert next(iter(made)).shape == (8, 8, 3)
    lowest = tf.image.adjust_jpeg_quality(image, tf.constant(5))
    np.testing.assert_array_equal(lowest, tf.image.adjust_jpeg_quality(image, 5))

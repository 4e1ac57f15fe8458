"""Images resized by few taps are those of whole matrices, for both axes, kinds and gradients."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops import few_taps, resampling

RESIZED = [
    14693.9404296875,
    65787.734375,
    21891.48828125,
    152203.3125,
]  # losses, and sums of squared gradients


@pytest.mark.parametrize("kind", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("sizes", "out"), [((90, 300), (40, 64)), ((60, 200), (120, 70))])
@pytest.mark.parametrize("channels", [1, 3, 20])
def test_products_are_those_of_the_matrices(
    kind: str, sizes: tuple[int, int], out: tuple[int, int], channels: int
) -> None:
    rows, columns = resampling.matrices(kind, sizes, out, False, True)
    x = np.random.RandomState(0).rand(2, *sizes, channels)
    g = np.random.RandomState(1).rand(2, *out, channels)
    for down, along, image in ((rows, columns, x), (rows.T, columns.T, g)):
        down, along = down.astype(np.float64), along.astype(np.float64)
        n, h, w, c = image.shape
        lines = few_taps.along_rows(down, image.reshape(n, h, w * c))
        np.testing.assert_allclose(lines, down @ image.reshape(n, h, w * c), atol=1e-12)
        made = few_taps.along_columns(along, image)
        np.testing.assert_allclose(made, np.einsum("pw,bhwc->bhpc", along, image), atol=1e-12)


def test_taps_are_what_is_not_zero() -> None:
    matrix = np.array([[0, 2, 0, 3.0], [0, 0, 0, 0], [5, 0, 0, 0], [1, 0, 6, 7]])
    taps = few_taps.Taps(matrix)
    assert taps.count == 3
    again = np.zeros_like(matrix)
    for places, weights in zip(taps.places, taps.weights):
        again[np.arange(4), places] += weights
    np.testing.assert_array_equal(again, matrix)
    assert few_taps.Taps(np.zeros((3, 50))).count == 0
    np.testing.assert_array_equal(few_taps.along_rows(np.zeros((3, 50)), np.ones((1, 50, 4))), 0)


def test_large_images_are_those_of_tensorflow() -> None:
    # made by TensorFlow 2.15 from the same array
    x = np.sin(np.arange(2 * 150 * 130 * 3, dtype=np.float32)).reshape(2, 150, 130, 3)
    t = tf.constant(x)
    found = []
    for method in ("bilinear", "bicubic"):
        with tf.GradientTape() as tape:
            tape.watch(t)
            y = tf.image.resize(t, (70, 210), method)
            loss = tf.reduce_sum(y * y * (y + 1.0))
        found += [float(loss), float(tf.reduce_sum(tape.gradient(loss, t) ** 2))]
    np.testing.assert_allclose(found, RESIZED, rtol=2e-5)


def test_boxes_of_images_are_cut_out_in_little_time() -> None:
    # a product of three arrays at once would take a second for each box
    x = np.random.RandomState(0).rand(2, 300, 400, 3).astype(np.float32)
    boxes = np.array(
        [[0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 0.75, 0.6], [-0.5, 0.1, 0.5, 1.2]], np.float32
    )
    got = tf.image.crop_and_resize(x, boxes, [0, 1, 1], (90, 80)).numpy()
    for box, image, crop in zip(boxes.astype(np.float64), (0, 1, 1), got):
        down = box[0] * 299 + np.arange(90) * (box[2] - box[0]) * 299 / 89
        along = box[1] * 399 + np.arange(80) * (box[3] - box[1]) * 399 / 79
        for i, j in ((0, 0), (40, 33), (89, 79), (50, 5)):
            r, c = down[i], along[j]
            if not (0 <= r <= 299 and 0 <= c <= 399):
                assert not crop[i, j].any()
                continue
            a, b = min(int(r), 298), min(int(c), 398)
            u, v = r - a, c - b
            four = x[image, a : a + 2, b : b + 2].astype(np.float64)
            expected = np.einsum("i,j,ijc->c", [1 - u, u], [1 - v, v], four)
            np.testing.assert_allclose(crop[i, j], expected, atol=1e-3)

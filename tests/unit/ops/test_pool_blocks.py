"""Pooling of many images goes block by block; the numbers are those of each image alone."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops import pool_arrays


@pytest.mark.parametrize(("window", "stride", "padding"), [(3, 2, "SAME"), (3, 1, "VALID"),
                                                           (2, 2, "VALID")])  # fmt: skip
def test_blocks_of_images_give_what_each_image_gives(
    window: int, stride: int, padding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.maximum(np.random.RandomState(0).randn(7, 9, 11, 5), 0).astype(np.float32)
    monkeypatch.setattr(pool_arrays, "_BLOCK_BYTES", 2 * x[0].nbytes)  # the last block is half

    def both(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        t = tf.constant(images)
        with tf.GradientTape() as tape:
            tape.watch(t)
            y = tf.nn.max_pool2d(t, window, stride, padding)
            loss = tf.reduce_sum(y * y)
        return y.numpy(), tape.gradient(loss, t).numpy()

    y, slope = both(x)
    alone = [both(x[i : i + 1]) for i in range(7)]
    np.testing.assert_array_equal(y, np.concatenate([a for a, _ in alone]))
    np.testing.assert_array_equal(slope, np.concatenate([b for _, b in alone]))
    # from the definition: the first of the largest in each window gets the gradient
    if padding == "VALID":
        expected = np.zeros_like(x)
        for n, i, j, c in np.ndindex(*y.shape):
            rows, columns = i * stride, j * stride
            part = x[n, rows : rows + window, columns : columns + window, c]
            at = np.unravel_index(part.argmax(), part.shape)
            assert y[n, i, j, c] == part.max()
            expected[n, rows + at[0], columns + at[1], c] += 2 * part.max()
        np.testing.assert_allclose(slope, expected, rtol=1e-6)


def test_no_images_are_pooled() -> None:
    empty = tf.zeros((0, 4, 4, 2))
    with tf.GradientTape() as tape:
        tape.watch(empty)
        y = tf.nn.max_pool2d(empty, 2, 2, "VALID")
    assert y.shape.as_list() == [0, 2, 2, 2]
    assert tape.gradient(y, empty).shape.as_list() == [0, 4, 4, 2]

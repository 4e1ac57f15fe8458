"""Pooling of many images goes block by block; the numbers are those of each image alone."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops import pool_arrays, pool_pairs
from shardtape.ops.windows import geometry

PAIRS = [1.435964822769165, -122.5774286268279]  # a loss, and its gradient weighed by place


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.float16])
@pytest.mark.parametrize("shape", [(7, 8, 6, 5), (5, 2, 2, 1), (4, 12, 3), (3, 2, 70)])
def test_pairs_give_the_first_of_the_largest_the_gradient(
    dtype: type, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.RandomState(0)
    x = rng.randint(0, 3, shape).astype(dtype)  # many are equal
    axes = geometry(shape[1:-1], (2,) * (len(shape) - 2), (2,) * (len(shape) - 2),
                    (1,) * (len(shape) - 2), "VALID", ())  # fmt: skip
    g = rng.randint(-9, 9, (shape[0], *[n // 2 for n in shape[1:-1]], shape[-1])).astype(dtype)
    if np.dtype(dtype).kind == "f":
        g.flat[0] = np.inf
    monkeypatch.setattr(pool_pairs, "_BLOCK_BYTES", 2 * x[0].nbytes)
    assert pool_pairs.are_pairs(x, g, axes)
    expected = np.zeros_like(x)
    for n, *place, c in np.ndindex(*g.shape):
        part = (n, *[slice(2 * p, 2 * p + 2) for p in place], c)
        at = np.unravel_index(x[part].argmax(), x[part].shape)
        expected[part][at] = g[(n, *place, c)]
    np.testing.assert_array_equal(pool_arrays.largest_gradient(np, x, g, axes), expected)


def test_pairs_of_tensors_are_those_of_tensorflow() -> None:
    # made by TensorFlow 2.15 from the same arrays
    x = np.sin(np.arange(2 * 4 * 6 * 3, dtype=np.float32) ** 2).reshape(2, 4, 6, 3)
    t = tf.constant(np.maximum(x, 0))
    weights = np.cos(np.arange(2 * 2 * 3 * 3, dtype=np.float32)).reshape(2, 2, 3, 3)
    with tf.GradientTape() as tape:
        tape.watch(t)
        loss = tf.reduce_sum(tf.nn.max_pool2d(t, 2, 2, "VALID") * weights)
    slope = tape.gradient(loss, t).numpy().ravel()
    found = [float(loss), float((slope * np.arange(slope.size)).sum())]
    np.testing.assert_allclose(found, PAIRS, rtol=1e-5)

"""Sums over leading axes in long rows, and depthwise convolutions in blocks of images."""

from typing import Any

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops.leading_sums import sum_of_rows, sum_over


@pytest.mark.parametrize("shape", [(1000, 33), (4097, 8), (513, 3, 17), (64, 2000), (40000, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_summed_whole(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.random.RandomState(0).rand(*shape).astype(dtype)
    axes = tuple(range(len(shape) - 1))
    exact = x.astype(np.longdouble).sum(axis=axes)
    tolerance = 2e-6 if dtype is np.float32 else 1e-14
    np.testing.assert_allclose(sum_over(np, x, axes), exact, rtol=tolerance)
    kept = sum_over(np, x, axes, keepdims=True)
    assert kept.shape == (*[1] * len(axes), shape[-1])
    out = np.empty(shape[-1:], dtype)
    assert sum_over(np, x, axes, out=out) is out
    np.testing.assert_array_equal(out, kept.ravel())
    np.testing.assert_array_equal(out, sum_of_rows(x.reshape(-1, shape[-1])))


def test_other_axes_and_types_are_summed_as_numpy_does() -> None:
    x = np.random.RandomState(0).randint(-9, 9, (40, 50, 30))
    np.testing.assert_array_equal(sum_over(np, x, (0, 1)), x.sum((0, 1)))
    y = np.random.RandomState(0).rand(40, 50, 30)
    for axes in (None, (0, 1, 2)):
        np.testing.assert_array_equal(sum_over(np, y, axes), np.add.reduce(y, axis=axes))
    turned = y.transpose(2, 0, 1)
    np.testing.assert_array_equal(sum_over(np, turned, (0,)), np.add.reduce(turned, axis=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(4000, 7), (40, 30, 200), (50, 4, 512), (130, 1536), (64, 700)])
def test_rows_are_summed_without_loss(shape: tuple[int, ...], dtype: Any) -> None:
    x = (np.random.RandomState(0).rand(*shape) + 3).astype(dtype)
    for axes in {(len(shape) - 1,), tuple(range(1, len(shape)))}:
        exact = x.astype(np.longdouble).sum(axis=axes)
        tolerance = 1e-6 if dtype is np.float32 else 1e-14
        np.testing.assert_allclose(sum_over(np, x, axes), exact, rtol=tolerance)
        kept = sum_over(np, x, axes, keepdims=True)
        assert kept.shape == (*shape[: -len(axes)], *[1] * len(axes))
        for out in (np.empty(kept.shape, dtype), np.empty(exact.shape, dtype)):
            assert sum_over(np, x, axes, keepdims=out.shape == kept.shape, out=out) is out
            np.testing.assert_array_equal(out.ravel(), kept.ravel())
    # a row alone has the sum that it has among others
    np.testing.assert_allclose(sum_over(np, x[:1], axes), sum_over(np, x, axes)[:1], rtol=1e-6)


def test_special_values_are_summed_as_numpy_does() -> None:
    x = np.ones((200, 40), np.float32)
    x[3, 5], x[4, 6], x[5, 0], x[5, 1] = np.inf, np.nan, np.inf, -np.inf
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(sum_over(np, x, (1,)), np.add.reduce(x, 1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(3, 16, 16, 8), (2, 20, 30, 3), (5, 64, 7, 1), (2, 9, 11, 500)])
def test_middle_axes_are_summed_in_long_rows(shape: tuple[int, ...], dtype: Any) -> None:
    x = np.random.RandomState(0).rand(*shape).astype(dtype)
    for axes in ((1,), (1, 2), (2,), (2, 1), (1, 3), (0, 3), (3, 0, 1), (0, 2, 3)):
        exact = x.astype(np.longdouble).sum(axis=axes, keepdims=True)
        tolerance = 1e-6 if dtype is np.float32 else 1e-14
        kept = sum_over(np, x, axes, keepdims=True)
        np.testing.assert_allclose(kept, exact, rtol=tolerance)
        assert kept.shape == exact.shape and kept.dtype == dtype
        out = np.empty([n for i, n in enumerate(shape) if i not in axes], dtype)
        assert sum_over(np, x, axes, out=out) is out
        np.testing.assert_array_equal(out.ravel(), kept.ravel())


def test_contrast_is_kept_around_the_mean_of_each_channel() -> None:
    x = np.random.RandomState(0).rand(2, 3, 20, 16, 3).astype(np.float32)
    mean = x.astype(np.float64).mean((-3, -2), keepdims=True)
    got = tf.image.adjust_contrast(x, 1.7).numpy()
    np.testing.assert_allclose(got, (x - mean) * 1.7 + mean, rtol=1e-5, atol=1e-6)


def _members(x: np.ndarray, stride: int) -> Any:
    """(member of the window, what all windows read there) with TensorFlow's padding SAME."""
    n, height, width, c = x.shape
    rows, columns = -(-height // stride), -(-width // stride)
    high, wide = (max((m - 1) * stride + 3 - s, 0) for m, s in ((rows, height), (columns, width)))
    padded = np.zeros((n, height + high, width + wide, c))
    padded[:, high // 2 : high // 2 + height, wide // 2 : wide // 2 + width] = x
    for i in range(3):
        for j in range(3):
            last = i + (rows - 1) * stride + 1, j + (columns - 1) * stride + 1
            yield (i, j), padded[:, i : last[0] : stride, j : last[1] : stride]


@pytest.mark.parametrize(("stride", "each"), [(1, 1), (2, 1), (1, 2), (2, 3)])
def test_depthwise_over_several_blocks(stride: int, each: int) -> None:
    generator = np.random.RandomState(1)
    x = generator.randn(5, 33, 31, 24)  # some blocks, the last one not full
    w = generator.randn(3, 3, 24, each)
    variables = [tf.Variable(x, dtype=tf.float64), tf.Variable(w, dtype=tf.float64)]
    with tf.GradientTape() as tape:
        y = tf.nn.depthwise_conv2d(variables[0], variables[1], [1, stride, stride, 1], "SAME")
        weighted = generator.randn(*y.shape)
        loss = tf.reduce_sum(y * weighted)
    split = weighted.reshape(*weighted.shape[:3], 24, each)
    expected = sum(np.einsum("nhwc,cm->nhwcm", at, w[k]) for k, at in _members(x, stride))
    np.testing.assert_allclose(y, expected.reshape(y.shape), rtol=1e-10, atol=1e-10)
    dx, dw = tape.gradient(loss, variables)
    wanted = np.zeros_like(w)
    for k, at in _members(x, stride):
        wanted[k] = np.einsum("nhwc,nhwcm->cm", at, split)
    np.testing.assert_allclose(dw, wanted, rtol=1e-9, atol=1e-9)
    # the loss is linear in x: its gradient gives the loss again
    np.testing.assert_allclose(np.sum(dx.numpy() * x), float(loss), rtol=1e-9)
    shifted = np.roll(x, 1, axis=0)
    again = sum(
        np.einsum("nhwc,cm,nhwcm->", at, w[k], split) for k, at in _members(shifted, stride)
    )
    np.testing.assert_allclose(np.sum(dx.numpy() * shifted), again, rtol=1e-9)

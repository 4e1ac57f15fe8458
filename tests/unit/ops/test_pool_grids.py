"""The gradient of max pooling by windows that overlap, against its definition."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops import pool_arrays, pool_grids
from shardtape.ops.windows import Axis, geometry

CASES = [
    ((3, 9, 8, 4), (3, 3), (2, 2), "SAME"),
    ((3, 9, 8, 4), (3, 3), (2, 2), "VALID"),
    ((2, 7, 6, 1), (3, 3), (1, 1), "SAME"),
    ((2, 7, 9, 3), (3, 2), (1, 3), "VALID"),
    ((2, 8, 9, 3), (1, 5), (1, 2), "SAME"),
    ((2, 11, 9, 3), (5, 4), (2, 3), "SAME"),
    ((2, 5, 5, 2), (2, 2), (3, 1), "SAME"),
    ((1, 3, 3, 2), (3, 3), (1, 1), "VALID"),
]


def _defined(x: np.ndarray, g: np.ndarray, axes: tuple[Axis, ...]) -> np.ndarray:
    made = np.zeros(x.shape, np.float64)
    for n, i, j, c in np.ndindex(*g.shape):
        best, at = -np.inf, None
        for p in range(axes[0].window):
            for q in range(axes[1].window):
                row = i * axes[0].stride + p - axes[0].before
                column = j * axes[1].stride + q - axes[1].before
                inside = 0 <= row < axes[0].size and 0 <= column < axes[1].size
                if inside and (at is None or x[n, row, column, c] > best):
                    best, at = x[n, row, column, c], (row, column)
        made[n, at[0], at[1], c] += g[n, i, j, c]
    return made


@pytest.mark.parametrize(("shape", "window", "strides", "padding"), CASES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_the_first_of_the_largest_gets_the_gradient(
    shape, window, strides, padding, dtype, monkeypatch
):
    monkeypatch.setattr(pool_grids, "_BLOCK_BYTES", 2 * np.dtype(dtype).itemsize * 200)
    rng = np.random.RandomState(0)
    axes = geometry(shape[1:3], window, strides, (1, 1), padding, ())
    x = rng.randint(-2, 2, shape).astype(dtype)  # many are equal
    x[rng.uniform(size=shape) < 0.1] = np.inf
    g = rng.randint(-4, 5, (shape[0], *[a.outputs for a in axes], shape[3])).astype(dtype)
    assert pool_grids.are_grids(x, g, axes)
    made = pool_grids.gradient_of_grids(x, g, axes)
    assert made is not None and made.dtype == dtype
    np.testing.assert_array_equal(made, _defined(x, g, axes))
    np.testing.assert_array_equal(pool_arrays.largest_gradient(np, x, g, axes), made)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_windows_that_padding_could_be_taken_for_go_the_other_way(value):
    axes = geometry((5, 5), (3, 3), (2, 2), (1, 1), "SAME", ())
    x, g = np.ones((2, 5, 5, 2), np.float32), np.ones((2, 3, 3, 2), np.float32)
    x[1, :2, :2] = value
    assert pool_grids.gradient_of_grids(x, g, axes) is None
    made = pool_arrays.largest_gradient(np, x, g, axes)
    assert made[0].sum() == g[0].sum()
    assert made[1, 2:, 2:].sum() > 0


@pytest.mark.parametrize(
    ("shape", "window", "strides", "padding"),
    [*CASES, ((3, 6, 8, 2), (2, 2), (2, 2), "VALID"), ((3, 7, 9, 2), (2, 3), (3, 4), "VALID")],
)
@pytest.mark.parametrize("short_run_bytes", [0, 512])
def test_means_give_all_members_the_gradient(
    shape, window, strides, padding, short_run_bytes, monkeypatch
):
    monkeypatch.setattr(pool_grids, "_BLOCK_BYTES", 1600)
    monkeypatch.setattr(pool_arrays, "_BLOCK_BYTES", 1600)
    monkeypatch.setattr(pool_arrays, "_SHORT_RUN_BYTES", short_run_bytes)
    axes = geometry(shape[1:3], window, strides, (1, 1), padding, ())
    g = np.random.RandomState(0).randn(shape[0], *[a.outputs for a in axes], shape[3])
    expected = np.zeros(shape)
    for n, i, j in np.ndindex(*g.shape[:3]):
        starts = [o * a.stride - a.before for o, a in zip((i, j), axes)]
        inside = [slice(max(0, s), min(a.size, s + a.window)) for s, a in zip(starts, axes)]
        part = expected[n, inside[0], inside[1]]
        part += g[n, i, j] / (part.shape[0] * part.shape[1])
    np.testing.assert_allclose(pool_arrays.mean_gradient(np, g, axes), expected, atol=1e-14)
    counts = pool_arrays._counts(np, axes, g.dtype, shape[3])
    made = pool_grids.mean_gradient_of_grids(g, counts, axes)
    np.testing.assert_allclose(made, expected, atol=1e-14)
    overlapping = any(s > 1 and w > s for w, s in zip(window, strides))
    assert pool_grids.steps_overlap(g, axes) == overlapping


def test_what_is_no_grid():
    x, g = np.ones((2, 6, 6, 2), np.float32), np.ones((2, 3, 3, 2), np.float32)
    overlapping = geometry((6, 6), (3, 3), (2, 2), (1, 1), "SAME", ())
    assert pool_grids.are_grids(x, g, overlapping)
    assert not pool_grids.are_grids(x.astype(np.int32), g, overlapping)
    assert not pool_grids.are_grids(x.swapaxes(1, 2), g, overlapping)
    assert not pool_grids.are_grids(x, g, geometry((6, 6), (2, 2), (2, 2), (1, 1), "SAME", ()))


def test_gradient_of_tensorflow():
    x = tf.constant(np.random.RandomState(3).randint(0, 4, (2, 7, 6, 3)).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.max_pool2d(x, 3, 2, "SAME")
        loss = tf.reduce_sum(y * tf.reshape(tf.range(72.0), y.shape))
    slope = tape.gradient(loss, x)
    weighed = tf.reduce_sum(slope * tf.reshape(tf.range(252.0), x.shape))
    assert (float(loss), float(weighed)) == (7153.0, 416901.0)

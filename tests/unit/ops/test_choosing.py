"""Masked bits give what `numpy.where` gives, for every element size, layout and special value."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops.choosing import choose, kept, taken_out

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.5]


def same_bits(got: np.ndarray, expected: np.ndarray) -> None:
    assert got.dtype == expected.dtype and got.shape == expected.shape
    assert got.tobytes() == expected.tobytes()


def made(dtype: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    rng = np.random.RandomState(seed)
    values = (
        rng.choice(SPECIAL, shape) if np.dtype(dtype).kind in "fc" else rng.randint(0, 99, shape)
    )
    return values.astype(dtype)


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "complex64", "complex128", "int8", "uint64", "bool"]
)
@pytest.mark.parametrize(
    ("mask", "x", "y"),
    [
        ((300, 500), (300, 500), (300, 500)),  # several blocks
        ((40, 1, 30), (40, 5, 30), ()),
        ((), (70, 20), (70, 20)),
        ((64, 64), (), ()),
        ((64, 1), (64, 64), (64,)),
        ((2, 3), (2, 3), (2, 3)),  # too few for blocks
        ((0, 3), (0, 3), (3,)),
    ],
)
def test_choice_equals_where(
    dtype: str, mask: tuple[int, ...], x: tuple[int, ...], y: tuple[int, ...]
) -> None:
    m = np.asarray(np.random.RandomState(0).rand(*mask) > 0.5)
    a, b = made(dtype, x, 1), made(dtype, y, 2)
    expected = np.where(m, a, b)
    same_bits(choose(np, m, a, b), expected)
    out = np.empty(expected.shape, dtype)
    assert choose(np, m, a, b, out) is out
    same_bits(out, expected)
    if a.shape == expected.shape:  # in place, of arrays that are not contiguous, too
        wide = np.zeros((*a.shape, 2), dtype)[..., 0]
        wide[...] = a
        same_bits(np.ascontiguousarray(choose(np, m, wide, b, wide)), expected)


def test_what_is_kept_and_what_is_left_are_the_whole() -> None:
    values = made("float32", (64, 64), 3)
    mask = np.random.RandomState(1).rand(64, 64) > 0.5
    part = kept(np, values, mask)
    same_bits(part, np.where(mask, values, np.float32(0)))
    same_bits(
        taken_out(np, values, mask, part, np.empty_like(values)),
        np.where(mask, np.float32(0), values),
    )


def test_where_and_its_gradient_leave_infinities_where_they_are() -> None:
    x = tf.constant(np.where(np.arange(4096) % 3 == 0, np.inf, 1.0).astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.where(tf.math.is_inf(x), 2.0, x)
    np.testing.assert_array_equal(y.numpy(), np.where(np.arange(4096) % 3 == 0, 2.0, 1.0))
    slope = tape.gradient(y, x, tf.fill([4096], np.float32(np.inf))).numpy()
    np.testing.assert_array_equal(slope, np.where(np.arange(4096) % 3 == 0, 0.0, np.inf))

"""Philox words and distributions: against the definition, at borders, and on a device."""

import numpy as np
import pytest
from unit.backend import strict_device

from shardtape.backend import philox, single_precision
from shardtape.backend.philox import Philox

START = Philox(0x0123456789ABCDEF, 2**64 - 3)  # three blocks before the counter's carry


@pytest.mark.parametrize("size", [1, 4, 13, 4 * philox._HOST_CHUNK + 9])
def test_words_are_those_of_the_blocks(size):
    got = philox.words(np, START, size)
    assert got.dtype == np.uint32 and got.shape == (size,)
    blocks = range(-(-size // 4)) if size < 100 else (0, 1, 2, 3, size // 4)
    for i in blocks:
        wanted = START.skip(i).block()[: size - 4 * i]
        assert tuple(got[4 * i : 4 * i + 4].tolist()) == wanted[:4]


def test_counter_wraps_like_128_bit_addition():
    last = Philox(5, 2**128 - 1)
    assert last.skip(1) == Philox(5, 0)
    assert philox.words(np, last, 8)[4:].tolist() == list(Philox(5, 0).block())
    assert last.skip(3).counter == 2


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_uniforms_lie_in_the_unit_interval(dtype):
    import ml_dtypes

    dtype = ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype
    drawn = philox.uniform(np, START, 20_000, dtype)
    assert drawn.dtype == np.dtype(dtype)
    wide = drawn.astype(np.float64)
    assert wide.min() >= 0 and wide.max() < 1
    assert abs(wide.mean() - 0.5) < 0.01 and abs(wide.var() - 1 / 12) < 0.002


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normals_have_their_moments(dtype):
    drawn = philox.normal(np, START, 50_000, dtype)
    assert abs(drawn.mean()) < 0.02 and abs(drawn.std() - 1) < 0.01
    cut = philox.truncated_normal(np, START, 50_000, dtype)
    assert np.abs(cut).max() < 2 and abs(cut.std() - 0.8796) < 0.01


def test_prefixes_agree():
    """A shorter draw is the start of a longer one, whatever the chunks are."""
    for draw in (philox.uniform, philox.normal, philox.truncated_normal):
        for dtype in ("float32", "float64"):
            long = draw(np, START, 3 * philox._HOST_CHUNK * 4 + 5, dtype)
            np.testing.assert_array_equal(draw(np, START, 1001, dtype), long[:1001])


def test_integers_stay_in_range():
    drawn = philox.integers(np, START, 10_000, -3, 4, np.int32)
    assert set(drawn.tolist()) == set(range(-3, 4))
    low, high = -(2**63), 2**63 - 1
    drawn = philox.integers(np, START, 1000, low, high, np.int64)
    assert drawn.dtype == np.int64 and drawn.min() < 0 < drawn.max()
    drawn = philox.integers(np, START, 1000, -(2**31), 2**31 - 1, np.int32)
    assert drawn.min() < -(2**30) and drawn.max() > 2**30


def test_permutations():
    assert philox.permutation(START, 0).tolist() == []
    assert philox.permutation(START, 1).tolist() == [0]
    assert sorted(philox.permutation(START, 1000).tolist()) == list(range(1000))


def test_categorical_follows_the_weights():
    logits = np.log(np.array([[0.1, 0.0, 0.6, 0.3], [1.0, 0.0, 0.0, 0.0]]) + 1e-300)
    logits[0, 1] = -np.inf
    drawn = philox.categorical(np, START, logits, 20_000)
    share = np.bincount(drawn[0], minlength=4) / 20_000
    np.testing.assert_allclose(share, [0.1, 0.0, 0.6, 0.3], atol=0.015)
    assert (drawn[1] == 0).all()


def test_float32_functions_are_as_accurate_as_stated():
    x = philox.uniform(np, START, 100_000, "float32")
    x = np.maximum(x, np.float32(1e-7))
    exact = np.log(x.astype(np.float64))
    ulp = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
    assert (np.abs(single_precision.log(np, x) - exact) / ulp).max() < 0.9
    angle = x * np.float32(2 * np.pi)
    for got, wanted in zip(single_precision.sincos(np, angle), (np.sin, np.cos), strict=True):
        exact = wanted(angle.astype(np.float64))
        ulp = np.spacing(np.abs(exact).astype(np.float32)).astype(np.float64)
        assert (np.abs(got - exact) / ulp).max() < 0.6


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("draw", [philox.uniform, philox.normal, philox.truncated_normal])
def test_distributions_stay_on_the_device(draw, dtype):
    with strict_device.whole_program():
        got = draw(strict_device.XP, START, 1003, dtype)
    assert isinstance(got, strict_device.StrictArray)
    np.testing.assert_array_equal(got.get(), draw(np, START, 1003, dtype))


def test_integers_and_choices_stay_on_the_device():
    xp = strict_device.XP
    for dtype in (np.int32, np.int64):
        got = philox.integers(xp, START, 100, -9, 9, dtype)
        np.testing.assert_array_equal(got.get(), philox.integers(np, START, 100, -9, 9, dtype))
    for dtype in (np.int32, np.uint32, np.int64, np.uint64):
        got = philox.full_integers(xp, START, 9, dtype)
        np.testing.assert_array_equal(got.get(), philox.full_integers(np, START, 9, dtype))
    logits = np.array([[0.1, -np.inf, 2.0], [3.0, 1.0, 0.0]], np.float32)
    got = philox.categorical(xp, START, strict_device.put(logits), 7)
    np.testing.assert_array_equal(got.get(), philox.categorical(np, START, logits, 7))

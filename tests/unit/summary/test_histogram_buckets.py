"""Buckets against the plain definitions."""

import numpy as np
import pytest
from tensorboard.plugins.histogram import summary_v2
from tensorboard.util import tensor_util

from shardtape.summary.buckets import exponential_buckets, exponential_limits, linear_buckets


def arrays():
    rng = np.random.default_rng(0)
    return {
        "normal32": rng.normal(size=40_000).astype(np.float32),
        "normal64": rng.normal(size=(50, 7, 3)),
        "skewed": np.exp(rng.normal(size=5000) * 5),
        "tiny": rng.normal(size=1000) * 1e-13,
        "huge": rng.normal(size=1000) * 1e19,
        "ints": rng.integers(-9, 9, 1000),
        "uint8": rng.integers(0, 255, 1000).astype(np.uint8),
        "bools": rng.integers(0, 2, 1000).astype(bool),
        "half": rng.normal(size=1000).astype(np.float16),
        "one": np.array([3.5]),
        "equal": np.full(100, -2.5, np.float32),
        "none": np.zeros(0, np.float32),
        "scalar": np.float32(2),
    }


@pytest.mark.parametrize("name", arrays())
@pytest.mark.parametrize("buckets", [30, 1, 7, 0])
def test_linear_equals_tensorboards_numpy_version(name, buckets):
    values = arrays()[name]
    summary = summary_v2.histogram_pb("t", values, buckets)
    expected = tensor_util.make_ndarray(summary.value[0].tensor)
    np.testing.assert_array_equal(linear_buckets(values, buckets), expected.reshape(-1, 3))


@pytest.mark.parametrize("name", arrays())
def test_exponential_equals_a_search_in_the_limits(name):
    values = np.asarray(arrays()[name], np.float64).reshape(-1)
    limits = exponential_limits()
    counts = np.bincount(np.searchsorted(limits, values, side="right"), minlength=len(limits))
    found = exponential_buckets(arrays()[name])
    full = {float(limits[i]): float(counts[i]) for i in np.flatnonzero(counts)}
    assert {k: v for k, v in zip(found.limits, found.counts, strict=True) if v} == full
    assert found.num == values.size
    np.testing.assert_allclose(found.sum, values.sum(), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(found.sum_squares, (values**2).sum(), rtol=1e-9)


def test_exponential_at_and_beside_every_limit():
    limits = exponential_limits()[1:-1]
    for values in (limits, np.nextafter(limits, -np.inf), np.nextafter(limits, np.inf)):
        expected = np.searchsorted(exponential_limits(), values, side="right")
        for value, index in zip(values, expected, strict=True):
            found = exponential_buckets(np.array([value]))
            position = found.counts.index(1.0)
            assert found.limits[position] == exponential_limits()[index]


def test_runs_of_empty_buckets_are_one():
    found = exponential_buckets(np.array([0.0, 1.0, 1.0, -5.0]))
    assert found.counts == [0.0, 1.0, 0.0, 1.0, 0.0, 2.0, 0.0]
    assert (found.min, found.max) == (-5.0, 1.0)


def test_not_finite_values_are_left_out():
    values = np.array([np.nan, 1.0, 2.0, np.inf, -np.inf], np.float32)
    assert linear_buckets(values, 2)[:, 2].tolist() == [1.0, 1.0]
    assert exponential_buckets(values).num == 2
    assert linear_buckets(np.full(3, np.nan), 4).sum() == 0


def test_ranges_at_the_ends_of_float64():
    wide = linear_buckets(np.array([-1.7e308, 0.0, 1.7e308]), 2)
    assert wide.tolist() == [[-1.7e308, 0.0, 1.0], [0.0, 1.7e308, 2.0]]
    narrow = linear_buckets(np.array([0.0, 5e-324]), 4)
    assert narrow[-1, 2] == 2


def test_bfloat16_is_converted():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = np.array([0, 1, 2, 3], ml_dtypes.bfloat16)
    assert linear_buckets(values, 3)[:, 2].tolist() == [1, 1, 2]

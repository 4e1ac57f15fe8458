"""Vectors of few channels with large arrays give what numpy's own broadcasting gives."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops.repeated_rows import spread_into

CASES = [
    ((64, 32, 32, 3), (3,)),
    ((1, 1, 1, 16), (8, 33, 65, 16)),
    ((5000, 7), (1, 7)),
    ((33001, 5), (5,)),  # an odd number of rows
    ((300, 200), (200,)),
    ((300, 200), (300, 1)),
    ((40, 30, 40), (30, 40)),
    ((30, 40, 30), (30, 1, 30)),
    ((40000, 2), (1,)),
]


@pytest.mark.parametrize(("first", "second"), CASES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "complex64"])
def test_results_are_those_of_numpy(
    first: tuple[int, ...], second: tuple[int, ...], dtype: str
) -> None:
    rng = np.random.RandomState(0)
    x, y = rng.randint(-9, 9, first).astype(dtype), rng.randint(1, 9, second).astype(dtype)
    for ufunc in (np.subtract, np.multiply, np.greater if dtype != "complex64" else np.add):
        expected = ufunc(x, y)
        out = np.zeros_like(expected)
        assert spread_into(ufunc, x, y, out) is out
        np.testing.assert_array_equal(out, expected)
        wide = np.zeros((*expected.shape, 2), expected.dtype)[..., 0]  # not contiguous
        np.testing.assert_array_equal(spread_into(ufunc, x, y, wide), expected)
    if y.shape == x.shape[-1:]:  # into its own input
        expected = x - y
        np.testing.assert_array_equal(spread_into(np.subtract, x, y, x), expected)


def test_a_compiled_function_normalizes_images() -> None:
    x = np.random.RandomState(0).rand(32, 32, 32, 3).astype(np.float32)
    mean, scale = np.array([0.4, 0.5, 0.6], np.float32), np.array([0.2, 0.3, 0.4], np.float32)
    made = tf.function(lambda t: tf.math.squared_difference((t - mean) / scale, mean))(x)
    np.testing.assert_allclose(made.numpy(), ((x - mean) / scale - mean) ** 2, rtol=1e-6)

"""The largest and the least by halves are those of numpy, for all axes and types."""

import itertools

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops.extremes import extreme_over

SHAPES = [
    (400, 7),
    (64, 33),
    (40, 150),
    (300,),
    (8, 13, 9, 5),
    (3, 40, 1, 70),
    (5, 64, 512),
    (2, 3),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "int32", "uint8"])
def test_extremes_are_those_of_numpy(shape: tuple[int, ...], dtype: str) -> None:
    x = (np.random.RandomState(0).rand(*shape) * 200).astype(dtype)
    for count in range(len(shape) + 1):
        for axes in itertools.combinations(range(len(shape)), count):
            for combine in (np.maximum, np.minimum):
                expected = combine.reduce(x, axis=axes, keepdims=True)
                got = extreme_over(combine, x, axes, keepdims=True)
                np.testing.assert_array_equal(got, expected)
                assert got.dtype == x.dtype and got.shape == expected.shape
                out = np.empty(combine.reduce(x, axis=axes).shape, x.dtype)
                assert extreme_over(combine, x, axes, out=out) is out
                np.testing.assert_array_equal(out.ravel(), expected.ravel())


@pytest.mark.parametrize("width", [5, 100])
def test_infinities_win_and_nan_stays(width: int) -> None:
    x = np.random.RandomState(0).randn(64, width).astype(np.float32)
    x[3, 2], x[4, 4], x[5, 1] = np.inf, np.nan, -np.inf
    np.testing.assert_array_equal(
        tf.reduce_max(tf.constant(x), -1).numpy(), np.maximum.reduce(x, -1)
    )
    turned = np.asfortranarray(x)
    np.testing.assert_array_equal(extreme_over(np.minimum, turned, (1,)), np.minimum.reduce(x, -1))

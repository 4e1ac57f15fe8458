"""Copies of transposed arrays by strips are those of numpy, for every order of the axes."""

import itertools

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops.transposing import _matrices, copy_transposed


@pytest.mark.parametrize("shape", [(512, 512), (300, 257), (70, 3, 170), (3, 100, 2, 128), (64, 0)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "complex64"])
def test_every_order(shape: tuple[int, ...], dtype: str) -> None:
    x = (np.arange(np.prod(shape)) % 251).astype(dtype).reshape(shape)
    for perm in itertools.permutations(range(len(shape))):
        expected = x.transpose(perm)
        out = np.zeros(expected.shape, dtype)
        copy_transposed(x, list(perm), out)
        np.testing.assert_array_equal(out, expected)
        turned = np.asfortranarray(x)
        copy_transposed(turned, list(perm), out)
        np.testing.assert_array_equal(out, expected)


def test_which_orders_are_matrices() -> None:
    x = np.empty((4, 256, 2, 96), np.float32)
    assert _matrices(x, [0, 2, 3, 1]) == (4, 256, 192)
    assert _matrices(x, [0, 3, 1, 2]) == (4, 512, 96)
    assert _matrices(x, [3, 0, 1, 2]) == (1, 2048, 96)
    assert _matrices(x, [0, 1, 2, 3]) is None and _matrices(x, [0, 3, 2, 1]) is None


def test_compiled_transposition() -> None:
    x = np.random.RandomState(0).rand(700, 130).astype(np.float32)
    np.testing.assert_array_equal(tf.function(lambda t: tf.transpose(t))(x).numpy(), x.T)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError)):
        tf.transpose(x, [0, 0])

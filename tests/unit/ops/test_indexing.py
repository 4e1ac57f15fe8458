"""`tensor[key]`: keys, errors, gradients, graphs."""

import numpy as np
import pytest

import shardtape as tf
from shardtape import errors
from shardtape.context import building
from shardtape.graph.ir import Graph
from shardtape.graph.placeholders import placeholder
from shardtape.graph.plan import Plan

X = np.arange(24.0).reshape(2, 3, 4)
KEYS = [
    0, -1, (1, 2), (0, -1, 3), slice(None), slice(1, None), (slice(None), slice(None, None, 2)),
    Ellipsis, (Ellipsis, 1), (0, Ellipsis, slice(1, 3)), None, (None, 1, None), (1, None, Ellipsis),
    (slice(None, None, -1), 1), (slice(5, -9, -2),), (slice(2, 1),), [1, 2], np.int64(1),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_keys_mean_what_numpy_means(key):
    want = X[tuple(key) if isinstance(key, list) else key]
    np.testing.assert_array_equal(tf.constant(X)[key].numpy(), want)
    x = tf.constant(X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.square(x[key]))
    expected = np.zeros_like(X)
    expected[tuple(key) if isinstance(key, list) else key] = 2 * want
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), expected)


@pytest.mark.parametrize("shape", [(2, 3, 4), (None, None, None), (None, 3, 4), None])
@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_keys_in_a_graph(key, shape):
    graph = Graph()
    with building(graph):
        x = placeholder(tf.float64, shape)
        y = x[key]
    want = X[tuple(key) if isinstance(key, list) else key]
    assert y.shape.is_compatible_with(want.shape)
    if shape == (2, 3, 4):
        assert y.shape == want.shape
    np.testing.assert_array_equal(Plan(graph, [x], [y]).run([X])[0], want)


def test_tensors_as_indices():
    x, i, j = tf.constant(X), tf.constant(1), tf.constant(2, tf.int64)
    np.testing.assert_array_equal(x[i].numpy(), X[1])
    np.testing.assert_array_equal(x[0, i:j].numpy(), X[0, 1:2])
    np.testing.assert_array_equal(x[..., j, None].numpy(), X[..., 2, None])
    np.testing.assert_array_equal(x[x > 20].numpy(), X[X > 20])
    graph = Graph()
    with building(graph):
        at = placeholder(tf.int32, ())
        got = tf.constant(X)[at, at : at + 1]
    assert got.shape.as_list() == [None, 4]
    np.testing.assert_array_equal(Plan(graph, [at], [got]).run([np.int32(1)])[0], X[1, 1:2])


@pytest.mark.parametrize("key", [1.0, "a", (0, 2.5), tf.constant([0, 1]), np.array([0, 1]), True])
def test_other_keys_are_refused(key):
    if key is True:
        return  # a scalar mask: refused as one
    with pytest.raises(TypeError, match="Only integers, slices"):
        tf.constant(X)[key]


def test_a_scalar_mask_is_refused():
    with pytest.raises(ValueError, match="mask cannot be scalar"):
        tf.constant(X)[True]


@pytest.mark.parametrize("key", [2, -3, (0, 3), (0, 0, 0, 0)])
def test_out_of_bounds(key):
    with pytest.raises(errors.InvalidArgumentError, match="out of (bounds|range)"):
        tf.constant(X)[key]
    with tf.GradientTape() as tape:
        x = tf.constant(X)
        tape.watch(x)
        with pytest.raises(errors.InvalidArgumentError, match="out of (bounds|range)"):
            x[key]


def test_two_ellipses_are_refused():
    with pytest.raises(ValueError, match="Multiple ellipses"), tf.GradientTape():
        tf.constant(X)[..., 0, ...]


def test_variables_are_indexed_by_value():
    v = tf.Variable(X)
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(v[0, 1:] * 2.0)
    want = np.zeros_like(X)
    want[0, 1:] = 2
    np.testing.assert_array_equal(tape.gradient(y, v).numpy(), want)

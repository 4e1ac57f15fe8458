"""Draws of traced functions that nobody needs: left out, and no other number changes.

TensorFlow 2.15 leaves them out too (a function that draws two million normals for nothing takes
0.1 ms there); the numbers are TensorFlow's.
"""

import numpy as np
import pytest

import shardtape as tf
from shardtape.backend import random


@pytest.fixture
def draws(monkeypatch):
    """The blocks of random numbers that are taken."""
    taken = []
    take = random.take

    def counted(identity, seed, seed2, blocks):
        taken.append(blocks)
        return take(identity, seed, seed2, blocks)

    monkeypatch.setattr(random, "take", counted)
    return taken


def _unused(draw):
    def function(x):
        draw()
        return x + 1.0

    return function


@pytest.mark.parametrize(
    "draw",
    [
        lambda: tf.random.normal([8]),
        lambda: tf.random.uniform([8]),
        lambda: tf.random.truncated_normal([8]),
        lambda: tf.random.uniform([8], 0, 9, tf.int32),
        lambda: tf.random.shuffle(tf.range(9)),
        lambda: tf.random.categorical(tf.zeros([2, 3]), 4),
        lambda: tf.nn.dropout(tf.ones([8]), 0.5),
    ],
)
def test_what_nobody_needs_is_not_drawn(draw, draws):
    function = tf.function(_unused(draw), autograph=False)
    for _ in range(4):  # later runs are those of generated code
        assert float(function(1.0)) == 2.0
    assert not draws
    kept = tf.function(lambda: draw())
    kept()
    assert draws


def test_in_loops_branches_and_functions(draws):
    inner = tf.function(lambda: tf.random.normal([8]))

    @tf.function
    def function(x):
        inner()
        for _ in tf.range(3):
            tf.random.normal([8])
            x += 1.0
        if x > 0:
            tf.random.normal([8])
            x += 1.0
        return x

    assert [float(function(1.0)) for _ in range(3)] == [5.0] * 3
    assert not draws
    inner()
    assert len(draws) == 1


def test_the_gradient_of_added_noise_draws_none(draws):
    layer = tf.keras.layers.GaussianNoise(0.3)

    @tf.function
    def slope(x, seed):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=True)
        return tape.gradient(y, x, seed)

    assert slope(tf.ones([2, 3]), tf.ones([2, 3])).numpy().tolist() == [[1.0] * 3] * 2
    assert not draws


def test_draws_that_a_gradient_needs_are_those_of_the_forward_run():
    @tf.function
    def function(x):
        return tf.nn.dropout(x, 0.5) * tf.random.uniform([20])

    x = tf.ones([20])
    for _ in range(3):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        np.testing.assert_allclose(tape.gradient(y, x), y)


def test_other_numbers_stay():
    @tf.function
    def last(x):
        tf.random.normal([2])
        tf.random.uniform([2])
        return tf.random.normal([1]) + x

    tf.random.set_seed(3)
    found = [float(last(0.0)[0]) for _ in range(3)]
    np.testing.assert_allclose(found, [0.44994467, -0.76539224, -0.5912712], atol=1e-6)
    assert float(tf.random.uniform([])) == pytest.approx(0.13366318)


def test_what_waits_for_a_draw_keeps_it(draws):
    @tf.function
    def function(x):
        with tf.control_dependencies([tf.random.normal([8])]):
            return tf.identity(x)

    function(1.0)
    assert len(draws) == 1

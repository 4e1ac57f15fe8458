"""A job's seed alone decides a model's initial values and what its steps draw."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.workers.step import CompiledStep


def model():
    x = tf.placeholder(tf.float32, (None, 3), name="x")
    w = tf.Variable(tf.initializers.GlorotUniform()([3, 4]), name="w")
    b = tf.Variable(lambda: tf.random.normal([4]), name="b")
    c = tf.Variable(tf.random.uniform([4]), name="c")
    y = tf.nn.dropout(tf.matmul(x, w) + b + c, 0.5)
    return tf.reduce_mean(tf.square(y))


def build(seed):
    step = CompiledStep(model, seed)
    values = step.initial_values()
    step.bind({key: np.array(value) for key, value in values.items()})
    return step, values


def test_initial_values_follow_from_the_seed():
    first, second, other = build(5)[1], build(5)[1], build(6)[1]
    tf.random.set_seed(77)
    third = build(5)[1]
    for key in ("w", "b", "c"):
        np.testing.assert_array_equal(first[key], second[key])
        np.testing.assert_array_equal(first[key], third[key])
        assert not np.array_equal(first[key], other[key])


@pytest.mark.parametrize("seed", [0, 5])
def test_a_batch_computed_again_elsewhere_gives_the_same(seed):
    feed = {"x": np.ones((8, 3), np.float32)}
    one, two = build(seed)[0], build(seed)[0]
    for index in range(3):
        two.run(feed, key=(seed, 0, 1, index))  # another worker has done other batches before
    a = one.run(feed, key=(seed, 2, 1, 0))
    b = two.run(feed, key=(seed, 2, 1, 0))
    assert a.loss == b.loss
    for key in a.gradients:
        np.testing.assert_array_equal(a.gradients[key], b.gradients[key])
    assert one.run(feed, key=(seed, 2, 1, 1)).loss != a.loss

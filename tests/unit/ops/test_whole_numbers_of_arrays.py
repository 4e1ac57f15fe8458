"""Floats of numpy where TensorFlow 2.15 takes integers: they are cut off, Python's are refused."""

import numpy as np
import pytest

import shardtape as tf


@pytest.mark.parametrize("traced", [False, True])
def test_one_hot_of_labels(traced):
    def call(labels):
        return tf.one_hot(labels, 3)

    run = (lambda v: tf.function(lambda: call(v))()) if traced else call
    rows = [[0, 1, 0], [0, 0, 1], [1, 0, 0]]
    assert run(np.array([1, 2.7, 0], np.float32)).numpy().tolist() == rows
    assert run(np.array([1, 2, 0], np.float64)).numpy().tolist() == rows
    assert run(np.array([True])).numpy().tolist() == [[0, 1, 0]]
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError)):
        run([1.0, 2.7, 0])
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError)):
        run(tf.constant([1.0]))


def test_shapes():
    assert tf.reshape([1, 2, 3], np.array([3.0])).shape == [3]
    assert tf.tile([1], np.array([2.0])).numpy().tolist() == [1, 1]
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError)):
        tf.reshape([1, 2, 3], [3.0])

"""`tf.nn.max_pool_with_argmax`; values of every dtype are in the registry's test."""

import numpy as np
import pytest

import shardtape as tf

_X = np.array([3, 1, 2, 3, 5, 5, 0, -1, 7, 7, 7, 2], np.float32).reshape(1, 3, 4, 1)


def test_places_of_equals_are_the_first():
    values, places = tf.nn.max_pool_with_argmax(_X, 2, 2, "SAME")
    assert values.numpy().ravel().tolist() == [5, 3, 7, 7]  # TensorFlow 2.15's, as below
    assert places.dtype is tf.int64
    assert places.numpy().ravel().tolist() == [4, 3, 8, 10]


def test_gradient_goes_to_the_places():
    x = tf.constant(_X)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.nn.max_pool_with_argmax(x, 2, 1, "SAME")[0] ** 2)
    wanted = [0, 0, 0, 12, 10, 10, 0, 0, 28, 28, 28, 8]
    assert tape.gradient(y, x).numpy().ravel().tolist() == wanted


def test_in_a_function():
    @tf.function
    def f(x):
        return tf.nn.max_pool_with_argmax(x, [1, 2, 2, 1], 2, "VALID", output_dtype=tf.int32)

    values, places = f(_X)
    assert values.numpy().ravel().tolist() == [5, 3]
    assert places.dtype is tf.int32 and places.numpy().ravel().tolist() == [4, 3]


def test_refusals():
    with pytest.raises(ValueError, match="NHWC"):
        tf.nn.max_pool_with_argmax(_X, 2, 2, "SAME", data_format="NCHW")
    with pytest.raises(TypeError, match="padding"):
        tf.nn.max_pool_with_argmax(_X, 2, 2, [[0, 0]] * 4)

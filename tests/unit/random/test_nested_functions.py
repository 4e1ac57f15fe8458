"""Random ops of functions that other functions call; numbers of TensorFlow 2.15."""

import numpy as np

import shardtape as tf

FIRST = [0.18286, 0.68999]
SECOND = [0.93639, 0.65133]


@tf.function
def inner():
    return tf.random.uniform([2])


@tf.function
def outer():
    return inner(), inner(), tf.random.uniform([2])


def test_each_call_in_a_function_draws_as_if_it_were_alone():
    tf.random.set_seed(5)
    np.testing.assert_allclose(outer(), [FIRST] * 3, atol=1e-5)
    np.testing.assert_allclose(outer(), [SECOND] * 3, atol=1e-5)


def test_calls_in_functions_leave_the_function_itself_alone():
    tf.random.set_seed(5)
    np.testing.assert_allclose(inner(), FIRST, atol=1e-5)
    np.testing.assert_allclose(outer(), [FIRST] * 3, atol=1e-5)
    np.testing.assert_allclose(inner(), SECOND, atol=1e-5)


@tf.function
def loop():
    total = tf.zeros([2])
    for _ in tf.range(2):
        total += tf.random.uniform([2], seed=3)
    return total


@tf.function
def branch(x):
    if x > 0:
        return inner() + tf.random.normal([2], seed=2)
    else:
        return tf.zeros([2])


def test_loops_and_branches_in_functions():
    @tf.function
    def loops():
        return loop(), loop()

    @tf.function
    def branches(x):
        return branch(x), branch(x)

    first, second = [0.74373, 0.72475], [1.15091, 1.20052]
    tf.random.set_seed(7)
    np.testing.assert_allclose(loop(), first, atol=1e-5)
    np.testing.assert_allclose(loops(), [first] * 2, atol=1e-5)
    np.testing.assert_allclose(loop(), second, atol=1e-5)
    np.testing.assert_allclose(loops(), [second] * 2, atol=1e-5)

    one = tf.constant(1)
    tf.random.set_seed(7)
    np.testing.assert_allclose(branches(one), [[-1.28882, 0.07353]] * 2, atol=1e-5)
    np.testing.assert_allclose(branch(one), [-1.28882, 0.07353], atol=1e-5)
    np.testing.assert_allclose(branches(one), [[0.66117, 0.25724]] * 2, atol=1e-5)


def test_gradients_of_calls_that_draw():
    @tf.function
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf.reduce_sum(tf.nn.dropout(x, 0.5, seed=4) * x)
            y += tf.reduce_sum(branch(tf.constant(1)) * x)
        return tape.gradient(y, x)

    tf.random.set_seed(7)
    np.testing.assert_allclose(slope(tf.ones([2])), [-1.28882, 4.07353], atol=1e-5)
    np.testing.assert_allclose(slope(tf.ones([2])), [4.66117, 0.25724], atol=1e-5)

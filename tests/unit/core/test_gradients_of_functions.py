"""Tapes and traced functions inside each other."""

import numpy as np

import shardtape as tf

V = tf.Variable(3.0)


@tf.function
def cubic(x):
    return x * x * V


def test_a_tape_in_a_function_sees_the_functions_that_it_calls():
    @tf.function
    def slopes(x):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = cubic(x)
        return tape.gradient(y, x), tape.gradient(y, V)

    assert [g.numpy() for g in slopes(tf.constant(2.0))] == [12.0, 4.0]


def test_second_derivatives_of_a_function_in_a_function():
    @tf.function
    def second(x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = cubic(x)
            first = inner.gradient(y, x)
        return outer.gradient(first, x)

    assert second(tf.constant(2.0)).numpy() == 6.0


def test_a_tape_in_a_function_watches_a_tensor_from_outside():
    x = tf.constant(2.0)

    @tf.function
    def slope(positive):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = cubic(x)
            if positive > 0.0:
                z = y * x
            else:
                z = -y
        return tape.gradient(z, x)

    assert slope(tf.constant(1.0)).numpy() == 36.0  # 3 V x^2
    assert slope(tf.constant(-1.0)).numpy() == -12.0


def test_a_function_that_gives_back_its_argument():
    same = tf.function(lambda x: x)

    @tf.function
    def slope(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = same(x) * 5.0
        return tape.gradient(y, x)

    np.testing.assert_array_equal(slope(tf.constant([1.0, 2.0])), [5.0, 5.0])

"""Variables whose first values come from a tf.function's arguments, figures of TensorFlow 2.15."""

from __future__ import annotations

import numpy as np
import pytest

import shardtape as tf


class Total:
    """A sum that is made where its first summand is seen."""

    def __init__(self):
        self.total = None

    @tf.function
    def add(self, x):
        if self.total is None:
            self.total = tf.Variable(x * 2.0 + 1.0)
        self.total.assign_add(x)
        return self.total.read_value()


def test_of_a_computation_on_the_argument():
    total = Total()
    assert total.add(tf.constant([1.0, 2.0])).numpy().tolist() == [4.0, 7.0]
    assert total.add(tf.constant([1.0, 2.0])).numpy().tolist() == [5.0, 9.0]
    assert total.total.numpy().tolist() == [5.0, 9.0]
    assert Total().add(tf.constant(5.0)).numpy() == 16.0


def test_of_arrays_and_declared_arguments():
    made = []

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def scaled(x):
        if not made:
            made.append(tf.Variable(tf.reduce_max(x)))
        return x / made[0]

    assert scaled(np.array([2.0, 4.0], np.float32)).numpy().tolist() == [0.5, 1.0]
    assert scaled([8.0]).numpy().tolist() == [2.0]


def test_of_the_parts_of_ragged_arguments():
    made = []

    @tf.function
    def counted(rows):
        if not made:
            made.append(tf.Variable(tf.reduce_sum(rows)))
        return made[0].assign_add(1)

    rows = tf.ragged.constant([[1, 2], [3]])
    assert [int(counted(rows)), int(counted(rows))] == [7, 8]


def test_in_a_function_that_another_calls():
    made = []

    @tf.function
    def inner(x):
        if not made:
            made.append(tf.Variable(x))
        return made[0] + x

    @tf.function
    def outer(x):
        return inner(x * 3.0)

    assert float(outer(tf.constant(2.0))) == 12.0
    assert float(outer(tf.constant(1.0))) == 9.0


def test_a_variable_for_every_call_is_refused():
    @tf.function
    def careless(x):
        return tf.Variable(x) + x

    with pytest.raises(ValueError, match="singleton tf.Variables"):
        careless(tf.constant(1.0))


def test_without_a_call_there_is_no_value():
    total = Total()
    with pytest.raises(tf.errors.InvalidArgumentError, match="cannot depend on a feed"):
        total.add.get_concrete_function(tf.TensorSpec([2]))

"""Restores of which values are left: who gets them, and what others pay for it."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.checkpoint import pending, restoration


class Block(tf.Module):
    def __call__(self, x):
        if not hasattr(self, "w"):
            self.w = tf.Variable(tf.zeros([2]))
        return x * self.w


class Stack(tf.Module):
    def __init__(self, count=0):
        super().__init__()
        self.blocks = [Block() for _ in range(count)]

    def __call__(self, x):
        for block in self.blocks:
            x = block(x)
        return x


@pytest.fixture
def walks(monkeypatch):
    """The roots whose objects were looked for."""
    seen = []

    def counted(root, nodes_of=restoration.nodes_of):
        seen.append(root)
        return nodes_of(root)

    monkeypatch.setattr(restoration, "nodes_of", counted)
    yield seen
    while pending.waits():
        pending._waiting.pop().close()


@pytest.fixture
def path(tmp_path):
    stack = Stack(2)
    stack(tf.ones([2]))
    for number, block in enumerate(stack.blocks, 2):
        block.w.assign([number, 10.0 * number])
    return tf.train.Checkpoint(stack).write(str(tmp_path / "stack"))


def test_an_object_that_came_into_a_plain_list_gets_its_value(path, walks):
    stack = Stack()
    tf.train.Checkpoint(stack).restore(path)
    stack.blocks.append(Block())
    np.testing.assert_array_equal(stack(tf.ones([2])), [2.0, 20.0])
    late = Block()
    stack.blocks.append(late)
    np.testing.assert_array_equal(late(tf.ones([2])), [3.0, 30.0])
    assert not pending.waits()


def test_a_layer_in_a_plain_list_gets_its_value_when_it_is_built(tmp_path, walks):
    class Model(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = []

        def call(self, x):
            for part in self.parts:
                x = part(x)
            return x

    trained, fresh = Model(), Model()
    trained.parts.append(tf.keras.layers.Dense(1, kernel_initializer="ones"))
    trained(tf.ones([1, 2]))
    path = tf.train.Checkpoint(trained).write(str(tmp_path / "model"))
    tf.train.Checkpoint(fresh).restore(path)
    fresh.parts.append(tf.keras.layers.Dense(1))
    assert fresh(tf.ones([1, 2])).numpy() == 2.0


def test_an_empty_container_of_a_checkpoint_takes_values_later(tmp_path, walks):
    path = tf.train.Checkpoint(parts={"a": [tf.Variable(7.0)]}).write(str(tmp_path / "parts"))
    checkpoint = tf.train.Checkpoint(parts={"a": []})
    checkpoint.restore(path)
    late = tf.Variable(0.0)
    checkpoint.parts["a"].append(late)
    assert late.numpy() == 7.0


def test_building_other_models_looks_for_nothing(path, walks):
    stack = Stack()
    tf.train.Checkpoint(stack).restore(path).expect_partial()
    assert pending.waits()
    walks.clear()
    model = tf.keras.Sequential([tf.keras.layers.Dense(3, input_shape=(2,)) for _ in range(4)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2)), np.ones((4, 3)), verbose=0)
    other = Stack(3)
    other(tf.ones([2]))
    assert walks == []

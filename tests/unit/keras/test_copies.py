"""Copies of layers and models by `copy` and `pickle`."""

import copy
import pickle

import numpy as np
import pytest

import shardtape as tf

X, Y = np.ones((4, 2), np.float32), np.ones((4, 1), np.float32)


def trained():
    inputs = tf.keras.Input((2,))
    hidden = tf.keras.layers.Dense(3, activation="tanh")(inputs)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(1)(hidden))
    model.compile(tf.keras.optimizers.Adam(0.1), "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    return model


class Double(tf.keras.layers.Layer):
    def call(self, x):
        return x * 2.0


class Trained(tf.keras.Model):
    """A functional model with a method of its own."""

    def doubled(self, x):
        return self(x) * 2.0


WAYS = [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]


@pytest.mark.parametrize("again", WAYS)
def test_classes_of_ones_own_are_copied_without_being_registered(again):
    inputs = tf.keras.Input((2,))
    inner = tf.keras.Sequential([tf.keras.Input((2,)), Double()])
    model = Trained(inputs, tf.keras.layers.Dense(1, kernel_initializer="ones")(inner(inputs)))
    other = again(model)
    assert type(other) is Trained and type(other.layers[1].layers[0]) is Double
    assert other.doubled(X).numpy().tolist() == [[8.0]] * 4


@pytest.mark.parametrize("again", WAYS)
def test_a_copied_model_trains_on_from_where_the_original_is(again):
    model = trained()
    other = again(model)
    assert not {id(v) for v in other.variables} & {id(v) for v in model.variables}
    np.testing.assert_array_equal(other.predict(X, verbose=0), model.predict(X, verbose=0))
    before = model.get_weights()
    rest = other.fit(X, Y, epochs=3, verbose=0).history["loss"]
    np.testing.assert_array_equal(
        np.concatenate([np.ravel(w) for w in before]),
        np.concatenate([np.ravel(w) for w in model.get_weights()]),
    )
    np.testing.assert_array_equal(rest, model.fit(X, Y, epochs=3, verbose=0).history["loss"])


def test_a_copied_subclass_has_weights_of_its_own():
    class Own(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = tf.keras.layers.Dense(1)

        def call(self, x):
            return self.dense(x)

    model = Own()
    model(X)
    other = copy.deepcopy(model)
    model.dense.kernel.assign([[5.0], [5.0]])
    assert type(other) is Own and not np.array_equal(other(X), model(X))
    other.set_weights(model.get_weights())
    np.testing.assert_array_equal(other(X), model(X))


def test_a_layer_of_a_model_is_copied_without_the_model():
    model = trained()
    other = copy.deepcopy(model.layers[1])
    np.testing.assert_array_equal(other(X), model.layers[1](X))
    assert other.kernel is not model.layers[1].kernel and not other.inbound_nodes
    assert len(pickle.dumps(model.layers[1])) < 5000

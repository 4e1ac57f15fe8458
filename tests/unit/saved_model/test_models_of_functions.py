"""A Keras model that is never called itself, only by a function of its own, as in the tutorial on
text generation: TensorFlow 2.15 saves it with the functions and gives these back."""

import numpy as np
import pytest

import shardtape as tf
from shardtape import keras


class OneStep(keras.Model):
    def __init__(self, model):
        super().__init__()
        self.model = model

    @tf.function
    def one_step(self, inputs, states=None):
        return self.model(inputs) * 2.0, states


def test_a_model_that_only_has_functions(tmp_path):
    layer = keras.layers.Dense(2, kernel_initializer="ones")
    one = OneStep(keras.Sequential([keras.Input((3,)), layer]))
    x = tf.ones((1, 3))
    made, _ = one.one_step(x, None)
    tf.saved_model.save(one, str(tmp_path / "one"))
    loaded = tf.saved_model.load(str(tmp_path / "one"))
    got, states = loaded.one_step(x, None)
    np.testing.assert_array_equal(got, made)
    np.testing.assert_array_equal(got, [[6.0, 6.0]])
    assert states is None
    with pytest.raises(ValueError, match="the shapes of its inputs are not known"):
        one.save(str(tmp_path / "two"))


def test_a_model_that_was_never_built(tmp_path):
    model = keras.Sequential([keras.layers.Dense(2)])
    tf.saved_model.save(model, str(tmp_path / "m"))
    assert list(tf.saved_model.load(str(tmp_path / "m")).signatures) == []

"""`clone_model(input_tensors=...)`; names and order are Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
layers = keras.layers
clone = keras.models.clone_model


def model():
    x = keras.Input((6,), name="ii")
    return keras.Model(x, layers.Dense(3, name="aa")(x), name="mm")


def test_given_inputs_take_the_place_of_the_models_own():
    given = keras.Input((6,), name="zz")
    made = clone(model(), input_tensors=given)
    assert [layer.name for layer in made.layers] == ["zz", "aa"]
    assert made.name == "mm" and made.input is given
    assert made(tf.ones((2, 6))).shape == (2, 3)
    listed = clone(model(), input_tensors=[keras.Input((6,), name="yy")])
    assert [layer.name for layer in listed.layers] == ["yy", "aa"]


def test_with_a_clone_function():
    def wider(layer):
        return layers.Dense(4, name=layer.name)

    made = clone(model(), input_tensors=keras.Input((6,)), clone_function=wider)
    assert [type(layer).__name__ for layer in made.layers] == ["InputLayer", "Dense"]
    assert made.output_shape == (None, 4)


def test_several_inputs_keep_their_order():
    a, b = keras.Input((6,), name="a"), keras.Input((6,), name="b")
    two = keras.Model([a, b], layers.Subtract(name="less")([a, b]))
    p, q = keras.Input((6,), name="p"), keras.Input((6,), name="q")
    made = clone(two, input_tensors=[p, q])
    assert [layer.name for layer in made.layers] == ["p", "q", "less"]
    got = made([np.full((1, 6), 5.0, np.float32), np.ones((1, 6), np.float32)])
    np.testing.assert_array_equal(got, np.full((1, 6), 4.0))
    with pytest.raises(ValueError, match="has 2 inputs, `input_tensors` has 1"):
        clone(two, input_tensors=p)

"""Symbolic tensors made before `clear_session` serve after it; shapes and names are Keras's."""

import numpy as np

import shardtape as tf
from shardtape import keras
from shardtape.keras import layers

X = np.ones((2, 6), "float32")


def test_models_go_on_from_older_tensors():
    keras.backend.clear_session()
    inputs = keras.Input((6,))
    base = keras.Model(inputs, layers.Dense(3, "relu", name="first")(inputs))
    older, shared = base.output, layers.Dense(2, name="shared")
    keras.backend.clear_session()
    model = keras.Model(base.input, layers.Dense(2)(layers.Dropout(0.1)(base.output)))
    assert [layer.name for layer in model.layers] == ["input_1", "first", "dropout", "dense"]
    model.compile("sgd", "mse")
    assert len(model.fit(X, np.ones((2, 2)), verbose=0).history["loss"]) == 1
    model = keras.Model(inputs, [older * 2.0 + 1.0, tf.reduce_sum(layers.Dense(2)(inputs), 1)])
    np.testing.assert_allclose(model(X)[0], base(X) * 2 + 1, rtol=1e-6)
    assert model(X)[1].shape == (2,)
    both = layers.add([older, layers.Dense(3, name="other")(inputs)])
    assert keras.Model(inputs, both)(X).shape == (2, 3)
    keras.backend.clear_session()
    new = keras.Input((6,))
    model = keras.Model(new, shared(base(new)))
    assert model(X).shape == (2, 2)
    assert keras.models.clone_model(model)(X).shape == (2, 2)

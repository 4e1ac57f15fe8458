"""Functional models run their layers by the distance from the outputs, as Keras 2.15 does."""

import numpy as np

import shardtape as tf

layers, keras = tf.keras.layers, tf.keras


def test_numbers_of_dropout_in_branches_of_different_lengths():
    keras.utils.set_random_seed(42)
    x = np.random.default_rng(0).random((4, 5, 8)).astype("float32")
    y = np.random.default_rng(1).random((4, 5, 1)).astype("float32")
    first, second = layers.Input((5, 8)), layers.Input((5, 8))
    long = layers.LayerNormalization()(layers.Dropout(0.4)(first))
    joined = layers.Dropout(0.2)(layers.Add()([layers.Dropout(0.3)(second), long]))
    model = keras.Model([first, second], layers.Dense(1, kernel_initializer="ones")(joined))
    model.compile("adam", "mse")
    losses = model.fit([x, x], y, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(losses, [22.2707157, 12.3613511], rtol=1e-6)


def test_the_order_in_which_layers_are_called():
    called = []

    class Noted(layers.Layer):
        def call(self, inputs):
            called.append(self.name)
            return inputs + 1.0

    x = keras.Input((2,))
    long = Noted(name="c")(Noted(name="b")(Noted(name="a")(x)))
    short = Noted(name="d")(x)
    model = keras.Model(x, layers.Add()([short, long]))
    called.clear()
    model(np.zeros((1, 2), "float32"))
    assert called == ["a", "b", "d", "c"]

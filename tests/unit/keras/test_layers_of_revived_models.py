"""Models loaded without the classes of their layers say what these were; figures of Keras 2.15."""

import numpy as np
import pytest

from shardtape import keras
from shardtape.keras import layers

X = np.ones((8, 6), "float32")


def own_class():
    class Own(layers.Layer):
        def build(self, shape):
            self.w = self.add_weight("w", (shape[-1], 4))
            self.b = self.add_weight("b", (4,), trainable=False)

        def call(self, x):
            return x @ self.w + self.b

    return Own


def test_the_layers_of_a_sequential_model(tmp_path, capsys):
    first = layers.Dense(5, input_shape=(6,), name="first")
    model = keras.Sequential([first, own_class()(name="mine"), layers.Dense(2, name="last")])
    model.compile("sgd", "mse")
    model.save(tmp_path / "m")
    loaded = keras.models.load_model(tmp_path / "m")
    np.testing.assert_allclose(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    shown = [(v.name, type(v).__name__, [w.name for w in v.weights]) for v in loaded.layers]
    assert shown == [
        ("first", "Dense", ["first/kernel:0", "first/bias:0"]),
        ("mine", "Own", ["mine/w:0", "mine/b:0"]),
        ("last", "Dense", ["last/kernel:0", "last/bias:0"]),
    ]
    np.testing.assert_array_equal(loaded.get_layer("mine").get_weights()[0],
                                  model.get_layer("mine").get_weights()[0])  # fmt: skip
    loaded.summary()
    table = capsys.readouterr().out
    assert " mine (Own)                  (None, 4)                 24        \n" in table
    assert "Non-trainable params: 4 (16.00 Byte)" in table
    loaded.layers[0].trainable = False
    assert len(loaded.trainable_weights) == 3  # of five
    before = [w.numpy() for w in loaded.weights]
    loaded.compile("sgd", "mse")
    loaded.fit(X, np.zeros((8, 2)), verbose=0)
    same = [bool(np.all(a == b.numpy())) for a, b in zip(before, loaded.weights)]
    assert same == [True, True, False, True, False, False]
    with pytest.raises(NotImplementedError, match="'mine'.*`custom_objects`"):
        loaded.layers[1](X)


def test_the_layers_of_a_functional_and_a_subclassed_model(tmp_path):
    inputs = keras.Input((6,), name="inp")
    hidden = layers.Dense(3, name="h")(inputs)
    outputs = [own_class()(name="o1")(inputs), layers.Dense(2, name="o2")(hidden)]
    keras.Model(inputs, outputs).save(tmp_path / "f")
    loaded = keras.models.load_model(tmp_path / "f")
    shown = [(v.name, v.output_shape, v.count_params()) for v in loaded.layers]
    assert shown == [("inp", [(None, 6)], 0), ("h", (None, 3), 21), ("o1", (None, 4), 28),
                     ("o2", (None, 2), 8)]  # fmt: skip

    class Stack(keras.Model):
        def __init__(self):
            super().__init__()
            self.d = layers.Dense(3, name="d")
            self.blocks = [own_class()(name="own"), layers.Dropout(0.2, name="drop")]

        def call(self, x):
            x = self.d(x)
            for block in self.blocks:
                x = block(x)
            return x

    model = Stack()
    model(X)
    model.save(tmp_path / "s")
    loaded = keras.models.load_model(tmp_path / "s")
    assert [(v.name, v.count_params()) for v in loaded.layers] == [
        ("d", 21), ("own", 16), ("drop", 0)
    ]  # fmt: skip

"""Layers whose `call` needs values; what holds is what Keras 2.15 does."""

from typing import Any

import numpy as np
import pytest

import shardtape as tf

K = tf.keras
X = np.random.default_rng(0).random((12, 6)).astype(np.float32)
Y = X[:, :1]


class Bare(K.layers.Layer):
    def __init__(self, **options: Any) -> None:
        super().__init__(dynamic=True, **options)

    def call(self, x: Any) -> Any:
        return tf.constant(x.numpy() * 2)


class Doubles(Bare):
    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


class Around(K.Model):
    def __init__(self) -> None:
        super().__init__()
        self.double, self.dense = Doubles(), K.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.dense(self.double(x))


@pytest.mark.parametrize(
    "make",
    [
        lambda: K.Sequential([Bare(), K.layers.Dense(1)]),
        lambda: K.Sequential([K.Input((6,)), Doubles(), K.layers.Dense(1)]),
        Around,
    ],
)
def test_models_with_a_dynamic_layer_run_eagerly(make: Any) -> None:
    model = make()
    model.compile("sgd", "mse")
    assert model.dynamic and model.run_eagerly
    first = model.fit(X, Y, verbose=0, epochs=2).history["loss"]
    assert first[1] < first[0]
    assert model.predict(X, verbose=0).shape == model(X).shape == (12, 1)
    model.compile("sgd", "mse", run_eagerly=False)
    with pytest.raises(ValueError, match="can only be successfully run in eager execution"):
        model.fit(X, Y, verbose=0)


def test_symbolic_calls_go_by_the_declared_shape() -> None:
    x = K.Input((6,))
    model = K.Model(x, Doubles()(x))
    assert model.output_shape == (None, 6)
    np.testing.assert_array_equal(model(X).numpy(), X * 2)
    with pytest.raises(NotImplementedError, match=r"`compute_output_shape` method.*\(Bare\)"):
        Bare()(x)


def test_a_dynamic_model() -> None:
    class Own(K.Model):
        def __init__(self) -> None:
            super().__init__(dynamic=True)
            self.dense = K.layers.Dense(1)

        def call(self, x: Any) -> Any:
            return self.dense(x) if x.numpy().size else x

    model = Own()
    model.compile("sgd", "mse")
    model.fit(X, Y, verbose=0)
    assert model.predict(X, verbose=0).shape == (12, 1)
    assert not K.layers.Dense(1).dynamic

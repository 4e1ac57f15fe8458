"""Which `training` reaches a layer that nobody told it; values are those of Keras 2.15."""

from typing import Any

import numpy as np
import pytest

import shardtape as tf

K = tf.keras
ONE = np.ones((1, 1), np.float32)


class Doubles(K.layers.Layer):
    def call(self, x: Any, training: Any = True) -> Any:
        return x * 2.0 if training else x


class WithoutTraining(K.Model):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Doubles()

    def call(self, x: Any) -> Any:
        return self.inner(x)


class OfNone(WithoutTraining):
    def call(self, x: Any, training: Any = None) -> Any:
        return self.inner(x, training=training)


class OfFalse(WithoutTraining):
    def call(self, x: Any, training: Any = False) -> Any:
        return self.inner(x)


def functional(layer: Any) -> Any:
    x = K.Input((1,))
    return K.Model(x, layer(x))


@pytest.mark.parametrize(
    ("model", "bare"),
    [
        (lambda: K.Sequential([Doubles()]), 2.0),
        (lambda: functional(Doubles()), 2.0),
        (lambda: functional(K.Sequential([Doubles()])), 2.0),
        (WithoutTraining, 2.0),
        (OfNone, 2.0),
        (OfFalse, 1.0),
        (lambda: functional(WithoutTraining()), 2.0),
        (lambda: functional(OfNone()), 2.0),
        (lambda: functional(OfFalse()), 1.0),
    ],
)
def test_the_default_of_a_layer_holds_inside_models(model: Any, bare: float) -> None:
    made = model()
    assert made(ONE).numpy().item() == bare
    assert tf.function(made)(ONE).numpy().item() == bare
    assert made(ONE, training=False).numpy().item() == 1.0
    assert made(ONE, training=True).numpy().item() == 2.0
    assert made.predict(ONE, verbose=0).item() == 1.0


def test_what_the_symbolic_call_said_holds() -> None:
    x = K.Input((1,))
    off, on = K.Model(x, Doubles()(x, training=False)), K.Model(x, Doubles()(x, training=True))
    assert off(ONE, training=True).numpy().item() == 1.0
    assert on(ONE, training=False).numpy().item() == 2.0


def test_augmenting_models_augment_where_they_are_called_bare() -> None:
    model = K.Sequential([K.layers.RandomFlip(seed=1), K.layers.RandomRotation(0.2, seed=2)])
    images = np.random.default_rng(1).random((2, 8, 8, 3)).astype(np.float32)
    mapped = next(iter(tf.data.Dataset.from_tensors(images).map(model)))
    for made in (model(images), mapped, functional_of_images(model)(images)):
        assert np.abs(made.numpy() - images).max() > 0.1
    np.testing.assert_array_equal(model(images, training=False).numpy(), images)


def functional_of_images(model: Any) -> Any:
    x = K.Input((8, 8, 3))
    return K.Model(x, model(x))


def test_a_layer_is_told_none_where_nothing_says_more() -> None:
    told = []

    class Tells(K.layers.Layer):
        def call(self, x: Any, training: Any = None) -> Any:
            told.append(training)
            return x

    layer = Tells()
    layer(ONE)
    layer(ONE, training=True)
    K.Sequential([layer])(ONE, training=False)
    assert told[0] is None and told[1] is True and told[-1] is False


def test_clear_session_forgets_the_learning_phase() -> None:
    K.backend.set_learning_phase(1)
    try:
        x = K.Sequential([K.layers.Dropout(0.99999)])(ONE)
    finally:
        K.backend.clear_session()
    assert x.numpy().item() == 0.0
    assert K.layers.Dropout(0.99999)(ONE).numpy().item() == 1.0


def test_recurrent_dropout_is_for_training_alone() -> None:
    x = np.ones((2, 3, 4), np.float32)
    layer = K.layers.LSTM(3, recurrent_dropout=0.5)
    np.testing.assert_array_equal(layer(x).numpy(), layer(x, training=False).numpy())

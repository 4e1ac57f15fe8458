"""`make_train_function` and its sisters, of Keras and of one's own; values are Keras 2.15's."""

from typing import Any

import numpy as np
import pytest

import shardtape as tf

K = tf.keras
X = np.random.default_rng(0).random((60, 6)).astype(np.float32)
Y = X[:, :1]


def made(kind: Any) -> Any:
    x = K.Input((6,))
    model = kind(x, K.layers.Dense(1, kernel_initializer="ones")(x))
    model.compile("sgd", "mse")
    return model


class Fixed(K.Model):
    def make_train_function(self, force: bool = False) -> Any:
        def step(iterator: Any) -> Any:
            next(iterator)
            return {"loss": tf.constant(5.0)}

        self.train_function = step
        return step

    def make_test_function(self, force: bool = False) -> Any:
        def step(iterator: Any) -> Any:
            x, _ = next(iterator)
            return {"loss": tf.cast(tf.shape(x)[0], tf.float32)}

        self.test_function = step
        return step

    def make_predict_function(self, force: bool = False) -> Any:
        def step(iterator: Any) -> Any:
            next(iterator)
            return tf.ones((2, 1))

        self.predict_function = step
        return step


def test_functions_of_ones_own_are_called() -> None:
    model = made(Fixed)
    assert model.fit(X, Y, epochs=2, verbose=0).history == {"loss": [5.0, 5.0]}
    assert model.evaluate(X, Y, verbose=0) == 28.0  # the rest of 60 examples
    assert model.predict(X, verbose=0).shape == (4, 1)
    assert (model.train_on_batch(X, Y), model.test_on_batch(X, Y)) == (5.0, 60.0)
    assert model.predict_on_batch(X).shape == (2, 1)


def test_a_function_around_that_of_keras() -> None:
    counts = {"made": 0, "called": 0}

    class Around(K.Model):
        def make_train_function(self, force: bool = False) -> Any:
            counts["made"] += 1
            inner = super().make_train_function(force)

            def step(iterator: Any) -> Any:
                counts["called"] += 1
                return {**inner(iterator), "more": tf.constant(1.0)}

            self.train_function = step
            return step

    history = made(Around).fit(X, Y, epochs=2, verbose=0).history
    assert list(history) == ["loss", "more"] and counts == {"made": 1, "called": 4}


def test_a_traced_function_of_ones_own() -> None:
    class Traced(K.Model):
        def make_train_function(self, force: bool = False) -> Any:
            @tf.function
            def step(iterator: Any) -> Any:
                x, y = next(iterator)
                with tf.GradientTape() as tape:
                    loss = tf.reduce_mean((self(x, training=True) - y) ** 2)
                self.optimizer.minimize(loss, self.trainable_variables, tape=tape)
                return {"l": loss}

            self.train_function = step
            return step

    model = made(Traced)
    options = {"epochs": 3, "batch_size": 25, "shuffle": False, "verbose": 0}
    history = model.fit(X, Y, **options).history
    np.testing.assert_allclose(history["l"], [4.795918, 3.395935, 2.406009], rtol=1e-5)


def test_the_functions_of_keras() -> None:
    model = made(K.Model)
    assert model.train_function is model.test_function is model.predict_function is None
    model.fit(X, Y, verbose=0)
    assert model.train_function is not None and model.test_function is None
    assert model.make_train_function() is model.train_function
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(20)
    model.reset_metrics()
    logs = model.make_test_function()(iter(data))
    assert float(logs["loss"]) == pytest.approx(model.evaluate(X[:20], Y[:20], verbose=0))
    assert model.make_predict_function()(iter(data)).shape == (20, 1)
    model.train_function = lambda iterator: (next(iterator), {"loss": tf.constant(9.0)})[1]
    assert model.fit(X, Y, verbose=0).history == {"loss": [9.0]}
    model.compile("sgd", "mse")
    assert model.train_function is None

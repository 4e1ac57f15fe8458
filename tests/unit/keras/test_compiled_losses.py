"""Losses and metrics of `compile`: which there are, and their names, as Keras 2.15 has them."""

from typing import Any

import numpy as np
import pytest

import shardtape as tf

K = tf.keras
X = np.random.default_rng(0).random((60, 6)).astype(np.float32)
Y = X[:, :1]


class Own(K.Model):
    """Steps that leave the losses of `compile` out."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = K.layers.Dense(1)

    def call(self, x: Any) -> Any:
        return self.dense(x)

    def test_step(self, data: Any) -> dict[str, Any]:
        x, y = data
        self.compiled_metrics.update_state(y, self(x))
        return {m.name: m.result() for m in self.metrics}

    train_step = test_step


def test_no_loss_is_told_where_no_step_asks_for_it() -> None:
    model = Own()
    model.compile("sgd", metrics=["mae"])
    assert model.metrics_names == []
    assert np.ndim(model.evaluate(X, Y, verbose=0)) == 0
    assert model.metrics_names == ["mae"]
    assert list(model.fit(X, Y, verbose=0).history) == ["mae"]
    model.compile("sgd", "mse", metrics=["mae"])
    assert np.ndim(model.evaluate(X, Y, verbose=0)) == 0


def test_evaluation_without_a_loss() -> None:
    model = K.Sequential([K.layers.Dense(1)])
    model.compile("sgd", metrics=["mae"])
    loss, mae = model.evaluate(X, Y, verbose=0)
    assert loss == 0.0 and mae > 0.0 and model.metrics_names == ["loss", "mae"]
    with pytest.raises(ValueError, match="nothing to minimise"):
        model.fit(X, Y, verbose=0)


def test_penalties_alone_are_a_loss() -> None:
    layer = K.layers.Dense(1, use_bias=False, kernel_regularizer="l2", kernel_initializer="ones")
    model = K.Sequential([layer])
    model.compile("sgd", metrics=["mae"])
    assert model.evaluate(X, Y, verbose=0)[0] == pytest.approx(0.06)
    assert list(model.fit(X, Y, verbose=0).history) == ["loss", "mae"]

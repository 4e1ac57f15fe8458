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


def fitted(metrics: Any, weighted: Any = None) -> Any:
    model = K.Sequential([K.layers.Dense(1, use_bias=False, kernel_initializer="ones")])
    model.compile("sgd", "mse", metrics=metrics, weighted_metrics=weighted)
    return model


def test_metrics_are_called_as_losses_are() -> None:
    losses = K.losses
    crossentropy = losses.BinaryCrossentropy(from_logits=True)
    model = fitted(
        [crossentropy, losses.Huber(delta=0.3), losses.Huber(delta=0.3, reduction="sum", name="s"),
         losses.MeanAbsoluteError(reduction="none", name="n")],
        [losses.Huber(delta=0.3)],
    )  # fmt: skip
    got = model.evaluate(X, Y, sample_weight=X[:, 1], verbose=0, batch_size=20)
    expected = [4.69127, 1.32226, 0.74399, 14.87979, 2.62997, 0.74563]
    np.testing.assert_allclose(got, expected, rtol=1e-5)
    assert model.metrics_names == [
        "loss", "binary_crossentropy", "huber_loss", "s", "n", "weighted_huber_loss",
    ]  # fmt: skip


def test_names_of_what_is_given_as_a_metric() -> None:
    class MyMean:
        def __call__(self, y_true: Any, y_pred: Any) -> Any:
            return tf.reduce_mean(y_true - y_pred)

    model = fitted([MyMean(), lambda a, b: b, K.losses.log_cosh, "cosine_similarity", "acc"])
    history = model.fit(X, Y, validation_data=(X, Y), verbose=0).history
    names = ["loss", "my_mean", "<lambda>", "log_cosh", "cosine_similarity", "acc"]
    assert list(history) == [*names, *[f"val_{name}" for name in names]]
    with pytest.raises(ValueError, match='same name: "huber_loss"'):
        fitted([K.losses.Huber(), K.losses.Huber()]).fit(X, Y, verbose=0)


def test_a_callback_watches_a_loss_by_its_name() -> None:
    model = fitted([K.losses.BinaryCrossentropy(name="bc")])
    stop = K.callbacks.EarlyStopping("val_bc", patience=0, mode="max", baseline=1e9)
    history = model.fit(X, Y, epochs=4, validation_data=(X, Y), callbacks=[stop], verbose=0)
    assert len(history.history["loss"]) == 2


def test_names_that_only_metrics_have() -> None:
    cosine = K.metrics.get("cosine_similarity")
    x, y = tf.constant([[1.0, 2.0]]), tf.constant([[3.0, 4.0]])
    np.testing.assert_allclose(cosine(x, y).numpy(), [0.9838699], rtol=1e-6)
    assert K.metrics.get("cosine_proximity") is cosine
    assert K.metrics.get("categorical_hinge") is K.losses.categorical_hinge
    assert K.metrics.get("acc") is K.metrics.get("accuracy")


def test_a_single_value_counts_for_each_weight() -> None:
    mean = K.metrics.Mean()
    mean.update_state(2.0, sample_weight=[[1.0], [3.0]])
    assert (float(mean.total), float(mean.count)) == (8.0, 4.0)

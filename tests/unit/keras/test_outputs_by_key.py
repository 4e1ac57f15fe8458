"""Training of models whose outputs are dicts; values are those of Keras 2.15."""

from typing import Any

import numpy as np
import pytest

import shardtape as tf

K = tf.keras
X = np.random.default_rng(0).random((60, 6)).astype(np.float32)
Y = {"p": X[:, :1], "q": X[:, 1:2]}


def two_outputs() -> Any:
    x = K.Input((6,))
    q = K.layers.Dense(1, kernel_initializer="ones", use_bias=False, name="dq")(x)
    p = K.layers.Dense(1, kernel_initializer="zeros", use_bias=False, name="dp")(x)
    return K.Model(x, {"q": q, "p": p})


def test_losses_metrics_and_weights_by_key() -> None:
    model = two_outputs()
    model.compile(
        "sgd", {"p": "mse", "q": "mae"}, metrics={"q": "mse"}, loss_weights={"p": 2.0}
    )  # fmt: skip
    got = model.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(got, [3.47763, 0.41421, 2.64922, 7.37909], atol=6e-6)
    assert model.metrics_names == ["loss", "dp_loss", "dq_loss", "dq_mse"]
    got = model.evaluate(X, Y, sample_weight={"p": X[:, 2], "q": X[:, 3]}, verbose=0)
    np.testing.assert_allclose(got, [1.85249, 0.20878, 1.43492, 7.37909], atol=6e-6)


def test_one_loss_for_all_or_a_list() -> None:
    model = two_outputs()
    model.compile("sgd", ["mse", "mae"], loss_weights=[1.0, 3.0])
    got = model.evaluate(X, Y, verbose=0)
    np.testing.assert_allclose(got, [8.36187, 0.41421, 2.64922], atol=6e-6)
    model.compile("sgd", "mse", metrics=["mae"])
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(20)
    history = model.fit(data, verbose=0).history
    assert list(history) == ["loss", "dp_loss", "dq_loss", "dp_mae", "dq_mae"]
    assert {k: v.shape for k, v in model.predict(X, verbose=0).items()} == {
        "p": (60, 1), "q": (60, 1),
    }  # fmt: skip


def test_outputs_without_a_loss_or_a_target() -> None:
    model = two_outputs()
    model.compile("sgd", {"p": "mse"})
    assert list(model.fit(X, {"p": Y["p"]}, verbose=0).history) == ["loss", "dp_loss"]
    with pytest.raises(ValueError, match="there is no output 'z'; the model has 'p', 'q'"):
        model.fit(X, {"p": Y["p"], "z": Y["p"]}, verbose=0)


def test_a_single_output_in_a_dict() -> None:
    x = K.Input((6,))
    model = K.Model(x, {"p": K.layers.Dense(1)(x)})
    model.compile("sgd", {"p": "mse"}, metrics={"p": "mae"})
    assert list(model.fit(X, {"p": Y["p"]}, verbose=0).history) == ["loss", "mae"]

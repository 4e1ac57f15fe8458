"""Small answers of models, as Keras 2.15 gives them."""

import numpy as np
import pytest

import shardtape as tf
from shardtape import keras
from shardtape.keras import layers


def model():
    made = keras.Sequential([layers.Dense(2, input_shape=(6,))])
    made.compile("sgd", "mse")
    return made


def batches(count=3):
    for _ in range(count):
        yield np.ones((2, 6)), np.ones((2, 2))


def test_steps_that_nothing_said_stay_unknown_to_callbacks(capsys):
    seen = []
    note = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda e, logs: seen.append(dict(note.params))
    )
    kinds = (tf.TensorSpec((None, 6)), tf.TensorSpec((None, 2)))
    data = tf.data.Dataset.from_generator(batches, output_signature=kinds)
    history = model().fit(data, epochs=2, verbose=1, callbacks=[note])
    assert seen == [{"verbose": 1, "epochs": 2, "steps": None}] * 2
    assert history.params["steps"] is None
    shown = capsys.readouterr().out
    assert "3/3 [====" in shown.split("Epoch 2/2")[0]
    assert "1/3 [==" in shown.split("Epoch 2/2")[1]  # the first epoch has counted them
    assert model().fit(batches(), verbose=0).params["steps"] is None
    assert model().fit(np.ones((40, 6)), np.ones((40, 2)), verbose=0).params["steps"] == 2


def test_statistics_of_each_place_need_batches_of_more_than_numbers():
    for data in (
        np.arange(5.0), [1.0, 2.0], tf.data.Dataset.from_tensor_slices(np.arange(5.0)).batch(2)
    ):  # fmt: skip
        with pytest.raises(ValueError, match="must have known shape"):
            layers.Normalization().adapt(data)
    whole = layers.Normalization(axis=None)
    whole.adapt(np.arange(5.0))
    np.testing.assert_allclose(whole.mean, [2.0])


def test_compiled_or_not():
    assert model()._is_compiled
    assert not keras.Sequential([layers.Dense(1)])._is_compiled


def test_networks_name_weights_that_are_not_there(tmp_path):
    with pytest.raises(ValueError, match="The `weights` argument should be"):
        keras.applications.MobileNet(weights=str(tmp_path / "none.h5"))

"""`serialize` of layers, losses, metrics, optimizers and parts; the forms are Keras 2.15's."""

import json

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
layers = keras.layers
schedules = keras.optimizers.schedules


def entry(module, name, config, registered=None):
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


GLOROT = entry("keras.initializers", "GlorotUniform", {"seed": None})
DENSE = {
    "name": "d", "trainable": True, "dtype": "float32", "units": 3, "activation": "linear",
    "use_bias": True, "kernel_initializer": GLOROT,
    "bias_initializer": entry("keras.initializers", "Zeros", {}),
    "kernel_regularizer": entry("keras.regularizers", "L2", {"l2": 0.009999999776482582}),
    "bias_regularizer": None, "activity_regularizer": None,
    "kernel_constraint": entry("keras.constraints", "NonNeg", {}), "bias_constraint": None,
}  # fmt: skip
RMSPROP = {
    "name": "RMSprop", "weight_decay": None, "clipnorm": None, "global_clipnorm": None,
    "clipvalue": None, "use_ema": False, "ema_momentum": 0.99, "ema_overwrite_frequency": 100,
    "jit_compile": False, "is_legacy_optimizer": False, "learning_rate": 0.001, "rho": 0.9,
    "momentum": 0.0, "epsilon": 1e-07, "centered": False,
}  # fmt: skip


def dense():
    return layers.Dense(3, kernel_regularizer="l2", kernel_constraint="non_neg", name="d")


def test_layers():
    form = layers.serialize(dense())
    assert form == entry("keras.layers", "Dense", DENSE)
    assert layers.deserialize(json.loads(json.dumps(form))).get_config() == DENSE
    assert keras.utils.serialize_keras_object(dense()) == form
    assert layers.serialize(layers.TimeDistributed(dense()))["config"]["layer"] == form
    built = dense()
    built(tf.ones((1, 2)))
    assert layers.serialize(built)["build_config"] == {"input_shape": (1, 2)}
    model = keras.Sequential([layers.Dense(1, input_shape=(2,))])
    assert layers.serialize(model)["module"] == "keras"


def test_classes_of_ones_own_have_their_registered_name():
    @keras.utils.register_keras_serializable(package="forms")
    class Mine(layers.Layer):
        pass

    form = layers.serialize(Mine(name="a"))
    assert (form["class_name"], form["registered_name"]) == ("Mine", "forms>Mine")
    assert type(layers.deserialize(form)) is Mine


def test_losses():
    losses = keras.losses
    form = losses.serialize(losses.Huber(2.0))
    config = {"reduction": "auto", "name": "huber_loss", "fn": "huber", "delta": 2.0}
    assert form == entry("keras.losses", "Huber", config)
    assert losses.deserialize(form).get_config() == config
    assert losses.MeanSquaredError().get_config()["fn"] == "mean_squared_error"
    assert losses.CosineSimilarity().get_config() == {
        "reduction": "auto", "name": "cosine_similarity", "fn": "cosine_similarity", "axis": -1,
    }  # fmt: skip
    function = losses.serialize(losses.mse)
    assert function == entry("builtins", "function", "mean_squared_error", "function")
    assert losses.deserialize(function) is losses.mse
    assert keras.utils.deserialize_keras_object(function) is losses.mse


def test_metrics_and_parts():
    metrics = keras.metrics
    form = metrics.serialize(metrics.BinaryAccuracy())
    config = {"name": "binary_accuracy", "dtype": "float32", "threshold": 0.5}
    assert form == entry("keras.metrics", "BinaryAccuracy", config)
    assert metrics.deserialize(form).get_config() == config
    l2 = keras.regularizers.serialize(keras.regularizers.L2(0.5))
    assert l2 == entry("keras.regularizers", "L2", {"l2": 0.5})
    assert keras.regularizers.deserialize(l2).get_config() == {"l2": 0.5}
    constraint = keras.constraints.serialize(keras.constraints.NonNeg())
    assert constraint == entry("keras.constraints", "NonNeg", {})


def test_optimizers():
    form = keras.optimizers.serialize(keras.optimizers.RMSprop())
    kept = {**RMSPROP, "learning_rate": 0.0010000000474974513}  # a float32
    assert form == entry("keras.optimizers", "RMSprop", kept)
    assert keras.optimizers.deserialize(form).get_config() == RMSPROP
    schedule = schedules.serialize(schedules.ExponentialDecay(0.1, 2, 0.5))
    assert schedule["module"] == "keras.optimizers.schedules"
    again = keras.optimizers.Adam(schedules.deserialize(schedule))
    held = keras.optimizers.serialize(again)["config"]["learning_rate"]
    assert held["module"] == "keras.optimizers.schedules"
    restored = keras.optimizers.deserialize(keras.optimizers.serialize(again))
    np.testing.assert_allclose(restored.learning_rate, 0.1)


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Lion", "Ftrl", "Nadam", "Adafactor"])
def test_configurations_of_optimizers_hold_what_keras_has(name):
    config = getattr(keras.optimizers, name)().get_config()
    assert not {"lazy", "loss_scale_factor"} & set(config)
    assert config["jit_compile"] is False and config["is_legacy_optimizer"] is False
    again = getattr(keras.optimizers, name).from_config(config)
    assert again.get_config() == config
    scaled = getattr(keras.optimizers, name)(loss_scale_factor=8.0).get_config()
    assert scaled["loss_scale_factor"] == 8.0  # it is not lost

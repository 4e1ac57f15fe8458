"""What `serialize` gives of functions and of what is none; the figures are Keras 2.15's."""

import pytest

import shardtape as tf

keras = tf.keras


def mine(x, dtype=None):
    return x


@keras.saving.register_keras_serializable("pk")
def registered(x):
    return x


def form(name):
    return {"module": "builtins", "class_name": "function", "config": name,
            "registered_name": "function"}  # fmt: skip


def test_activations():
    serialize = keras.activations.serialize
    assert serialize(tf.nn.relu) == "relu" and serialize(tf.nn.swish) == "swish"
    assert serialize(keras.activations.gelu) == "gelu"
    assert serialize(mine) == form("mine") and serialize(registered) == form("pk>registered")
    assert serialize(registered, use_legacy_format=True) == "pk>registered"
    assert serialize(tf.sin) == form("sin")


@pytest.mark.parametrize(("wrong", "error"), [("abcd", ValueError), ("relu", ValueError),
                                              (None, TypeError), (3, TypeError)])  # fmt: skip
def test_what_is_no_activation(wrong, error):
    with pytest.raises(error):
        keras.activations.serialize(wrong)


@pytest.mark.parametrize(
    "place", ["losses", "metrics", "initializers", "regularizers", "constraints", "optimizers"]
)
def test_what_is_no_object_stays(place):
    serialize = getattr(keras, place).serialize
    assert serialize("abcd") == "abcd" and serialize(None) is None and serialize(3) == 3
    if place != "optimizers":
        assert serialize(mine) == form("mine")


def test_the_legacy_form():
    serialize = keras.utils.legacy.serialize_keras_object
    assert serialize(mine) == "mine" and serialize(registered) == "pk>registered"
    for wrong in ("abc", 3):
        with pytest.raises(ValueError, match="doesn't implement `get_config"):
            serialize(wrong)


@pytest.mark.parametrize("file", ["a.keras", "a.h5"])
@pytest.mark.parametrize("function", [mine, registered])
def test_layers_with_functions(tmp_path, file, function):
    layer = keras.layers.Dense(
        2, function, kernel_regularizer=function, kernel_constraint=function, input_shape=(3,)
    )
    name = "mine" if function is mine else "pk>registered"
    for setting in ("activation", "kernel_regularizer", "kernel_constraint"):
        assert layer.get_config()[setting] == form(name)
    model = keras.Sequential([layer])
    model.save(tmp_path / file)
    read = keras.models.load_model(tmp_path / file, custom_objects={"mine": mine})
    assert read.layers[0].activation is function
    assert read.layers[0].kernel_regularizer is function
    assert read.layers[0].kernel_constraint is function

"""What nobody knows by name: the classes of Keras 2.15's errors where it raises one.

Keras gives some of these texts back as they are (`metrics.get("nope")` is "nope"); here they are
refused at once.
"""

import pytest

import shardtape as tf

keras = tf.keras
MODULES = ("metrics", "losses", "optimizers", "activations", "initializers", "regularizers",
           "constraints")  # fmt: skip


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("value", ["nope", "", {"class_name": "Nope", "config": {}}], ids=repr)
def test_unknown_names(module, value):
    shown = "Nope" if isinstance(value, dict) else value or "''|identifier"
    for function in ("get", "deserialize"):
        if isinstance(value, str) and (module, function) == ("optimizers", "deserialize"):
            continue  # see below
        with pytest.raises(ValueError, match=shown):
            getattr(getattr(keras, module), function)(value)


@pytest.mark.parametrize(
    "module, value, error",
    [
        *[(m, v, TypeError if m == "activations" else ValueError)
          for m in MODULES for v in (3, [1], b"relu", ("x",))],
        ("activations", {}, ValueError),
        ("activations", {"a": 1}, ValueError),
    ],
)  # fmt: skip
def test_what_is_no_name(module, value, error):
    with pytest.raises(error) as caught:
        getattr(keras, module).get(value)
    assert type(caught.value) is not KeyError and str(value) in str(caught.value)


@pytest.mark.parametrize("value", ["nope", 3, [1], None])
def test_deserialize_needs_a_dictionary(value):
    for function, error in [(keras.optimizers.deserialize, TypeError),
                            (keras.optimizers.schedules.deserialize, ValueError),
                            (keras.layers.deserialize, ValueError)]:  # fmt: skip
        with pytest.raises(error, match="dictionary|empty config"):
            function(value)
    for function in (keras.layers.deserialize, keras.optimizers.schedules.deserialize):
        for made_up in ({}, {"a": 1}, {"class_name": "Nope", "config": {}}):
            with pytest.raises(ValueError):
                function(made_up)
    with pytest.raises(ValueError, match="get_config"):
        keras.Sequential.from_config(value)
    with pytest.raises(ValueError, match="get_config"):
        keras.Sequential.from_config({"class_name": "Nope", "config": {}})


@pytest.mark.parametrize("argument", ["kernel_regularizer", "kernel_constraint"])
def test_arguments_of_layers(argument):
    with pytest.raises(ValueError, match="identifier"):
        keras.layers.Dense(2, **{argument: [1]})

"""`serialize_keras_object` of any value, models that compile themselves; forms of Keras 2.15."""

import collections
import json
import zipfile

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
forms = keras.saving


@pytest.mark.parametrize("value", [None, "mse", 3, 2.5, True, [1, "a"], {"a": 1}])
def test_plain_values_stay(value):
    assert forms.serialize_keras_object(value) == value
    assert forms.deserialize_keras_object(value) == value


def test_arrays_tensors_and_specs():
    serialize, back = forms.serialize_keras_object, forms.deserialize_keras_object
    form = serialize(tf.constant([1.0, 2]))
    assert form == {"class_name": "__tensor__", "config": {"value": [1.0, 2.0], "dtype": "float32"}}
    assert back(form).numpy().tolist() == [1, 2]
    form = serialize(np.arange(3))
    assert form == {"class_name": "__numpy__", "config": {"value": [0, 1, 2], "dtype": "int64"}}
    assert back(form).dtype == np.int64
    assert serialize(b"abc") == {"class_name": "__bytes__", "config": {"value": "abc"}}
    assert back(serialize(b"abc")) == b"abc"
    assert serialize((1, np.float32(2))) == (1, 2.0)
    named = serialize(collections.namedtuple("Pair", "a b")(1, np.float32(2)))
    assert (type(named), named) == (tuple, (1, 2.0))
    assert (serialize(tf.float32), serialize(tf.TensorShape([1, None]))) == ("float32", [1, None])
    spec = tf.TensorSpec([1], tf.float32)
    assert back(serialize(spec)) == spec
    nested = back({"a": [serialize(keras.regularizers.L1(0.5))], "b": "relu"})
    assert type(nested["a"][0]) is keras.regularizers.L1
    assert nested["b"] == "relu"
    assert back("relu", module_objects={"relu": 3}) == 3


def test_what_has_no_form():
    with pytest.raises(TypeError, match="get_config"):
        forms.serialize_keras_object(tf.Variable([1, 2]))
    with pytest.raises(TypeError, match="slice"):
        forms.serialize_keras_object(slice(1, 2))
    with pytest.raises(TypeError, match="builtin_function_or_method"):
        forms.deserialize_keras_object({"class_name": "builtin_function_or_method", "config": "x"})


def test_learning_rates_are_the_single_floats_that_they_are_kept_as():
    form = keras.optimizers.serialize(keras.optimizers.Adam())
    assert form["config"]["learning_rate"] == 0.0010000000474974513
    form = keras.optimizers.serialize(keras.optimizers.legacy.Adam(0.1))
    assert form["config"]["learning_rate"] == 0.1


class OwnArguments(keras.Model):
    def compile(self, optimizer, loss_fn, metrics):
        super().compile(optimizer=optimizer, loss=loss_fn, metrics=metrics)
        self.loss_fn, self.metric_list = loss_fn, metrics

    def get_compile_config(self):
        return {"model_optimizer": self.optimizer, "loss_fn": self.loss_fn,
                "metric": self.metric_list}  # fmt: skip

    def compile_from_config(self, config):
        back = keras.utils.deserialize_keras_object
        self.compile(back(config["model_optimizer"]), back(config["loss_fn"]),
                     back(config["metric"]))  # fmt: skip


class CompilesItself(OwnArguments):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(x)


@pytest.mark.parametrize("name", ["model.keras", "folder"])
def test_a_model_with_arguments_of_its_own_for_compile(tmp_path, name):
    model = CompilesItself()
    model.compile(optimizer="SGD", loss_fn="mse", metrics=["accuracy"])
    model.fit(np.ones((4, 3), np.float32), np.ones((4, 2), np.float32), verbose=0)
    model.save(str(tmp_path / name))
    custom = {"CompilesItself": CompilesItself}
    loaded = keras.models.load_model(str(tmp_path / name), custom_objects=custom)
    assert (loaded.loss_fn, loaded.metric_list) == ("mse", ["accuracy"])
    assert type(loaded.optimizer) is keras.optimizers.SGD
    assert loaded.optimizer.iterations.numpy() == 1
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


class Uncompiled(CompilesItself):
    def get_compile_config(self):
        return None


@pytest.mark.parametrize("name", ["model.keras", "folder"])
def test_a_model_that_gives_no_arguments_for_compile_is_not_compiled(tmp_path, name):
    model = Uncompiled()
    model(np.ones((1, 3), np.float32))
    model.save(str(tmp_path / name))
    loaded = keras.models.load_model(
        str(tmp_path / name), custom_objects={"Uncompiled": Uncompiled}
    )
    assert loaded.optimizer is None
    np.testing.assert_array_equal(loaded.get_weights()[0], model.get_weights()[0])


def test_a_functional_model_with_arguments_of_its_own_for_compile(tmp_path):
    pytest.importorskip("h5py")
    x = keras.Input((3,))
    model = OwnArguments(x, keras.layers.Dense(2)(x))
    model.compile(keras.optimizers.SGD(0.5), loss_fn=keras.losses.Huber(2.0), metrics=["mae"])
    path = str(tmp_path / "model.keras")
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist()[:2] == ["metadata.json", "config.json"]
        compiled = json.loads(archive.read("config.json"))["compile_config"]
    assert compiled["model_optimizer"]["class_name"] == "SGD"
    custom = {"OwnArguments": OwnArguments}
    loaded = keras.models.load_model(path, custom_objects=custom)
    assert float(loaded.optimizer.learning_rate) == 0.5
    assert type(loaded.loss_fn) is keras.losses.Huber

"""Classes that nobody registered, found by the module that a configuration names."""

import sys

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
SOURCE = """
import shardtape as tf
keras = tf.keras

class Scale(keras.layers.Layer):
    def __init__(self, factor=2.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
    def call(self, x):
        return x * self.factor
    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

class Dense(keras.layers.Dense):  # of the same name as one of Keras's own
    marked = True

class Sum(keras.regularizers.Regularizer):
    def __init__(self, k=0.1):
        self.k = k
    def __call__(self, w):
        return self.k * tf.reduce_sum(w)
    def get_config(self):
        return {"k": self.k}

class Ones(keras.initializers.Initializer):
    def __call__(self, shape, dtype=None, **kwargs):
        return tf.ones(shape)
    def get_config(self):
        return {}

class Distance(keras.losses.Loss):
    def call(self, y, p):
        return tf.reduce_mean(tf.abs(y - p), -1)

class Average(keras.metrics.Mean):
    pass

class Descent(keras.optimizers.SGD):
    pass

class Rigid(keras.constraints.Constraint):
    def __call__(self, w):
        return w
    def get_config(self):
        return {}

class NoConfig:
    pass

def run(config):
    raise AssertionError("a function of a file must not run")
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "importable_classes.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    import importable_classes

    yield importable_classes
    del sys.modules["importable_classes"]


def test_models_are_read(own, tmp_path):
    inputs = keras.Input((3,))
    x = own.Scale(3.0)(inputs)
    outputs = own.Dense(2, kernel_regularizer=own.Sum(0.2), kernel_initializer=own.Ones(),
                        kernel_constraint=own.Rigid())(x)  # fmt: skip
    model = keras.Model(inputs, outputs)
    model.compile(own.Descent(0.1), own.Distance(), metrics=[own.Average()])
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    assert type(again.layers[1]) is own.Scale and type(again.layers[2]) is own.Dense
    assert type(again.layers[2].kernel_regularizer) is own.Sum
    assert (type(again.optimizer), type(again.loss)) == (own.Descent, own.Distance)
    np.testing.assert_array_equal(again(np.ones((1, 3))), [[9.0, 9.0]])


def test_single_objects_are_read(own):
    for module, made in [
        (keras.layers, own.Scale(4.0)), (keras.optimizers, own.Descent(0.5)),
        (keras.regularizers, own.Sum(0.5)), (keras.initializers, own.Ones()),
        (keras.losses, own.Distance()), (keras.metrics, own.Average()),
        (keras.constraints, own.Rigid()),
    ]:  # fmt: skip
        assert type(module.deserialize(module.serialize(made))) is type(made)
    form = keras.utils.serialize_keras_object(own.Scale(4.0))
    assert form["module"] == "importable_classes"
    assert keras.utils.deserialize_keras_object(form).factor == 4.0

    class Mine(own.Scale):
        pass

    named = keras.utils.deserialize_keras_object(form, custom_objects={"Scale": Mine})
    assert type(named) is Mine  # what was given comes first


@pytest.mark.parametrize(
    "module, name",
    [("nowhere_to_be_found", "Scale"), ("importable_classes", "Nope"), ("os", "system"),
     ("importable_classes", "NoConfig"), ("importable_classes", "run"), ("subprocess", "Popen"),
     ("builtins", "eval")],
)  # fmt: skip
def test_what_is_no_class_with_a_configuration_is_refused(own, module, name):
    form = {"module": module, "class_name": name, "config": {}, "registered_name": name}
    with pytest.raises(TypeError, match=name):
        keras.utils.deserialize_keras_object(form)

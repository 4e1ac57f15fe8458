"""Configurations of layers that define no `get_config`; the values are Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
layers = keras.layers
BASE = {"trainable": True, "dtype": "float32"}


class Times(layers.Layer):
    def __init__(self, n=2):
        super().__init__()
        self.n = n

    def call(self, x):
        return x * self.n


class Named(layers.Layer):
    def __init__(self, n=2, **kwargs):
        super().__init__(**kwargs)
        self.n = n

    def call(self, x):
        return x * self.n


class OwnName(layers.Layer):
    def __init__(self, n, name="own", **options):
        super().__init__(name=name, **options)


class Bare(layers.Layer):
    def __init__(self):
        super().__init__()


class Loose(layers.Layer):
    def __init__(self, *sizes):
        super().__init__()


class Extended(Named):
    def get_config(self):
        return {**super().get_config(), "z": 1}


def test_what_a_layer_was_made_with():
    assert Times(3).get_config() == {"n": 3}
    assert Times().get_config() == {}
    assert Times([1, {"a": (2, None)}]).get_config() == {"n": [1, {"a": (2, None)}]}
    assert Named(3, name="q").get_config() == {"name": "q", **BASE, "n": 3}
    given = {"batch_input_shape": (None, 3), "n": 3, "input_shape": (3,)}
    assert Named(n=3, name="q", input_shape=(3,)).get_config() == {"name": "q", **BASE, **given}
    assert OwnName(3).get_config() == {"name": "own", "n": 3}
    assert Bare().get_config() == {}
    assert Loose().get_config() == {}
    assert Extended(5, name="e").get_config() == {"name": "e", **BASE, "z": 1}


@pytest.mark.parametrize("value", [len, np.float32(2), np.ones(2), tf.float32, b"a", Bare()])
def test_arguments_that_json_cannot_hold(value):
    with pytest.raises(NotImplementedError, match="Times was created by passing non-serializable"):
        Times(value).get_config()


def test_unnamed_arguments_are_not_lost():
    with pytest.raises(NotImplementedError, match=r"unnamed arguments \(1, 2\)"):
        Loose(1, 2).get_config()


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "folder"])
@pytest.mark.parametrize("made", [Times, Named])
def test_files(tmp_path, name, made):
    if name == "m.h5":
        pytest.importorskip("h5py")
    model = keras.Sequential([keras.Input((1,)), made(3)])
    model.save(tmp_path / name)
    loaded = keras.models.load_model(tmp_path / name, custom_objects={made.__name__: made})
    np.testing.assert_array_equal(loaded(tf.ones((1, 1))), [[3.0]])
    assert type(loaded.layers[0]) is made


def test_clones_need_no_registered_class():
    model = keras.Sequential([keras.Input((1,)), Named(3, name="q")])
    clone = keras.models.clone_model(model)
    assert clone.layers[0].name == "q" and clone.layers[0] is not model.layers[0]
    np.testing.assert_array_equal(clone(tf.ones((1, 1))), [[3.0]])
    x = keras.Input((1,))
    clone = keras.models.clone_model(keras.Model(x, Times(4)(x)))
    np.testing.assert_array_equal(clone(tf.ones((1, 1))), [[4.0]])

"""Frozen layers and models are so again after they are rebuilt; all numbers are Keras 2.15's."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

import shardtape as tf
from shardtape.keras import layers as L

K = tf.keras


def _inner(kind: str) -> Any:
    made = [L.Dense(3), L.BatchNormalization(), L.Dense(2)]
    if kind == "sequential":
        return K.Sequential([K.Input((4,)), *made])
    x = first = K.Input((4,))
    for layer in made:
        x = layer(x)
    return K.Model(first, x)


def _outer(kind: str, inner: Any) -> Any:
    if kind == "sequential":
        return K.Sequential([K.Input((4,)), inner, L.Dense(1)])
    first = K.Input((4,))
    return K.Model(first, L.Dense(1)(inner(first)))


def _rebuilt(model: Any, way: str, folder: Any) -> Any:
    if way == "config":
        return type(model).from_config(model.get_config())
    if way == "json":
        return K.models.model_from_json(model.to_json())
    if way == "clone":
        return K.models.clone_model(model)
    if way != "folder":
        pytest.importorskip("h5py")
    path = str(folder / ("model" + {"folder": "", "h5": ".h5", "keras": ".keras"}[way]))
    model.save(path)
    return K.models.load_model(path)


def _flags(model: Any) -> list[bool]:
    return [x.trainable for x in model._flatten_layers() if not isinstance(x, L.InputLayer)]


_WAYS = ("keras", "h5", "folder", "config", "json", "clone")
# what is frozen, trained weights afterwards in files and configurations, in folders
_FREEZES = {
    "first": (6, 6), "norm": (6, 6), "model": (2, 2), "model_but_last": (4, 2),
}  # fmt: skip


def _freeze(inner: Any, what: str) -> None:
    first, norm, last = [x for x in inner.layers if not isinstance(x, L.InputLayer)]
    if what == "first":
        first.trainable = False
    elif what == "norm":
        norm.trainable = False
    else:
        inner.trainable = False
        last.trainable = what == "model_but_last"


@pytest.mark.parametrize("way", ["keras", "h5", "folder", "config", "json"])
@pytest.mark.parametrize("what", _FREEZES)
@pytest.mark.parametrize("kinds", ["sf", "fs", "ff", "ss"])
def test_a_model_inside_stays_frozen(tmp_path: Any, kinds: str, what: str, way: str) -> None:
    named = {"s": "sequential", "f": "functional"}
    inner = _inner(named[kinds[0]])
    model = _outer(named[kinds[1]], inner)
    _freeze(inner, what)
    loaded = _rebuilt(model, way, tmp_path)
    assert len(loaded.trainable_weights) == _FREEZES[what][way == "folder"]
    assert _flags(loaded.get_layer(inner.name))[1:] == _flags(inner)[1:]
    x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
    if way in ("keras", "h5", "folder"):
        np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)


@pytest.mark.parametrize("way", _WAYS)
def test_a_frozen_layer_of_a_functional_model(tmp_path: Any, way: str) -> None:
    first = K.Input((2,))
    model = K.Model(first, L.Dense(1, name="q")(L.Dense(2, name="p")(first)))
    model.get_layer("p").trainable = False
    loaded = _rebuilt(model, way, tmp_path)
    assert [v.name for v in loaded.trainable_weights] == ["q/kernel:0", "q/bias:0"]
    assert _flags(loaded) == [True, False, True]


@pytest.mark.parametrize("way", _WAYS)
def test_a_frozen_model_has_frozen_layers_and_only_a_folder_knows_it(
    tmp_path: Any, way: str
) -> None:
    first = K.Input((2,))
    model = K.Model(first, L.Dense(1)(L.Dense(2)(first)))
    model.trainable = False
    loaded = _rebuilt(model, way, tmp_path)
    assert _flags(loaded) == [way != "folder", False, False]
    assert len(loaded.trainable_weights) == 0


def test_a_configuration_that_keras_wrote() -> None:
    text = """{"class_name": "Functional", "config": {"name": "m", "trainable": true, "layers": [
      {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_input_shape":
       [null, 2], "dtype": "float32", "sparse": false, "ragged": false, "name": "i"},
       "registered_name": null, "name": "i", "inbound_nodes": []},
      {"module": "keras.layers", "class_name": "Dense", "config": {"name": "p", "trainable": false,
       "units": 2}, "registered_name": null, "name": "p", "inbound_nodes": [[["i", 0, 0, {}]]]},
      {"module": "keras.layers", "class_name": "Dense", "config": {"name": "q", "trainable": true,
       "units": 1}, "registered_name": null, "name": "q", "inbound_nodes": [[["p", 0, 0, {}]]]}],
      "input_layers": [["i", 0, 0]], "output_layers": [["q", 0, 0]]},
      "keras_version": "2.15.0", "backend": "tensorflow"}"""
    assert json.loads(text)["config"]["trainable"]
    model = K.models.model_from_json(text)
    assert [v.name for v in model.trainable_weights] == ["q/kernel:0", "q/bias:0"]


class _Own(K.Model):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.a, self.b = L.Dense(2), _inner("sequential")

    def call(self, inputs: Any) -> Any:
        return self.a(self.b(inputs))

    def get_config(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize("what, trained", [("all", 0), ("b", 2), ("a", 8)])
def test_a_class_of_ones_own_in_a_folder(tmp_path: Any, what: str, trained: int) -> None:
    model = _Own()
    model(np.ones((1, 4), np.float32))
    (model if what == "all" else getattr(model, what)).trainable = False
    model.save(str(tmp_path / "m"))
    loaded = K.models.load_model(str(tmp_path / "m"), custom_objects={"_Own": _Own})
    assert len(loaded.trainable_weights) == trained
    assert len(loaded.non_trainable_weights) == 10 - trained


@pytest.mark.parametrize("what, trained", [("all", 0), ("b", 2), ("a", 6)])
def test_a_class_that_is_gone(tmp_path: Any, what: str, trained: int) -> None:
    model = _Own()
    model(np.ones((1, 4), np.float32))
    (model if what == "all" else getattr(model, what)).trainable = False
    model.save(str(tmp_path / "m"))
    loaded = K.models.load_model(str(tmp_path / "m"))
    assert loaded.trainable is (what != "all")
    assert len(loaded.trainable_weights) == trained
    assert len(loaded.non_trainable_weights) == 10 - trained
    assert [v.name for v in loaded.trainable_weights] == [v.name for v in model.trainable_weights]


@pytest.mark.parametrize("kind", ["sequential", "functional"])
def test_weights_of_a_frozen_model_whose_layers_are_trained(kind: str) -> None:
    model = _inner(kind)
    dense, norm, last = [x for x in model.layers if not isinstance(x, L.InputLayer)]
    model.trainable = False
    norm.trainable = last.trainable = True
    assert model.trainable_weights == []
    wanted = [norm.gamma, norm.beta, last.kernel, last.bias, dense.kernel, dense.bias,
              norm.moving_mean, norm.moving_variance]  # fmt: skip
    assert [id(v) for v in model.non_trainable_weights] == [id(v) for v in wanted]


def test_a_partly_frozen_application_in_hdf5(tmp_path: Any) -> None:
    pytest.importorskip("h5py")
    base = K.applications.MobileNetV2(
        weights=None, input_shape=(32, 32, 3), include_top=False, pooling="avg"
    )
    for layer in base.layers[:40]:
        layer.trainable = False
    first = K.Input((32, 32, 3))
    model = K.Model(first, L.Dense(2)(base(first)))
    model.save(str(tmp_path / "m.h5"))
    loaded = K.models.load_model(str(tmp_path / "m.h5"))
    assert (len(loaded.trainable_weights), len(loaded.non_trainable_weights)) == (118, 144)
    for a, b in zip(model.weights, loaded.weights):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "change, kept", [("freeze last", 4), ("thaw last", 4), ("freeze first", 0)]
)
def test_the_state_of_an_optimizer_in_hdf5(tmp_path: Any, change: str, kept: int) -> None:
    """Keras takes over the steps and what fits in order, and nothing of it from `.keras`."""
    pytest.importorskip("h5py")
    model = K.Sequential([K.Input((4,)), L.Dense(3), L.Dense(2)])
    model.layers[1].trainable = change != "thaw last"
    model.compile("adam", "mse")
    model.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    model.layers[change != "freeze first"].trainable = change == "thaw last"
    model.save(str(tmp_path / "m.h5"))
    loaded = K.models.load_model(str(tmp_path / "m.h5"))
    before, after = model.optimizer.variables, loaded.optimizer.variables
    assert loaded.optimizer.iterations.numpy() == 1
    for a, b in zip(before[1 : kept + 1], after[1 : kept + 1]):
        assert np.any(b.numpy())
        np.testing.assert_array_equal(a, b)
    assert not any(np.any(v.numpy()) for v in after[kept + 1 :])
    loaded.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    assert loaded.optimizer.iterations.numpy() == 2
    model.save(str(tmp_path / "m.keras"))
    again = K.models.load_model(str(tmp_path / "m.keras"))
    assert again.optimizer.iterations.numpy() == 0

"""Inputs that are called like columns of tables; figures of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf
from shardtape import keras
from shardtape.keras import layers

COLUMNS = ["fixed acidity", "pH (x)", "1st"]


def model_of_columns():
    tf.keras.utils.set_random_seed(1)
    inputs = {name: keras.Input((1,), name=name) for name in COLUMNS}
    scaled = [layers.Normalization(mean=1.0, variance=2.0)(inputs[name]) for name in inputs]
    more = [inputs["1st"] * 2.0, tf.math.log(inputs["fixed acidity"] + 3.0)]
    outputs = layers.Dense(1, name="o")(layers.concatenate([*scaled, *more]))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    return model, inputs


def test_inputs_called_like_columns():
    model, inputs = model_of_columns()
    assert "name='fixed acidity'), name='fixed acidity', desc" in str(inputs["fixed acidity"])
    assert model.input_names == ["1st", "fixed acidity", "pH (x)"]
    data = {name: np.arange(8.0)[:, None] / 8 for name in COLUMNS}
    history = model.fit(data, np.ones(8), epochs=2, verbose=0, shuffle=False).history
    np.testing.assert_allclose(history["loss"], [8.2578, 7.0617], rtol=1e-4)
    pairs = tf.data.Dataset.from_tensor_slices((data, np.ones(8))).batch(4)
    np.testing.assert_allclose(model.evaluate(pairs, verbose=0), 6.0401950, rtol=1e-5)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m"])
def test_they_are_saved(tmp_path, name):
    if name.endswith(".h5"):
        pytest.importorskip("h5py")
    model, _ = model_of_columns()
    data = {column: np.arange(8.0)[:, None] / 8 for column in COLUMNS}
    model.save(tmp_path / name)
    loaded = keras.models.load_model(tmp_path / name)
    np.testing.assert_allclose(loaded.predict(data, verbose=0), model.predict(data, verbose=0))
    assert loaded.input_names == ["1st", "fixed acidity", "pH (x)"]


def test_other_layers_are_called_as_scopes_are():
    with pytest.raises(ValueError, match="hidden layer.*is not a valid"):
        layers.Dense(2, name="hidden layer")(keras.Input((3,)))


def test_signatures_of_names_that_are_no_arguments(tmp_path):
    i, j = keras.Input((3,), name="user-id"), keras.Input((3,), name="A.b")
    keras.Model([i, j], layers.Dense(2, name="out")(i + j)).save(tmp_path / "m")
    loaded = tf.saved_model.load(tmp_path / "m")
    serve = loaded.signatures["serving_default"]
    spec = serve.structured_input_signature[1]
    assert {k: v.name for k, v in spec.items()} == {"user_id": "user-id", "A_b": "A.b"}
    x = tf.ones((1, 3))
    for names in (("user-id", "A.b"), ("user_id", "A_b"), ("user_id", "A.b")):
        assert serve(**dict(zip(names, [x, x])))["out"].shape == (1, 2)
    with pytest.raises(TypeError):
        serve(user_id=x, a_b=x)
    assert loaded([x, x]).shape == (1, 2)
    assert keras.models.load_model(tmp_path / "m")([x, x]).shape == (1, 2)

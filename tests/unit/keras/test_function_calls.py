"""Functions on symbolic tensors as layers: used again, saved, trained, and named."""

import gc
import weakref

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras


@pytest.fixture(autouse=True)
def fresh():
    keras.backend.clear_session()


def names(model):
    return [layer.name for layer in model.layers]


def test_a_shown_function_runs_on_other_tensors():
    x = keras.Input((4,))
    model = keras.Model(x, tf.reduce_mean(tf.nn.l2_normalize(x * 3.0, axis=1), axis=1))
    layer = model.get_layer("tf.math.l2_normalize")
    assert type(layer).__name__ == "TFOpLambda" and layer.weights == [] and layer.built
    np.testing.assert_allclose(layer(tf.constant([[3.0, 4.0]])), [[0.6, 0.8]], rtol=1e-6)
    other = keras.Input((2,))
    again = keras.Model(other, layer(other))
    assert names(again) == ["input_2", "tf.math.l2_normalize"]
    np.testing.assert_allclose(again(tf.constant([[6.0, 8.0]])), [[0.6, 0.8]], rtol=1e-6)
    with pytest.raises(ValueError, match="on 1 tensor"):
        layer([other, other])


def test_a_function_that_raised_is_no_layer_of_a_model():
    x = keras.Input((4,))
    with pytest.raises(ValueError):
        tf.reshape(x, [3, 3]) + tf.concat([x, keras.Input((2, 2))], 1)
    model = keras.Model(x, tf.exp(x))
    assert names(model) == ["input_1", "tf.math.exp"]


def test_what_layers_compute_is_theirs():
    @tf.function
    def doubled(x):
        return x * 2.0

    class Own(keras.layers.Layer):
        def call(self, x):
            return tf.nn.relu(doubled(x)) + 1.0

    x = keras.Input((4,))
    own = Own()
    model = keras.Model(x, keras.layers.Lambda(lambda t: t * 2.0)(own(x)))
    assert names(model) == ["input_1", "own", "lambda"]
    assert own.compute_output_shape((None, 4)) == (None, 4)
    later = keras.Model(x, x * 1.0)  # none of these was counted
    assert names(later) == ["input_1", "tf.math.multiply"]


def test_models_with_functions_are_trained_saved_and_read(tmp_path):
    x = keras.Input((4,), name="x")
    h = keras.layers.Dense(3)(x[:, ::-1] / 2.0)
    model = keras.Model(x, tf.reduce_sum(tf.where(h > 0.0, h, 0.1 * h), axis=1, keepdims=True))
    model.compile("sgd", "mse")
    data, wanted = np.random.RandomState(0).normal(size=(8, 4)), np.ones((8, 1))
    losses = model.fit(data, wanted, epochs=3, verbose=0).history["loss"]
    assert losses[2] < losses[0]
    for file in ("m.keras", "m.h5", "folder"):
        model.save(tmp_path / file)
        again = keras.models.load_model(tmp_path / file)
        np.testing.assert_allclose(again.predict(data, verbose=0), model.predict(data, verbose=0))
        assert names(again) == names(model)
    plain = keras.models.clone_model(model)  # without an optimizer, so that nothing waits
    plain.set_weights(model.get_weights())
    plain.save_weights(tmp_path / "checkpoint")
    again = keras.models.clone_model(model)
    again.load_weights(tmp_path / "checkpoint").assert_consumed()
    np.testing.assert_array_equal(again.get_weights()[0], model.get_weights()[0])


def test_functions_of_several_operations_keep_their_names_in_files(tmp_path):
    x = keras.Input((4,), name="x")
    h = tf.math.reduce_variance(tf.clip_by_value(x, 0.0, 1.0), axis=1) * 2.0
    model = keras.Model(x, h)
    model.save(tmp_path / "m.keras")
    again = keras.models.load_model(tmp_path / "m.keras")
    data = np.random.RandomState(0).normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_allclose(again(data), model(data))
    np.testing.assert_allclose(model(data), 2 * np.clip(data, 0, 1).var(1), rtol=1e-5)
    assert {"tf.clip_by_value", "tf.math.reduce_variance"} <= set(names(again))


def test_parts_are_written_as_between_brackets():
    x = keras.Input((6, 5))
    model = keras.Model(x, [x[0], x[1:, ..., 2:4], x[:, None, ::-2], x[:, tf.shape(x)[1] - 1]])
    entries = {e["name"]: e for e in model.get_config()["layers"]}
    specs = [e["inbound_nodes"][0][3].get("slice_spec", "none") for e in entries.values()
             if e["class_name"] == "SlicingOpLambda"]  # fmt: skip
    whole = {"start": None, "stop": None, "step": None}
    assert 0 in specs and [{**whole, "start": 1}, Ellipsis, {**whole, "start": 2, "stop": 4}] in [
        [Ellipsis if isinstance(p, dict) and "class_name" in p else p for p in s]
        for s in specs if isinstance(s, list)
    ]  # fmt: skip
    assert [whole, None, {**whole, "step": -2}] in specs
    data = np.random.RandomState(0).normal(size=(2, 6, 5)).astype(np.float32)
    again = keras.Model.from_config(model.get_config())
    for got, wanted in zip(again(data), model(data), strict=True):
        np.testing.assert_array_equal(got, wanted)
    np.testing.assert_array_equal(model(data)[3], data[:, -1])


@pytest.mark.parametrize("last", [keras.layers.Dense(2), tf.nn.relu])
def test_the_user_s_frame_is_let_go(last):
    class Held:
        pass

    def build():
        held = Held()
        x = keras.Input((4,))
        return weakref.ref(held), keras.Model(x, last(x * 2.0))

    held, model = build()
    gc.collect()
    assert held() is None and len(model.layers) == 3


@pytest.mark.parametrize("keras_form", [True, False])
def test_added_losses_are_saved_and_cloned(tmp_path, keras_form):
    x = keras.Input((4,), name="x")
    h = keras.layers.Dense(3, name="h")(x)
    model = keras.Model(x, h)
    if keras_form:
        sizes = tf.abs(h)
    else:  # which has no place for complex numbers
        sizes = tf.abs(tf.cast(h, tf.complex64) * tf.constant(1j, tf.complex64))
    model.add_loss(tf.reduce_mean(sizes))
    model.add_metric(tf.reduce_max(h), name="most")
    model.compile("sgd")
    data = np.random.RandomState(0).normal(size=(8, 4)).astype(np.float32)
    assert ("calls" in model.get_config()) is not keras_form
    wanted = model.evaluate(data, verbose=0)
    assert wanted[0] == pytest.approx(np.abs(model(data)).mean(), rel=1e-5)
    assert wanted[1] == pytest.approx(np.max(model(data)), rel=1e-5)
    model.save(tmp_path / "m.keras")
    cloned = keras.models.clone_model(model)
    cloned.set_weights(model.get_weights())
    cloned.compile("sgd")
    for other in (keras.models.load_model(tmp_path / "m.keras"), cloned):
        np.testing.assert_allclose(other.evaluate(data, verbose=0), wanted, rtol=1e-6)
        assert sorted(names(other)) == sorted(names(model))
    outer = keras.Model(x, model(x) * 2.0)
    outer.compile("sgd", "mse")
    both = outer.evaluate(data, np.zeros((8, 3)), verbose=0)
    assert both[0] == pytest.approx(wanted[0] + np.square(2 * model(data)).mean(), rel=1e-5)

"""Metrics of models that were loaded, and of files that do not fit; as Keras 2.15 has them."""

import json

import numpy as np
import pytest

import shardtape as tf

layers = tf.keras.layers


def model(outputs=1, **compiled):
    x = tf.keras.Input((2,))
    made = [layers.Dense(1, kernel_initializer="ones", name=name)(x) for name in "ab"[:outputs]]
    m = tf.keras.Model(x, made)
    m.compile("sgd", "mse", **compiled)
    return m


CASES = [
    (1, {}, ["loss"]),
    (1, {"metrics": ["mae"]}, ["loss", "mae"]),
    (1, {"weighted_metrics": ["mae"]}, ["loss", "mae"]),
    (2, {"metrics": ["mae"]}, ["loss", "a_loss", "b_loss", "a_mae", "b_mae"]),
    (2, {"metrics": "q"}, ["loss", "a_loss", "b_loss", "a_q", "b_q"]),
]


@pytest.mark.parametrize(("outputs", "compiled", "names"), CASES)
@pytest.mark.parametrize("ending", [".h5", "", ".keras"])
def test_names_after_loading(ending, outputs, compiled, names, tmp_path):
    pytest.importorskip("h5py")
    if compiled.get("metrics") == "q":
        compiled = {"metrics": [tf.keras.metrics.MeanSquaredError(name="q")]}
    path = str(tmp_path / f"m{ending}")
    m = model(outputs, **compiled)
    assert m.metrics_names == []
    m.save(path)
    loaded = tf.keras.models.load_model(path)
    assert loaded.metrics_names == ([] if ending == ".keras" else names)
    targets = [np.ones((4, 1))] * outputs
    loaded.evaluate(np.ones((4, 2)), targets, verbose=0)
    assert loaded.metrics_names == names


def test_one_metric_for_two_outputs_has_two_states():
    given = tf.keras.metrics.MeanSquaredError(name="q")
    m = model(2, metrics=[given])
    zeros = np.zeros((4, 1))
    got = m.evaluate(np.ones((4, 2)), [zeros, zeros + 1], verbose=0, return_dict=True)
    assert (got["a_q"], got["b_q"]) == (4.0, 1.0)
    assert given.name == "q"


def test_which_accuracy_is_told_by_the_targets_also_after_loading(tmp_path):
    m = tf.keras.Sequential([layers.Dense(3, kernel_initializer="identity", input_shape=(3,))])
    m.compile("sgd", "mse", metrics=["accuracy"])
    path = str(tmp_path / "m")
    m.save(path)
    loaded = tf.keras.models.load_model(path)
    assert loaded.metrics_names == ["loss", "accuracy"]
    x, y = np.eye(3, dtype="float32"), np.array([[0], [1], [0]])
    assert loaded.evaluate(x, y, verbose=0)[1] == pytest.approx(2 / 3)


class Rows(tf.keras.metrics.Metric):
    def __init__(self, size, **kwargs):
        super().__init__(**kwargs)
        self.w = self.add_weight("w", shape=(size,), initializer="zeros")

    def update_state(self, *args, **kwargs):
        self.w.assign_add(tf.ones_like(self.w))

    def result(self):
        return tf.reduce_sum(self.w)


@pytest.mark.parametrize("ending", [".weights.h5", ".keras"])
def test_a_metric_of_another_shape(ending, tmp_path, caplog):
    pytest.importorskip("h5py")

    def evaluated(size):
        m = model(metrics=[Rows(size, name="rows")])
        m.evaluate(np.ones((4, 2)), np.ones((4, 1)), verbose=0)
        return m

    path = str(tmp_path / f"m{ending}")
    m = evaluated(3)
    (m.save if ending == ".keras" else m.save_weights)(path)
    other = evaluated(5)
    with pytest.raises(ValueError, match="Shape mismatch"):
        other.load_weights(path)
    other.load_weights(path, skip_mismatch=True)
    assert "Skipping object" in caplog.text
    assert other.metrics[1].w.numpy().tolist() == [1.0] * 5


def test_names_in_files_of_keras_have_those_of_the_outputs_already(tmp_path):
    h5py = pytest.importorskip("h5py")
    path = str(tmp_path / "m.h5")
    model(2, metrics=["mae"]).save(path)

    def wrapped(name):
        config = {"name": name, "dtype": "float32", "fn": "mean_absolute_error"}
        return {"class_name": "MeanMetricWrapper", "config": config}

    with h5py.File(path, "a") as file:  # as Keras 2.15 writes it
        training = json.loads(file.attrs["training_config"])
        training["metrics"] = [[wrapped("a_mae")], [wrapped("b_mae")]]
        file.attrs["training_config"] = json.dumps(training)
    names = ["loss", "a_loss", "b_loss", "a_mae", "b_mae"]
    assert tf.keras.models.load_model(path).metrics_names == names

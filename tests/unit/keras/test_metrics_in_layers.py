"""Metrics that layers and models keep as attributes; values are those of Keras 2.15."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shardtape as tf

K = tf.keras
X = np.random.default_rng(0).random((60, 6)).astype(np.float32)


class Watching(K.layers.Layer):
    def __init__(self) -> None:
        super().__init__()
        self.dense = K.layers.Dense(2)
        self.mean = K.metrics.Mean(name="z")
        self.sums = [K.metrics.Sum(name="u")]
        self.by_name = {"a": K.metrics.Sum(name="w")}
        self.v = self.add_weight(name="v", shape=())

    def call(self, x: Any) -> Any:
        self.mean.update_state(x)
        return self.dense(x)


class WatchingModel(K.Model):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Watching()
        self.mean = K.metrics.Mean(name="y")
        self.v = self.add_weight(name="v", shape=())

    def call(self, x: Any) -> Any:
        self.mean.update_state(x)
        return self.inner(x)


def short_names(variables: Any) -> list[str]:
    return [v.name.rpartition("/")[2] for v in variables]


def test_metrics_of_a_layer_are_none_of_its_weights() -> None:
    layer = Watching()
    model = K.Sequential([layer])
    model(X)
    for holder in (layer, model):
        assert short_names(holder.weights) == ["v:0", "kernel:0", "bias:0"]
        assert holder.non_trainable_weights == []
        assert holder.count_params() == 15 and len(holder.get_weights()) == 3
        assert [m.name for m in holder.metrics] == ["z", "u", "w"]


def test_metrics_of_a_model_are_among_its_weights() -> None:
    model = WatchingModel()
    model(X)
    assert short_names(model.weights) == ["v:0", "kernel:0", "bias:0", "total:0", "count:0", "v:0"]
    assert short_names(model.non_trainable_weights) == ["total:0", "count:0"]
    assert model.count_params() == 18


def test_added_results_of_a_metric() -> None:
    class Adds(K.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.m = K.metrics.Mean(name="z")

        def call(self, x: Any) -> Any:
            self.add_metric(self.m(x))
            return x

    x = K.Input((2,))
    model = K.Model(x, K.layers.Dense(2)(Adds()(x)))
    assert (len(model.weights), model.count_params(), len(model.get_weights())) == (2, 6, 2)


@pytest.mark.parametrize(
    ("suffix", "means"), [(".weights.h5", (1, 1)), (".h5", (2, 2)), ("_checkpoint", (1, 1))]
)
def test_files_keep_the_state_of_metrics_where_keras_does(
    tmp_path: Path, suffix: str, means: tuple[float, float]
) -> None:
    first, second = WatchingModel(), WatchingModel()
    first(X)
    path = str(tmp_path / f"w{suffix}")
    first.save_weights(path)
    second(2 * X)
    second.load_weights(path)
    expected = np.asarray(means) * 0.5343721
    got = [float(second.mean.result()), float(second.inner.mean.result())]
    np.testing.assert_allclose(got, expected, rtol=1e-6)
    np.testing.assert_array_equal(first(X).numpy(), second(X).numpy())


def test_submodules_of_models() -> None:
    inner = K.Sequential([K.layers.Dense(3, name="a"), K.layers.ReLU(name="b")], name="s")
    x = K.Input((2,), name="x")
    model = K.Model(x, K.layers.Dense(2, name="c")(inner(x)))
    expected = ["a", "a_input", "b", "c", "s", "x"]
    assert sorted(m.name for m in model.submodules) == expected

    class Holds(K.Model):
        def __init__(self) -> None:
            super().__init__()
            self.listed, self.inner = [K.layers.Dense(2, name="d")], model
            self.mean = K.metrics.Mean(name="m")

    assert sorted(m.name for m in Holds().submodules) == sorted([*expected, "d", "m", model.name])
    assert K.layers.Dense(2).submodules == ()

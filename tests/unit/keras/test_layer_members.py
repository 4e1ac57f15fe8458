"""Members of layers and models beside calls and training; values are those of Keras 2.15."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import shardtape as tf

K = tf.keras


def _shared() -> Any:
    dense = K.layers.Dense(3, name="shared")
    dense(K.Input((4,)))
    dense(K.Input((5, 4)))
    return dense


def test_inputs_and_outputs_of_each_symbolic_call() -> None:
    dense = _shared()
    assert dense.get_input_shape_at(0) == (None, 4)
    assert dense.get_input_shape_at(1) == (None, 5, 4)
    assert dense.get_output_shape_at(1) == (None, 5, 3)
    assert dense.get_input_at(1).shape.as_list() == [None, 5, 4]
    assert dense.get_output_at(0).shape.as_list() == [None, 3]
    assert dense.get_input_mask_at(0) is None and dense.get_output_mask_at(1) is None
    with pytest.raises(ValueError, match="input at node 2, but the layer has only 2 inbound nodes"):
        dense.get_input_at(2)
    with pytest.raises(RuntimeError, match="has never been called and thus has no defined output"):
        K.layers.Dense(1).get_output_shape_at(0)


def test_a_shape_that_differs_between_calls_is_not_one_shape() -> None:
    dense = _shared()
    with pytest.raises(AttributeError, match=r"get_input_shape_at\(node_index\)"):
        _ = dense.input_shape
    with pytest.raises(AttributeError, match=r"get_output_shape_at\(node_index\)"):
        _ = dense.output_shape
    again = K.layers.Dense(2)
    again(K.Input((4,)))
    again(K.Input((4,)))
    assert again.input_shape == (None, 4) and again.output_shape == (None, 2)


def test_masks_and_nodes_between_layers() -> None:
    embedding, lstm = K.layers.Embedding(5, 2, mask_zero=True), K.layers.LSTM(3)
    lstm(embedding(K.Input((None,))))
    assert embedding.output_mask.shape.as_list() == [None, None]
    assert lstm.input_mask is embedding.get_output_mask_at(0) and lstm.output_mask is None
    assert [node.layer for node in embedding.outbound_nodes] == [lstm]
    assert lstm.outbound_nodes == []
    add = K.layers.Add()
    x = K.Input((4,))
    add([x, x])
    assert add.get_input_shape_at(0) == [(None, 4), (None, 4)] and add.input_mask == [None, None]


def test_updates_run_when_they_are_added() -> None:
    class Counting(K.layers.Layer):
        def build(self, shape: Any) -> None:
            self.calls = self.add_weight("calls", (), initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            self.add_update(lambda: self.calls.assign_add(1.0))
            return x

    layer = Counting()
    layer(K.Input((2,)))
    assert float(layer.calls) == 0.0
    layer(np.ones((1, 2), np.float32))
    assert float(layer.calls) == 1.0
    with pytest.warns(UserWarning, match="updates"):
        assert layer.updates == []


def test_signatures_metrics_and_build_configs() -> None:
    dense = K.layers.Dense(3)
    made = dense.compute_output_signature(tf.TensorSpec((None, 4), tf.float32))
    assert made == tf.TensorSpec((None, 3), tf.float32)
    with pytest.raises(TypeError, match="TensorSpec"):
        dense.compute_output_signature((None, 4))
    assert K.layers.Dense(1).get_build_config() is None
    dense(np.ones((2, 4), np.float32))
    assert dense.get_build_config() == {"input_shape": (2, 4)}
    other = K.layers.Dense(3)
    other.build_from_config({"input_shape": [None, 4]})
    assert other.kernel.shape.as_list() == [4, 3]

    class Measured(K.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.mean = K.metrics.Mean()

    layer = Measured()
    assert layer.metrics == [layer.mean]


def test_own_variables_go_into_a_mapping_and_back() -> None:
    first, second = K.layers.BatchNormalization(), K.layers.BatchNormalization()
    for layer in (first, second):
        layer.build((None, 2))
    first.set_weights([np.full(2, i, np.float32) for i in range(4)])
    store: dict[str, Any] = {}
    first.save_own_variables(store)
    assert sorted(store) == ["0", "1", "2", "3"]
    second.load_own_variables(store)
    np.testing.assert_array_equal(second.get_weights(), first.get_weights())
    with pytest.raises(ValueError, match="expected 4 variables, but received 1"):
        second.load_own_variables({"0": store["0"]})


def test_paths_of_weights_and_specs_of_inputs() -> None:
    class Two(K.Model):
        def __init__(self) -> None:
            super().__init__()
            self.a = K.layers.Dense(2)
            self.rest = [K.layers.Dense(1)]

        def call(self, x: Any) -> Any:
            return self.rest[0](self.a(x))

    model = Two()
    assert model.save_spec() is None
    model(np.ones((2, 3), np.float32))
    paths = model.get_weight_paths()
    assert list(paths) == ["a.kernel", "a.bias", "rest.0.kernel", "rest.0.bias"]
    assert paths["rest.0.kernel"] is model.rest[0].kernel
    spec = tf.TensorSpec((None, 3), tf.float32, "input_1")
    assert model.save_spec() == ([spec], {})
    assert model.save_spec(dynamic_batch=False)[0][0].shape.as_list() == [2, 3]
    x = K.Input((4,), name="x")
    functional = K.Model(x, K.layers.Dense(2, name="o")(x))
    assert list(functional.get_weight_paths()) == ["o.kernel", "o.bias"]
    assert functional.save_spec() == ([tf.TensorSpec((None, 4), tf.float32, "x")], {})
    assert functional.get_build_config() == {"input_shape": (None, 4)}
    with pytest.raises(RuntimeError, match="to_json"):
        functional.to_yaml()


def test_how_a_model_was_compiled() -> None:
    model = K.Sequential([K.layers.Dense(1, input_shape=(2,))])
    assert model.get_compile_config() is None
    model.compile("adam", "mse", metrics=["mae"])
    assert model.get_compile_config() == {
        "optimizer": "adam", "loss": "mse", "metrics": ["mae"], "loss_weights": None,
        "weighted_metrics": None, "run_eagerly": None, "steps_per_execution": None,
        "jit_compile": None,
    }  # fmt: skip
    model.compile(K.optimizers.SGD(0.25), K.losses.Huber(), metrics=[K.metrics.MeanAbsoluteError()])
    config = model.get_compile_config()
    assert config["optimizer"]["config"]["learning_rate"] == 0.25
    # a loss and a metric of one name are told apart
    assert config["metrics"][0]["module"] == "keras.metrics"
    again = K.Sequential([K.layers.Dense(1, input_shape=(2,))])
    again.compile_from_config(config)
    assert isinstance(again.loss, K.losses.Huber)
    x, y = np.ones((4, 2), np.float32), np.zeros((4, 1), np.float32)
    again.set_weights(model.get_weights())
    assert again.evaluate(x, y, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))


class _Stored(K.layers.Layer):
    """Keeps its weights, a file and what it was built for by methods of its own."""

    def __init__(self, text: str = "", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.text = text
        self.built_from: Any = None

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight("scale", (2,), initializer="ones")
        self.built = True

    def call(self, x: Any) -> Any:
        return x * self.scale

    def get_build_config(self) -> Any:
        return {"units": 2}

    def build_from_config(self, config: Any) -> None:
        self.built_from = config
        self.build(None)

    def save_own_variables(self, store: Any) -> None:
        store["doubled"] = 2 * self.scale.numpy()

    def load_own_variables(self, store: Any) -> None:
        self.scale.assign(np.asarray(store["doubled"]) / 2)

    def save_assets(self, folder: str) -> None:
        Path(folder, "text.txt").write_text(self.text)

    def load_assets(self, folder: str) -> None:
        self.text = Path(folder, "text.txt").read_text()

    def get_config(self) -> Any:
        return super().get_config()


def test_layers_say_themselves_what_is_in_a_file(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    x = K.Input((2,))
    layer = _Stored("spoken", name="stored")
    model = K.Model(x, layer(x))
    layer.scale.assign([3.0, 5.0])
    model.save(tmp_path / "m.keras")
    back = K.models.load_model(tmp_path / "m.keras", custom_objects={"_Stored": _Stored})
    found = back.get_layer("stored")
    assert found.built_from == {"units": 2} and found.text == "spoken"
    np.testing.assert_array_equal(found.scale.numpy(), [3.0, 5.0])


def test_models_say_themselves_how_they_are_compiled(tmp_path: Path) -> None:
    pytest.importorskip("h5py")

    class Own(K.Model):
        def compile(self, *args: Any, factor: float = 1.0, **kwargs: Any) -> None:
            super().compile(*args, **kwargs)
            self.factor = factor

        def get_compile_config(self) -> Any:
            return {"factor": self.factor}

        def compile_from_config(self, config: Any) -> None:
            self.compile("sgd", "mse", **config)

    x = K.Input((2,))
    model = Own(x, K.layers.Dense(1)(x))
    model.compile("sgd", "mse", factor=3.0)
    model.save(tmp_path / "m.keras")
    back = K.models.load_model(tmp_path / "m.keras", custom_objects={"Own": Own})
    assert type(back) is Own and back.factor == 3.0 and back.loss == "mse"


def test_what_is_put_past_setattr_is_no_part_of_a_layer():
    class Block(tf.keras.Model):
        def __init__(self):
            super().__init__()
            vars(self)["first"] = tf.keras.layers.Dense(2)
            self.__dict__["second"] = [tf.keras.layers.Dense(2)]
            setattr(self, "third", tf.keras.layers.Dense(2))  # noqa: B010 - the way is tested
            self.last = tf.keras.layers.Dense(1)

        def call(self, x):
            return self.last(self.third(self.second[0](self.first(x))))

    block = Block()
    block(tf.ones((1, 3)))
    # TensorFlow 2.15: 4 weights, 2 layers
    assert (len(block.weights), len(block.layers)) == (4, 2)
    assert [layer is got for layer, got in zip((block.third, block.last), block.layers)] == [
        True
    ] * 2
    again = copy.deepcopy(block)
    assert len(again.weights) == 4

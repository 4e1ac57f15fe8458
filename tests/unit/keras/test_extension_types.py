"""Models on extension types and specs (`Input(type_spec=...)`); numbers of Keras 2.15."""

import json

import numpy as np
import pytest
from unit.experimental.networks import Network

import shardtape as tf

keras = tf.keras


class MaskedTensor(tf.experimental.ExtensionType):
    values: tf.Tensor
    mask: tf.Tensor

    shape = property(lambda self: self.values.shape)
    dtype = property(lambda self: self.values.dtype)

    class Spec:
        def __init__(self, shape, dtype=tf.float32):
            self.values = tf.TensorSpec(shape, dtype)
            self.mask = tf.TensorSpec(shape, tf.bool)

        shape = property(lambda self: self.values.shape)
        dtype = property(lambda self: self.values.dtype)


class Balance(keras.layers.Layer):
    def build(self, shape):
        self.k = self.add_weight("k", (4, 4), initializer="identity")

    def call(self, inputs):
        mean = tf.reduce_mean(inputs.work, -1, keepdims=True)
        return Network(tf.matmul(inputs.work, self.k) * 0.5 + mean, inputs.bandwidth)


class Time(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = keras.layers.Dense(1, kernel_initializer="ones")

    def call(self, network):
        return self.dense(tf.concat([network.work, tf.reduce_sum(network.bandwidth, -1)], -1))


SPEC = Network.Spec(
    shape=tf.TensorShape([None]),
    work=tf.TensorSpec((None, 4), tf.float32),
    bandwidth=tf.TensorSpec((None, 4, 4), tf.float32),
)
TARGETS = np.array([[1.0], [2.0]])


def networks():
    first = [[0.0, 1, 0, 2], [1, 0, 0, 2], [0, 0, 0, 3], [2, 2, 3, 0]]
    second = [[0.0, 2, 0, 2], [2, 0, 0, 2], [0, 0, 0, 3], [2, 2, 3, 0]]
    return Network([[5.0, 3, 8, 2], [3, 2, 1, 2]], [first, second])


def functional():
    x = keras.Input(type_spec=SPEC, name="net")
    return keras.Model(x, Time(name="t")(Balance(name="b")(x)))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.balance, self.time = Balance(), Time()

    def call(self, network):
        return self.time(self.balance(network))


MODELS = {
    "functional": functional,
    "sequential": lambda: keras.Sequential([Balance(), Time()]),
    "sequential with an input": lambda: keras.Sequential(
        [keras.layers.InputLayer(type_spec=SPEC), Balance(), Time()]
    ),
    "subclassed": Subclassed,
}


@pytest.mark.parametrize("kind", MODELS)
def test_models_are_called_trained_and_predict(kind):
    model = MODELS[kind]()
    assert model(networks()).numpy().tolist() == [[43.0], [30.0]]
    model.compile("sgd", "mse")
    history = model.fit(networks(), TARGETS, epochs=2, verbose=0, shuffle=False)
    np.testing.assert_allclose(history.history["loss"], [1274.0, 630.906], rtol=1e-6)
    wanted = [[-76.282997], [-43.685001]]
    np.testing.assert_allclose(model.predict(networks(), verbose=0), wanted, rtol=1e-5)
    one = model.predict(networks(), batch_size=1, verbose=0)
    np.testing.assert_allclose(one, wanted, rtol=1e-5)


def test_batches_of_one_and_datasets():
    model = functional()
    model.compile(keras.optimizers.SGD(1e-5), "mse")
    losses = model.fit(networks(), TARGETS, batch_size=1, epochs=1, verbose=0, shuffle=False)
    other = functional()
    other.compile(keras.optimizers.SGD(1e-5), "mse")
    dataset = tf.data.Dataset.from_tensor_slices((networks(), TARGETS)).batch(1)
    assert other.fit(dataset, verbose=0).history == losses.history
    dense = other.predict(dataset.map(lambda network, _: network), verbose=0)
    np.testing.assert_allclose(dense, model.predict(networks(), verbose=0), rtol=1e-6)


def test_a_functional_model_knows_its_layers_and_shapes():
    model = functional()
    assert [x.name for x in model.layers] == ["net", "b", "t"]
    assert (model.count_params(), model.input_names) == (25, ["net"])
    assert model.output_shape == (None, 1)
    assert model.input_shape == (None,)
    lines = []
    model.summary(print_fn=lines.append)
    assert any("b (Balance)" in line and "(None,)" in line for line in lines)
    with pytest.raises(ValueError, match="expected a Network, got a"):
        model(tf.ones((2, 4)))
    with pytest.raises(AttributeError, match="no attribute 'work'"):
        keras.Input(type_spec=SPEC).work  # noqa: B018


def test_outputs_of_the_type_are_joined():
    x = keras.Input(type_spec=SPEC)
    model = keras.Model(x, Balance()(x))
    wanted = [[7.0, 6.0, 8.5, 5.5], [3.5, 3.0, 2.5, 3.0]]
    assert model(networks()).work.numpy().tolist() == wanted
    made = model.predict(networks(), batch_size=1, verbose=0)
    assert isinstance(made, Network)
    assert made.work.numpy().tolist() == wanted
    assert made.shape.as_list() == [2]


def test_several_inputs():
    x, y = keras.Input(type_spec=SPEC, name="n"), keras.Input((2,), name="j")
    model = keras.Model({"n": x, "j": y}, keras.layers.Concatenate()([Time()(x), y]))
    got = model({"n": networks(), "j": tf.ones((2, 2))})
    assert got.numpy().tolist() == [[34.0, 1.0, 1.0], [26.0, 1.0, 1.0]]


def test_a_type_with_a_spec_of_its_own_and_no_batches():
    class Fill(keras.layers.Layer):
        def call(self, x):
            return tf.where(x.mask, x.values, 0.0)

    x = keras.Input(type_spec=MaskedTensor.Spec((None, 3)))
    model = keras.Model(x, keras.layers.Dense(1, kernel_initializer="ones")(Fill()(x)))
    given = MaskedTensor([[1.0, 2, 3], [4, 5, 6]], [[True, True, False], [True, False, True]])
    assert model(given).numpy().tolist() == [[3.0], [10.0]]
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="BatchableExtensionType"):
        model.fit(given, TARGETS, verbose=0)


def test_configurations_and_files(tmp_path):
    model = functional()
    entry = json.loads(json.dumps(model.get_config()))["layers"][0]["config"]
    spec = {"class_name": "__typespec__", "module": "tensorflow.python.framework.tensor",
            "spec_name": "TensorSpec", "registered_name": None}  # fmt: skip
    assert entry == {
        "name": "net",
        "type_spec": {
            "class_name": "__typespec__", "spec_name": "Network.Spec", "module": Network.__module__,
            "registered_name": "Network.Spec",
            "config": {
                "shape": [None],
                "work": {**spec, "config": [[None, 4], "float32", None]},
                "bandwidth": {**spec, "config": [[None, 4, 4], "float32", None]},
            },
        },
    }  # fmt: skip
    known = {"Balance": Balance, "Time": Time, "Network": Network}
    again = keras.Model.from_config(json.loads(json.dumps(model.get_config())), known)
    assert again.layers[0].get_config() == model.layers[0].get_config()
    assert again(networks()).numpy().tolist() == [[43.0], [30.0]]
    for name in ("m.keras", "folder"):
        model.save(tmp_path / name)
        loaded = keras.models.load_model(tmp_path / name, custom_objects=known)
        assert loaded(networks()).numpy().tolist() == [[43.0], [30.0]]
    entry["type_spec"]["module"] = "absent"
    with pytest.raises(ValueError, match="Unknown type spec 'Network.Spec'"):
        keras.layers.InputLayer.from_config(entry)

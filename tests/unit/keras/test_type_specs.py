"""`Input(type_spec=...)` of ragged, sparse and dense tensors, and members of symbolic ragged ones.

Names, rows and numbers are those of Keras 2.15.
"""

import json

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras


def rows():
    return tf.ragged.constant([[1.0, 2.0], [3.0]])


@pytest.fixture(autouse=True)
def _fresh_names():
    keras.backend.clear_session()


def test_ragged():
    x = keras.Input(type_spec=tf.RaggedTensorSpec((None, None), tf.float32), name="i")
    assert x.shape.as_list() == [None, None]
    assert x.type_spec == tf.RaggedTensorSpec((None, None), tf.float32, 1)
    model = keras.Model(x, keras.layers.Lambda(lambda r: r.to_tensor())(x))
    assert model(rows()).numpy().tolist() == [[1.0, 2.0], [3.0, 0.0]]
    config = model.layers[0].get_config()
    assert (config["ragged"], config["batch_input_shape"]) == (True, (None, None))
    assert keras.Input((None, 2), ragged=True).type_spec == tf.RaggedTensorSpec(
        (None, None, 2), tf.float32, 1
    )


def test_a_recurrent_model_of_a_ragged_spec():
    x = keras.Input(type_spec=tf.RaggedTensorSpec((None, None), tf.int64))
    h = keras.layers.Embedding(5, 2, embeddings_initializer="ones")(x)
    h = keras.layers.LSTM(2, kernel_initializer="ones", recurrent_initializer="ones")(h)
    model = keras.Model(x, h)
    model.compile("sgd", "mse")
    numbers = tf.ragged.constant([[1, 2], [3]], dtype=tf.int64)
    history = model.fit(numbers, np.ones((2, 2)), epochs=2, verbose=0, shuffle=False)
    np.testing.assert_allclose(history.history["loss"], [0.08079, 0.0807], atol=1e-5)
    np.testing.assert_allclose(model(numbers)[:, 0], [0.9099, 0.6087], atol=1e-4)


def test_sparse_and_dense():
    one = keras.layers.Dense(1, kernel_initializer="ones")
    x = keras.Input(type_spec=tf.SparseTensorSpec((None, 4), tf.float32))
    sparse = tf.sparse.from_dense([[1.0, 0, 2, 0]])
    assert keras.Model(x, one(x))(sparse).numpy().tolist() == [[3.0]]
    x = keras.Input((4,), sparse=True)
    model = keras.Model(x, keras.layers.Lambda(tf.sparse.to_dense)(x))
    assert model(sparse).numpy().tolist() == [[1.0, 0.0, 2.0, 0.0]]
    x = keras.Input(type_spec=tf.TensorSpec((None, 3), tf.float32, name="q"), name="z")
    model = keras.Model(x, keras.layers.Dense(1, kernel_initializer="ones")(x))
    assert model.input_names == ["z"]
    assert model(tf.ones((2, 3))).numpy().tolist() == [[3.0], [3.0]]


def test_wrong_arguments():
    spec = tf.TensorSpec((None, 3), tf.float32)
    with pytest.raises(ValueError, match="all other args except `name` must be None, but"):
        keras.Input((3,), type_spec=spec)
    with pytest.raises(ValueError, match="Please provide to Input a `shape`"):
        keras.Input()
    with pytest.raises(ValueError, match="`type_spec` must be the spec of tensors"):
        keras.Input(type_spec=3)


MEMBERS = [
    (lambda x: x.to_tensor(), "to_tensor", "InstanceMethod", [[1.0, 2.0], [3.0, 0.0]]),
    (lambda x: x.flat_values, "flat_values", "InstanceProperty", [1.0, 2.0, 3.0]),
    (lambda x: x.row_splits, "row_splits", "InstanceProperty", [0, 2, 3]),
    (lambda x: x.row_lengths(), "row_lengths", "InstanceMethod", [2, 1]),
    (lambda x: x.value_rowids(), "value_rowids", "InstanceMethod", [0, 0, 1]),
    (lambda x: x.bounding_shape(), "bounding_shape", "InstanceMethod", [2, 2]),
]


@pytest.mark.parametrize(("member", "name", "kind", "wanted"), MEMBERS)
def test_members_of_ragged_inputs_are_layers(member, name, kind, wanted):
    x = keras.Input((None,), ragged=True, name="i")
    model = keras.Model(x, member(x))
    assert [layer.name for layer in model.layers] == ["i", f"input.{name}"]
    assert model(rows()).numpy().tolist() == wanted
    entry = json.loads(json.dumps(model.get_config()))["layers"][1]
    assert (entry["class_name"], entry["config"]["attr_name"]) == (kind, name)
    given = {"args": [], "kwargs": {}} if kind == "InstanceMethod" else {}
    assert entry["inbound_nodes"] == [["i", 0, 0, given]]
    again = keras.Model.from_config(model.get_config())
    assert again(rows()).numpy().tolist() == wanted


def test_members_after_operations_and_in_files(tmp_path):
    x = keras.Input((None,), ragged=True, name="i")
    h = tf.ragged.map_flat_values(tf.math.square, x)
    h = (h * 2.0).to_tensor(default_value=-1.0, shape=[None, 3])
    model = keras.Model(x, keras.layers.Dense(1, kernel_initializer="ones")(h))
    assert [layer.name for layer in model.layers] == [
        "i", "tf.math.square", "tf.math.multiply", "input.to_tensor", "dense",
    ]  # fmt: skip
    for name in ("m.keras", "folder"):
        model.save(tmp_path / name)
        loaded = keras.models.load_model(tmp_path / name)
        assert loaded(rows()).numpy().tolist() == [[9.0], [16.0]]
    with pytest.raises(AttributeError):
        x.absent  # noqa: B018
    with pytest.raises(AttributeError, match="no attribute 'to_tensor'"):
        keras.Input((3,)).to_tensor()


def test_layers_of_ones_own_see_ragged_values():
    class Doubled(keras.layers.Layer):
        def call(self, x):
            assert isinstance(x, tf.RaggedTensor)
            return x.with_flat_values(x.flat_values * 2.0)

    x = keras.Input((None,), ragged=True)
    model = keras.Model(x, tf.reduce_sum(Doubled()(x), axis=1))
    assert model(rows()).numpy().tolist() == [6.0, 6.0]


FUNCTIONS = [
    (lambda x: x[:, :1], [[1.0], [3.0]]),
    (lambda x: x[0], [1.0, 2.0]),
    (lambda x: x[:, -1:], [[2.0], [3.0]]),
    (lambda x: x[0, 1], 2.0),
    (lambda x: tf.concat([x, x * 2.0], axis=1), [[1.0, 2.0, 2.0, 4.0], [3.0, 6.0]]),
    (lambda x: tf.concat([x, x], axis=0), [[1.0, 2.0], [3.0], [1.0, 2.0], [3.0]]),
    (lambda x: tf.gather(x, [1, 0]), [[3.0], [1.0, 2.0]]),
    (lambda x: tf.expand_dims(x, 1), [[[1.0, 2.0]], [[3.0]]]),
    (lambda x: tf.stack([x, x], axis=0), [[[1.0, 2.0], [3.0]], [[1.0, 2.0], [3.0]]]),
    (lambda x: tf.tile(x, [1, 2]), [[1.0, 2.0, 1.0, 2.0], [3.0, 3.0]]),
    (lambda x: tf.reverse(x, [1]), [[2.0, 1.0], [3.0]]),
    (lambda x: tf.split(x, 2, axis=0)[0], [[1.0, 2.0]]),
    (lambda x: tf.size(x), 3),
    (lambda x: x[:, :1].to_tensor(), [[1.0], [3.0]]),
    (lambda x: tf.concat([x, x], 1).to_tensor(), [[1.0, 2.0, 1.0, 2.0], [3.0, 3.0, 0.0, 0.0]]),
    (
        lambda x: keras.layers.Dense(2, kernel_initializer="ones")(tf.expand_dims(x, -1)),
        [[[1.0, 1.0], [2.0, 2.0]], [[3.0, 3.0]]],
    ),
]


@pytest.mark.parametrize(("function", "wanted"), FUNCTIONS)
def test_functions_of_ragged_inputs(function, wanted):
    def values(model):
        made = model(rows())
        return made.to_list() if hasattr(made, "to_list") else made.numpy().tolist()

    x = keras.Input((None,), ragged=True, name="i")
    model = keras.Model(x, function(x))
    assert values(model) == wanted
    again = keras.Model.from_config(json.loads(json.dumps(model.get_config())))
    again.set_weights(model.get_weights())
    assert values(again) == wanted


def test_parts_of_ragged_inputs_have_rows_of_their_own():
    x = keras.Input((None,), ragged=True, name="i")
    config = json.loads(json.dumps(keras.Model(x, x[:, :1]).get_config()))["layers"][1]
    assert (config["class_name"], config["name"]) == (
        "SlicingOpLambda", "tf.__operators__.ragged_getitem",
    )  # fmt: skip
    whole = {"start": None, "stop": None, "step": None}
    assert config["inbound_nodes"] == [["i", 0, 0, {"key": [whole, {**whole, "stop": 1}]}]]

"""Members and arguments that are rarely used; results as TensorFlow 2.15's."""

import json

import numpy as np
import pytest

import shardtape as tf

K = tf.keras


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (lambda: tf.nest.is_nested(seq=[1]), True),
        (lambda: tf.nest.assert_same_structure(nest1=[1], nest2=[2], expand_composites=True), None),
        (lambda: tf.TensorSpec.from_spec(spec=tf.TensorSpec([1], name="a")).name, "a"),
        (lambda: tf.TensorSpec([1]).is_compatible_with(spec_or_tensor=tf.constant([1.0])), True),
        (lambda: tf.TensorSpec([3]).is_subtype_of(tf.TensorSpec([None])), True),
        (lambda: tf.TensorSpec([None]).is_subtype_of(tf.TensorSpec([3])), False),
        (lambda: tf.TensorSpec([3]).is_subtype_of(tf.TensorSpec(None, tf.int32)), False),
        (lambda: tf.TensorSpec([3]).most_specific_common_supertype([tf.TensorSpec([4])]),
         tf.TensorSpec([None])),
        (lambda: tf.TensorSpec([3]).most_specific_common_supertype([tf.TensorSpec([4], tf.int32)]),
         None),
        (lambda: tf.RaggedTensorSpec([None, None]).is_subtype_of(tf.RaggedTensorSpec([None, None])),
         True),
        (lambda: K.preprocessing.text.one_hot("a b", 5, analyzer=lambda t: t.split("b")).__len__(),
         2),
        (lambda: tf.debugging.assert_none_equal([1], [2], 3, "text"), None),
        (lambda: tf.DeviceSpec(job="a").make_merged_spec(dev=tf.DeviceSpec(job="b")).to_string(),
         "/job:b"),
        (lambda: tf.DeviceSpec().parse_from_string("/job:b/cpu:1").to_string(),
         "/job:b/device:CPU:1"),
        (lambda: tf.nn.embedding_lookup_sparse(
            tf.ones([3, 2]), tf.sparse.from_dense([[1]]), None, allow_fast_lookup=True
        ).numpy().tolist(), [[1, 1]]),
        (lambda: tf.train.CheckpointOptions(enable_async=True).enable_async, True),
        (lambda: K.layers.InputSpec.from_config(K.layers.InputSpec(ndim=2).get_config()).ndim, 2),
        (lambda: K.layers.StringLookup(vocabulary=["a"]).vocab_size(), 2),
        (lambda: K.callbacks.ModelCheckpoint("x", "val_acc", mode="max").monitor_op, np.greater),
        (lambda: tf.linalg.LinearOperatorCirculant2D([[1.0, 2.0], [3.0, 4.0]]).block_shape, [2, 2]),
        (lambda: K.Sequential().history, None),
        (lambda: tf.linalg.LinearOperatorCirculant([1.0, 2.0, 3.0]).block_depth, 1),
    ],
)  # fmt: skip
def test_values(call, value):
    found = call()
    assert found is value if value is None or isinstance(value, bool) else found == value


def test_the_kernel_of_a_circulant_operator():
    kernel = tf.linalg.LinearOperatorCirculant([1.0, 2.0, 3.0]).convolution_kernel()
    np.testing.assert_allclose(kernel, [2, -0.5 - 0.28867513j, -0.5 + 0.28867513j], rtol=1e-6)
    operator = tf.linalg.LinearOperatorCirculant2D([[1.0, 2.0], [3.0, 4.0]])
    np.testing.assert_allclose(
        np.ravel(operator.convolution_kernel()), operator.to_dense()[:, 0], atol=1e-6
    )
    assert operator.block_shape_tensor().numpy().tolist() == [2, 2]


def test_tables_generators_and_layers():
    table = tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, -1, -1, -2)
    key = tf.constant([1], tf.int64)
    table.insert_or_assign(key, tf.constant([5], tf.int64))
    table.insert_or_assign(key, tf.constant([6], tf.int64))
    assert table.lookup(key).numpy().tolist() == [6]
    series = np.arange(4).reshape(4, 1)
    text = K.preprocessing.sequence.TimeseriesGenerator(series, np.arange(4), 2).to_json()
    assert json.loads(text)["class_name"] == "TimeseriesGenerator"
    layer = K.layers.Normalization()
    layer.compile()
    layer.build((None, 1))
    adapt = layer.make_adapt_function()
    batches = iter([tf.constant([[1.0], [3.0]])])
    adapt(batches)
    layer.finalize_state()
    assert float(layer.mean[0, 0]) == 2.0


def test_what_is_equal_is_told_with_its_text():
    with pytest.raises(tf.errors.InvalidArgumentError, match="said here"):
        tf.debugging.assert_none_equal([1], [1], None, "said here")


def test_drawings_say_what_is_trained():
    model = K.Sequential([K.layers.Dense(2, name=f"d{i}", input_shape=(2,)) for i in range(4)])
    model.layers[1].trainable = False
    text = K.utils.model_to_dot(model, show_trainable=True, layer_range=["d1", "d2"])
    assert "NT | d1 | Dense" in text and '"T | d2 | Dense' in text and "d0" not in text
    functional = K.Model(model.input, model.layers[-1].output)
    text = K.utils.model_to_dot(functional, layer_range=["d2", "d3"])
    assert "d2" in text and "d1" not in text and text.count("->") == 1
    with pytest.raises(ValueError, match="does not match any layer: 'x'"):
        K.utils.model_to_dot(model, layer_range=["x", "d1"])


def test_errors_by_the_names_of_their_arguments():
    made = tf.errors.InvalidArgumentError(node_def=None, op=None, message="why")
    assert str(made) == made.message == "why" and made.error_code == 3
    assert made.experimental_payloads == {}
    assert tf.errors.OpError(None, None, message="x", error_code=5).error_code == 5
    with pytest.raises(TypeError, match="misses the argument 'message'"):
        tf.errors.NotFoundError(node_def=None, op=None)
    with pytest.raises(TypeError, match="unexpected argument 'text'"):
        tf.errors.NotFoundError(text="x")


def test_names_of_inputs():
    x = K.Input((3,), name="age")
    model = K.Model(x, K.layers.Dense(2, name="d")(x))
    assert (x.name, model.input.name, model.output.name) == ("age", "age", "d/BiasAdd:0")
    assert [t.name for t in model.inputs] == ["age"] and repr(x).count("age") == 1

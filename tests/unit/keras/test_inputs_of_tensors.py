"""`Input(tensor=...)`, and rows of functional models, as Keras 2.15 has them."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras


def test_an_input_takes_shape_and_type_of_a_tensor():
    inputs = keras.Input(tensor=tf.ones([2, 3]), name="z")
    assert inputs.shape.as_list() == [2, 3] and inputs.dtype is tf.float32
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    assert model.input_shape == (2, 3)
    assert model.get_config()["layers"][0]["config"] == {
        "batch_input_shape": (2, 3), "dtype": "float32", "sparse": False, "ragged": False,
        "name": "z",
    }  # fmt: skip
    assert model(tf.ones([5, 3])).shape == (5, 2)  # as in Keras: only the rank is looked at
    assert keras.Input(tensor=tf.Variable([[1, 2]])).dtype is tf.int32
    # what else is said of the shape does not count
    assert keras.Input(shape=(7,), tensor=tf.ones([2, 3])).shape.as_list() == [2, 3]


def test_an_input_of_a_ragged_tensor():
    rows = tf.ragged.constant([[1.0], [2.0, 3.0]])
    inputs = keras.Input(tensor=rows)
    assert inputs.shape.as_list() == [2, None]
    model = keras.Model(inputs, tf.reduce_sum(inputs, 1))
    np.testing.assert_array_equal(model(rows), [1.0, 5.0])


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (lambda: {"tensor": tf.ones([2]), "dtype": "int32"}, ValueError,
         "`input_tensor.dtype` differs from `dtype`"),
        (lambda: {"tensor": np.ones([2])}, TypeError, "got ndarray"),
        (lambda: {"tensor": keras.Input([3]) * 2}, NotImplementedError, "Model.inputs=tensor"),
        (dict, ValueError, "Please provide to Input a `shape` or a `tensor`"),
    ],
)  # fmt: skip
def test_what_is_no_input(arguments, error, text):
    with pytest.raises(error, match=text):
        keras.Input(**arguments())


def rows_of(outputs, inputs):
    return [layer.name for layer in keras.Model(inputs, outputs).layers[1:]]


def test_rows_of_functions_of_keras():
    keras.backend.clear_session()
    x = keras.Input([4], name="x")
    y = keras.backend.hard_sigmoid(x)
    assert rows_of(y, x) == ["tf.math.multiply", "tf.math.add", "tf.clip_by_value"]
    values = keras.Model(x, y)(tf.constant([[-3.0, -1.0, 0.5, 3.0]]))
    np.testing.assert_allclose(values, [[0.0, 0.3, 0.6, 1.0]], atol=1e-6)
    keras.backend.clear_session()
    x = keras.Input([4], name="x")
    assert rows_of(keras.losses.cosine_similarity(x, x), x) == [
        "tf.math.l2_normalize", "tf.math.l2_normalize_1", "tf.math.multiply",
        "tf.math.reduce_sum", "tf.math.negative",
    ]  # fmt: skip


def test_a_ragged_input_has_no_vector_of_sizes():
    ragged = keras.Input([None, 2], ragged=True)
    with pytest.raises(ValueError, match="KerasTensor only supports TypeSpecs that have a shape"):
        tf.shape(ragged)
    model = keras.Model(ragged, ragged.row_lengths())
    rows = tf.ragged.constant([[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]], ragged_rank=1)
    np.testing.assert_array_equal(model(rows), [1, 2])
    plain = keras.Input([4])
    np.testing.assert_array_equal(keras.Model(plain, tf.shape(plain))(tf.ones([3, 4])), [3, 4])

"""Symbolic tensors of Keras where Python or numpy needs values: the errors of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras


@pytest.mark.parametrize(
    "use",
    [bool, len, list, float, int, np.array, np.sum, np.log, lambda x: 1 if x > 0 else 2],
    ids=["bool", "len", "list", "float", "int", "array", "sum", "log", "if"],
)
def test_they_raise_type_error(use):
    with pytest.raises(TypeError) as error:
        use(keras.Input((3,)))
    assert type(error.value) is TypeError


def test_known_first_dimensions_are_iterated():
    assert [row.shape.as_list() for row in keras.Input(batch_shape=(2, 3))] == [[3], [3]]


def test_in_a_layer_the_errors_are_those_of_graphs():
    class Branching(keras.layers.Layer):
        def call(self, x):
            return np.array(x)

    with pytest.raises(NotImplementedError):
        Branching()(keras.Input((3,)))


def test_inputs_of_ragged_and_sparse_values_show_their_specs():
    ragged = keras.Input((None, 3), ragged=True, name="rr")
    assert repr(ragged) == (
        "<KerasTensor: type_spec=RaggedTensorSpec(TensorShape([None, None, 3]), tf.float32, 1, "
        "tf.int64) (created by layer 'rr')>"
    )
    sparse = keras.Input((3,), batch_size=4, sparse=True, name="ss")
    assert repr(sparse) == (
        "<KerasTensor: type_spec=SparseTensorSpec(TensorShape([4, 3]), tf.float32) (created by "
        "layer 'ss')>"
    )

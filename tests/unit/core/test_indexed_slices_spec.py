"""`tf.IndexedSlicesSpec`: forms are TensorFlow 2.15's."""

import pytest

import shardtape as tf


def _slices():
    return tf.IndexedSlices(tf.constant([[1.0, 2.0]]), tf.constant([1]), tf.constant([3, 2]))


def test_forms():
    text = "IndexedSlicesSpec(TensorShape(None), tf.float32, tf.int64, None, TensorShape([None]))"
    assert repr(tf.IndexedSlicesSpec()) == text
    spec = tf.type_spec_from_value(_slices())
    assert repr(spec) == (
        "IndexedSlicesSpec(TensorShape([3, 2]), tf.float32, tf.int32, tf.int32, TensorShape([1]))"
    )
    assert spec.value_type is tf.IndexedSlices
    parts = tf.nest.flatten(_slices(), expand_composites=True)
    assert [p.shape.as_list() for p in parts] == [[1, 2], [1], [2]]


def test_compatibility():
    wide = tf.IndexedSlicesSpec([None, 2], tf.float32, tf.int32, tf.int32)
    assert wide.is_compatible_with(_slices())
    assert not tf.IndexedSlicesSpec([None, 3], tf.float32, tf.int32, tf.int32).is_compatible_with(
        _slices()
    )
    assert not tf.IndexedSlicesSpec([None, 2], tf.float32).is_compatible_with(_slices())
    made = tf.IndexedSlicesSpec([3, 2]).most_specific_compatible_type(
        tf.IndexedSlicesSpec([None, 2])
    )
    assert made == tf.IndexedSlicesSpec([None, 2])
    with pytest.raises(ValueError, match="compatible with both"):
        wide.most_specific_compatible_type(tf.IndexedSlicesSpec([None, 2]))


def test_through_a_function():
    spec = tf.IndexedSlicesSpec([None, 2], tf.float32, tf.int32, tf.int32)

    @tf.function(input_signature=[spec])
    def doubled(x):
        assert x.consumers() == [] and x.graph is not None
        return tf.IndexedSlices(x.values * 2, x.indices, x.dense_shape), tf.convert_to_tensor(x)

    sparse, dense = doubled(_slices())
    assert sparse.values.numpy().tolist() == [[2, 4]] and sparse.indices.numpy().tolist() == [1]
    assert sparse.dense_shape.numpy().tolist() == [3, 2]
    assert dense.numpy().tolist() == [[0, 0], [1, 2], [0, 0]]


def test_members_in_eager_mode():
    assert _slices().consumers() == []
    with pytest.raises(AttributeError, match="eager"):
        _ = _slices().graph


def test_saved_model_constants():
    assert tf.saved_model.PREDICT_METHOD_NAME == "tensorflow/serving/predict"
    assert tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY == "serving_default"
    assert (tf.saved_model.SERVING, tf.saved_model.VARIABLES_DIRECTORY) == ("serve", "variables")


def test_next_of_iterators():
    it = iter(tf.data.Dataset.range(2))
    assert [it.next().numpy(), it.next().numpy()] == [0, 1]
    with pytest.raises(StopIteration):
        it.next()
    assert not it.get_next_as_optional().has_value()
    assert tf.function(lambda i: i.next())(iter(tf.data.Dataset.range(1))).numpy() == 0
    assert tf.data.Dataset.range(2).as_numpy_iterator().next() == 0

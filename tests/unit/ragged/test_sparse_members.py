"""What SparseTensors know and refuse; values of counts and crosses are in the parity tests."""

import re

import pytest

import shardtape as tf


def _one():
    return tf.SparseTensor([[0, 1]], [1.0], [2, 2])


def test_set_shape_in_a_graph():
    seen = []

    @tf.function(input_signature=[tf.SparseTensorSpec(None, tf.float32)])
    def f(x):
        seen.append(x.shape)
        x.set_shape([2, None])
        seen.append(x.shape)
        assert x.consumers() == []
        return tf.sparse.to_dense(x)

    assert f(_one()).numpy().tolist() == [[0, 1], [0, 0]]
    assert seen[0].rank is None and seen[1].as_list() == [2, None]


def test_set_shape_that_cannot_be():
    x = _one()
    x.set_shape([None, 2])
    assert x.shape == [2, 2] and x.consumers() == []
    with pytest.raises(ValueError, match=r"\(2, 2\).*\(3, 2\)"):
        x.set_shape([3, 2])
    with pytest.raises(AttributeError, match="numpy"):
        x.eval()


def test_bincount_refusals():
    with pytest.raises(ValueError, match="axis=1"):
        tf.sparse.bincount([[1]], axis=1)
    with pytest.raises(ValueError, match="mutually exclusive"):
        tf.sparse.bincount([[1]], weights=[[1.0]], binary_output=True)
    with pytest.raises(ValueError, match="must be a SparseTensor"):
        tf.sparse.bincount(tf.sparse.from_dense([[1]]), weights=[[1.0]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="non-negative"):
        tf.sparse.bincount([-1])
    with pytest.raises(tf.errors.InvalidArgumentError, match="int32 or int64, got float32"):
        tf.sparse.bincount([1.0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="same indices"):
        tf.sparse.bincount(tf.sparse.from_dense([1, 0]), weights=tf.sparse.from_dense([0.0, 1.0]))


def test_cross_refusals():
    with pytest.raises(TypeError, match="list"):
        tf.sparse.cross(tf.constant([["a"]]))
    with pytest.raises(TypeError, match="RaggedTensor"):
        tf.sparse.cross([tf.ragged.constant([["a"]])])
    with pytest.raises(tf.errors.InvalidArgumentError, match="position 0"):
        tf.sparse.cross([tf.constant(["a"])])
    with pytest.raises(tf.errors.InvalidArgumentError, match="num_buckets"):
        tf.sparse.cross_hashed([tf.constant([["a"]])], num_buckets=-1)


def test_cross_in_a_function():
    @tf.function
    def f(a, b):
        return tf.sparse.cross_hashed([a, b], num_buckets=100)

    a, b = tf.constant([["d", "e"]]), tf.constant([[1, 2]])
    wanted = tf.sparse.cross_hashed([a, b], num_buckets=100)
    assert f(a, b).values.numpy().tolist() == wanted.values.numpy().tolist()


@pytest.mark.parametrize(
    ("indices", "words"),
    [  # what TensorFlow 2.15 says first
        ([[0, 2], [0, 1]], "indices[1] = [0,1] is out of order. Many sparse ops require sorted"),
        ([[0, 1], [0, 1]], "indices[1] = [0,1] is repeated"),
        ([[0, 1], [3, 1]], "indices[1] = [3,1] is out of bounds: need 0 <= index < [3,4]"),
        ([[0, 1], [1, 0], [0, 3]], "indices[2] = [0,3] is out of order"),
    ],
)
def test_to_dense_names_the_index_that_is_wrong(indices, words):
    sp = tf.SparseTensor(indices, [1.0] * len(indices), [3, 4])
    with pytest.raises(tf.errors.InvalidArgumentError, match=re.escape(words)):
        tf.sparse.to_dense(sp)

"""SparseTensors: order of places, thresholds, segments, lookups; numbers of TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf


@pytest.mark.parametrize("places", [[[1, 0], [0, 0]], [[0, 0], [0, 0]]])
def test_places_out_of_order_are_refused(places):
    sp = tf.SparseTensor(places, [1, 2], [2, 1])
    for f in (tf.sparse.to_dense, tf.function(tf.sparse.to_dense)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="out of order|repeated"):
            f(sp)
    assert tf.sparse.to_dense(tf.sparse.reorder(sp), validate_indices=False).shape == (2, 1)


def test_a_threshold_is_one_of_sums():
    a = tf.SparseTensor([[0, 2], [3, 4], [7, 1]], [31, 2, 1], [8, 10])
    b = tf.SparseTensor([[0, 2], [3, 4], [7, 0]], [1, 3, 31], [8, 10])
    got = tf.sparse.add(a, b, threshold=20)
    assert got.indices.numpy().tolist() == [[0, 2], [7, 0], [7, 1]]
    assert got.values.numpy().tolist() == [32, 31, 1]


def test_segments_of_chosen_rows():
    data = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    assert tf.sparse.segment_sum(data, [0, 1], [0, 0]).numpy().tolist() == [[4.0, 6.0]]
    assert tf.sparse.segment_mean(data, [0, 1], [0, 0]).numpy().tolist() == [[2.0, 3.0]]
    got = tf.sparse.segment_mean(data, [0, 1], [0, 2], num_segments=4)
    assert got.numpy().tolist() == [[1.0, 2.0], [0.0, 0.0], [3.0, 4.0], [0.0, 0.0]]
    got = tf.sparse.segment_sqrt_n(data, [0, 1], [0, 0])
    np.testing.assert_allclose(got, [[2.828427, 4.2426405]], rtol=1e-6)


def test_safe_lookups():
    table = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    ids = tf.SparseTensor([[0, 0], [2, 0], [2, 1]], tf.constant([0, 2, -1], tf.int64), [3, 2])
    got = tf.nn.safe_embedding_lookup_sparse(table, ids)
    assert got.numpy().tolist() == [[1.0, 2.0], [0.0, 0.0], [5.0, 6.0]]
    got = tf.nn.safe_embedding_lookup_sparse(table, ids, default_id=1)
    assert got.numpy().tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def test_the_size_of_a_sparse_tensor_counts_its_zeros():
    sparse = tf.sparse.from_dense([[1.0, 0.0], [0.0, 2.0]])
    assert tf.size(sparse).numpy() == 4 and tf.size(sparse).dtype == tf.int32


@pytest.mark.parametrize("function", [tf.reduce_sum, tf.reduce_max, tf.nn.relu, tf.nn.sigmoid])
def test_functions_that_take_no_sparse_tensors(function):
    with pytest.raises((TypeError, ValueError), match="SparseTensor"):
        function(tf.sparse.from_dense([[1.0, 0.0], [0.0, 2.0]]))

"""Sparse elements as numpy arrays are dense ones, figures of TensorFlow 2.15."""

from __future__ import annotations

import shardtape as tf


def test_of_datasets_and_of_their_batches():
    dataset = tf.data.Dataset.range(2).map(lambda x: tf.sparse.from_dense([x, 1]))
    assert [a.tolist() for a in dataset.as_numpy_iterator()] == [[0, 1], [1, 1]]
    assert [a.tolist() for a in dataset.batch(2).as_numpy_iterator()] == [[[0, 1], [1, 1]]]


def test_inside_structures():
    dataset = tf.data.Dataset.range(1).map(lambda x: (x, {"a": tf.sparse.from_dense([x, 1])}))
    (element,) = dataset.as_numpy_iterator()
    assert (element[0], element[1]["a"].tolist()) == (0, [0, 1])

"""Metric functions of integer predictions and of columns; the figures are Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf

metrics = tf.keras.metrics


@pytest.mark.parametrize(
    "predicted",
    [[[0, 1, 0], [1, 1, 0]], np.array([[0, 1, 0], [1, 1, 0]], np.uint8),
     tf.constant([[0, 1, 0], [1, 1, 0]])],
)  # fmt: skip
def test_binary_accuracy_of_whole_numbers(predicted):
    found = metrics.binary_accuracy([[0, 1, 1], [1, 0, 0]], predicted)
    assert found.dtype == tf.float32
    np.testing.assert_allclose(found.numpy(), [2 / 3, 2 / 3], rtol=1e-6)


def test_the_threshold_of_whole_numbers_is_one():
    assert metrics.binary_accuracy([[1, 1]], [[1, 2]], threshold=1.9).numpy().tolist() == [0.5]
    assert metrics.binary_accuracy([[0, 1]], [[1, 2]], threshold=1.9).numpy().tolist() == [1.0]


@pytest.mark.parametrize("true", [[[1], [2]], np.array([[1.0], [2.0]])])
def test_sparse_accuracy_of_columns(true):
    predicted = [[0.1, 0.8, 0.3], [0.6, 0.7, 0.2]]
    assert metrics.sparse_categorical_accuracy(true, predicted).numpy().tolist() == [1.0, 0.0]
    metric = metrics.SparseCategoricalAccuracy()
    metric.update_state(true, predicted, sample_weight=[3.0, 1.0])
    assert float(metric.result()) == 0.75


def test_sparse_accuracy_of_sequences():
    found = metrics.sparse_categorical_accuracy(np.zeros((2, 3, 1)), np.ones((2, 3, 4)))
    assert found.shape == (2, 3)
    assert metrics.sparse_categorical_accuracy(np.zeros((2, 1)), np.ones((2, 1, 4))).shape == (2,)

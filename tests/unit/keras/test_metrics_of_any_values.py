"""Metrics of predictions outside 0..1, weights of single predictions; values of Keras 2.15."""

from typing import Any

import numpy as np
import pytest

import shardtape as tf

M = tf.keras.metrics
LABELS, WIDE = [0, 1, 1, 0], [-0.5, 1.2, -0.1, 0.6]


def result(metric: Any, *arguments: Any, **options: Any) -> Any:
    metric.update_state(*arguments, **options)
    return metric.result().numpy()


@pytest.mark.parametrize(
    ("options", "predictions", "expected"),
    [
        ({}, [-0.5, 1.2, 0.3, 0.6], 0.75),
        ({"num_thresholds": 5}, WIDE, 0.625),
        ({"thresholds": [0.2, 0.5]}, WIDE, 0.25),
        ({"curve": "PR"}, WIDE, 0.75),
    ],
)
def test_areas_of_predictions_outside_0_to_1(
    options: Any, predictions: Any, expected: float
) -> None:
    assert result(M.AUC(**options), LABELS, predictions) == pytest.approx(expected)


def test_counts_of_predictions_outside_0_to_1() -> None:
    assert result(M.Precision(), LABELS, WIDE) == 0.5
    both = [0.3, 0.7]
    np.testing.assert_allclose(result(M.Precision(thresholds=both), LABELS, WIDE), [0.5, 1.0])
    np.testing.assert_allclose(result(M.Recall(thresholds=both), LABELS, WIDE), [0.5, 0.5])
    assert result(M.SensitivityAtSpecificity(0.5), LABELS, WIDE) == pytest.approx(0.5)
    assert result(M.AUC(), LABELS, [np.nan, 0.5, 0.2, 0.7]) == 0.0


@pytest.mark.parametrize(
    ("labels", "predictions", "weights", "expected"),
    [
        ([0, 1, 1, 1, 0], [0.1, 0.8, 0.4, 0.9, 0.6], [1.0, 0.5, 1, 2, 1], [4.5, 5.5]),
        ([0, 1, 1, 1, 0], [0.1, 0.8, 0.4, 0.9, 0.6], [[1.0], [0.5], [1], [2], [1]], [4.5, 5.5]),
        ([0, 1, 1, 1, 0], [0.1, 0.8, 0.4, 0.9, 0.6], None, [4.0, 5.0]),
        ([0, 1, 1, 1, 0], [0.1, 0.8, 0.4, 0.9, 0.6], 2.0, [8.0, 10.0]),
        ([[0, 1, 1], [1, 0, 1]], [[0.1, 0.8, 0.2], [0.9, 0.6, 0.7]], [1.0, 3.0], [8.0, 12.0]),
        ([[0], [1]], [[0.1], [0.8]], [1.0, 3.0], [4.0, 4.0]),
    ],
)
def test_weights_of_binary_accuracy(
    labels: Any, predictions: Any, weights: Any, expected: Any
) -> None:
    metric = M.BinaryAccuracy(threshold=0.3)
    metric.update_state(labels, predictions, sample_weight=weights)
    np.testing.assert_allclose([v.numpy() for v in metric.variables], expected)

"""Shapes that metrics refuse, and weights that fit half: TensorFlow 2.15's answers."""

import pytest

import shardtape as tf

metrics = tf.keras.metrics
SQUARE = [[1.0, 0.0], [0.0, 1.0]]

# metric, labels, predictions, text
REFUSED = [
    (metrics.Accuracy, [1.0, 2], [1.0], r"Shapes \(2,\) and \(1,\) are incompatible"),
    (metrics.Accuracy, [1.0], [1.0, 2], r"Shapes \(1,\) and \(2,\) are incompatible"),
    (metrics.Accuracy, [[1.0, 0]], SQUARE, r"Shapes \(1, 2\) and \(2, 2\) are incompatible"),
    (metrics.Accuracy, [1.0, 0], SQUARE, r"Shapes \(2,\) and \(2, 2\) are incompatible"),
    (lambda: metrics.MeanRelativeError([1.0, 2.0]), [1.0, 2], [1.0],
     r"Shapes \(1,\) and \(2,\) are incompatible"),
    (lambda: metrics.MeanRelativeError([1.0, 2.0]), [1.0, 0], SQUARE,
     r"Shapes \(2, 2\) and \(2,\) are incompatible"),
]  # fmt: skip


@pytest.mark.parametrize("make, y_true, y_pred, text", REFUSED)
def test_labels_that_would_only_broadcast_are_refused(make, y_true, y_pred, text):
    with pytest.raises(ValueError, match=text):
        make()(y_true, y_pred)
    metric = make()
    with pytest.raises(ValueError, match=text):
        tf.function(lambda t, p: metric.update_state(t, p))(
            tf.constant(y_true), tf.constant(y_pred)
        )


@pytest.mark.parametrize("name", ["TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy"])
def test_top_k_refuses_another_number_of_labels(name):
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        getattr(metrics, name)(k=1)(SQUARE, [[1.0, 0]])
    assert "First dimension of predictions 1 must match length of targets" in str(raised.value)


@pytest.mark.parametrize("weights", [[1.0], [1.0, 2.0, 3.0]])
def test_weights_of_another_number_than_labels_are_refused(weights):
    with pytest.raises(ValueError, match=r"Shapes \(2,\) and \(\d,\) are incompatible"):
        metrics.MeanIoU(2)([1, 0], [1, 0], sample_weight=weights)
    with pytest.raises(ValueError, match=r"Shapes \(2,\) and \(1,\) are incompatible"):
        metrics.Precision()([1.0], [1.0, 0], sample_weight=weights)


# metric, labels, predictions, weights, result
HALF = [
    (metrics.BinaryAccuracy, [[[1.0, 0]], [[0, 1.0]]], SQUARE, [2.0], 1.0),
    (metrics.RootMeanSquaredError, [[[1.0, 0]], [[0, 1.0]]], SQUARE, [2.0], 1.0),
    (metrics.SparseCategoricalAccuracy, [1], [1.0, 2.0], [1.0, 2.0], 1.0),
    (lambda: metrics.MeanRelativeError([1.0, 2.0]), [1.0, 0.0], [[1.0], [0.0]], None, 0.0),
    (metrics.MeanSquaredError, SQUARE, [[1.0, 0], [1.0, 1]], [1.0, 2.0], 1 / 3),
]


@pytest.mark.parametrize("make, y_true, y_pred, weights, known", HALF)
def test_weights_that_do_not_broadcast_to_the_values(make, y_true, y_pred, weights, known):
    result = make()(y_true, y_pred, sample_weight=weights)
    assert float(result) == pytest.approx(known, abs=1e-6)

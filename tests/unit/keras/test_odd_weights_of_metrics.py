"""Weights whose shapes do not fit; classes of errors recorded from Keras 2.15."""

import pytest

import shardtape as tf

metrics = tf.keras.metrics
MAKES = {
    "precision": metrics.Precision, "recall": lambda: metrics.Recall([0.3, 0.6]),
    "positives": metrics.TruePositives, "negatives": metrics.FalseNegatives, "auc": metrics.AUC,
    "specificity": lambda: metrics.SensitivityAtSpecificity(0.5),
    "top": lambda: metrics.Precision(top_k=1),
}  # fmt: skip
FLAT = [0.0, 1.0, 1.0], [0.1, 0.9, 0.4]
COLUMN = [[0.0], [1.0], [1.0]], [[0.1], [0.9], [0.4]]
TWO = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]], [[0.1, 0.7], [0.9, 0.2], [0.4, 0.6]]


def ones(*sizes):
    return tf.ones(sizes)


@pytest.mark.parametrize("name", MAKES)
@pytest.mark.parametrize(
    "values, weights, error",
    [
        *[(FLAT, ones(*s), ValueError) for s in [(2,), (4,), (0,), (6,), (3, 1, 1)]],
        *[(FLAT, ones(*s), tf.errors.InvalidArgumentError) for s in [(1, 3), (3, 2), (2, 3)]],
        *[(COLUMN, ones(*s), ValueError) for s in [(1, 3), (3, 2), (2,), (4,), (2, 3), (0,)]],
        *[(TWO, ones(*s), ValueError) for s in [(1, 3), (2,), (4,), (3, 3), (2, 3), (0,), (6,)]],
    ],
)
def test_weights_that_do_not_fit(name, values, weights, error):
    with pytest.raises(error):
        MAKES[name]().update_state(*values, sample_weight=weights)


def test_weights_that_fit():
    for shape in [(3,), (3, 1), (3, 2), (1,), (1, 2), (3, 1, 1), ()]:
        metric = metrics.TruePositives()
        metric.update_state(*TWO, sample_weight=2.0 * tf.ones(shape))
        assert metric.result().numpy() == 6.0


def test_weights_of_one_class_are_those_of_rows():
    metric = metrics.Precision(class_id=0)
    metric.update_state(*TWO, sample_weight=[1.0, 0.0, 2.0])
    assert metric.result().numpy() == 0.0
    for weights in (ones(3, 2), ones(1, 2)):
        with pytest.raises(ValueError, match="can not be broadcast"):
            metric.update_state(*TWO, sample_weight=weights)


def test_weights_of_scores():
    for shape in [(1, 3), (2,), (4,), (3, 3), (3, 1, 1), (0,)]:
        with pytest.raises(ValueError, match="can not be broadcast"):
            metrics.R2Score().update_state(*TWO, sample_weight=tf.ones(shape))

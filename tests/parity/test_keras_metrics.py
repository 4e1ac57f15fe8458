"""Metrics that count, and focal losses, against what TensorFlow 2.15 computed."""

from typing import Any

import numpy as np
import pytest
from parity import keras_metrics_cases, recorded

import shardtape as tf

ARRAYS, NOTES = recorded.unpack(recorded.DATA / "keras_metrics_tf215.npz")
TEXTS = NOTES["texts"]


@pytest.fixture(autouse=True)
def fresh() -> None:
    tf.keras.backend.clear_session()


@pytest.mark.parametrize("name", keras_metrics_cases.CASES)
def test_equals_keras(name: str) -> None:
    results = keras_metrics_cases.CASES[name](tf)
    keys = [k for k in [*ARRAYS, *TEXTS] if k.rsplit("/", 1)[0] == name]
    assert len(results) == len(keys), "record the cases again: tests/parity/record_keras_tf.py"
    for i, result in enumerate(results):
        key = f"{name}/{i}"
        if isinstance(result, str):
            assert result == TEXTS[key]
        else:
            _compare(np.asarray(result), ARRAYS[key], key)


def _compare(got: np.ndarray, wanted: Any, key: str) -> None:
    assert got.shape == wanted.shape, key
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=1e-6, err_msg=key)


def test_recorded_from_the_pinned_version() -> None:
    assert NOTES["tensorflow"].startswith("2.15")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda m: m.Precision(thresholds=1.5), "must be in"),
        (lambda m: m.AUC(curve="XY"), "curve"),
        (lambda m: m.AUC(num_thresholds=1), "num_thresholds"),
        (lambda m: m.F1Score(average="most"), "average"),
        (lambda m: m.IoU(2, [2]), "out of range"),
        (lambda m: m.R2Score(num_regressors=-1), "num_regressors"),
        (lambda m: m.MeanTensor().result(), "any value"),
    ],
)
def test_refuses(make: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        make(tf.keras.metrics)


def test_predictions_outside_the_unit_interval_count_as_its_ends() -> None:
    metric = tf.keras.metrics.AUC()
    metric.update_state([0.0, 1.0], [0.5, 1.5])
    assert float(metric.result()) == 1.0

"""Data for training from arrays, texts and folders, against what TensorFlow 2.15 made."""

from typing import Any

import numpy as np
import pytest
from parity import keras_data_cases, recorded

import shardtape as tf

ARRAYS, NOTES = recorded.unpack(recorded.DATA / "keras_data_tf215.npz")
TEXTS = NOTES["texts"]


@pytest.fixture(autouse=True)
def fresh() -> None:
    tf.keras.backend.clear_session()


@pytest.mark.parametrize("name", keras_data_cases.CASES)
def test_equals_keras(name: str) -> None:
    results = keras_data_cases.CASES[name](tf)
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

"""Training of Keras models against what TensorFlow 2.15 computed and showed."""

from typing import Any

import numpy as np
import pytest
from parity import keras_training_cases, recorded

import shardtape as tf

ARRAYS, NOTES = recorded.unpack(recorded.DATA / "keras_training_tf215.npz")
TEXTS = NOTES["texts"]


@pytest.fixture(autouse=True)
def fresh() -> None:
    tf.keras.backend.clear_session()


@pytest.mark.parametrize("name", keras_training_cases.CASES)
def test_trains_as_keras(name: str) -> None:
    results = keras_training_cases.CASES[name](tf)
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
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted, err_msg=key)
        return
    scale = max(1.0, np.abs(wanted).max(initial=0.0))
    # 50 steps of training stay within what another order of summing makes of float32
    np.testing.assert_allclose(got, wanted, rtol=0, atol=2e-5 * scale, err_msg=key)


def test_recorded_from_the_pinned_version() -> None:
    assert NOTES["tensorflow"].startswith("2.15")

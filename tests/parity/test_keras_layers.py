"""Layers of `tf.keras` against what TensorFlow 2.15 computed, training of 50 steps included."""

from typing import Any

import numpy as np
import pytest
from parity import keras_layer_cases, keras_preprocessing_cases, recorded

import shardtape as tf

ARRAYS: dict[str, np.ndarray] = {}
TEXTS: dict[str, str] = {}
VERSIONS = []
for _kind in ("keras_layers", "keras_preprocessing"):
    _arrays, _notes = recorded.unpack(recorded.DATA / f"{_kind}_tf215.npz")
    ARRAYS.update(_arrays)
    TEXTS.update(_notes["texts"])
    VERSIONS.append(_notes["tensorflow"])
CASES = keras_layer_cases.CASES | keras_preprocessing_cases.CASES


@pytest.fixture(autouse=True)
def fresh() -> None:
    tf.keras.backend.clear_session()


@pytest.mark.parametrize("name", CASES)
def test_equals_keras(name: str) -> None:
    results = CASES[name](tf)
    keys = [k for k in [*ARRAYS, *TEXTS] if k.rsplit("/", 1)[0] == name]
    assert len(results) == len(keys), "record the cases again: tests/parity/record_keras_tf.py"
    # 50 steps of training amplify what another order of summing makes of float32
    tolerance = 1e-4 if name.startswith("train_") else 1e-5
    for i, result in enumerate(results):
        key = f"{name}/{i}"
        if isinstance(result, str):
            assert result == TEXTS[key]
        else:
            _compare(np.asarray(result), ARRAYS[key], key, tolerance)


def _compare(got: np.ndarray, wanted: Any, key: str, tolerance: float) -> None:
    assert got.shape == wanted.shape, key
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted, err_msg=key)
        return
    scale = max(1.0, np.abs(wanted).max(initial=0.0))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * scale, err_msg=key)


def test_recorded_from_the_pinned_version() -> None:
    assert all(version.startswith("2.15") for version in VERSIONS)

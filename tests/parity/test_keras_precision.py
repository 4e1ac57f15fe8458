"""Mixed-precision policies of `tf.keras` against what TensorFlow 2.15 computed."""

import numpy as np
import pytest
from parity import keras_precision_cases, recorded

import shardtape as tf

ARRAYS, NOTES = recorded.unpack(recorded.DATA / "keras_precision_tf215.npz")
TEXTS = NOTES["texts"]


@pytest.fixture(autouse=True)
def fresh() -> None:
    tf.keras.backend.clear_session()


def _tolerance(name: str) -> float:
    """Some roundings of the type that is computed in."""
    return {"mixed_bfloat16": 4e-2, "float64": 1e-6}.get(name.rpartition("_")[0], 6e-3)


@pytest.mark.parametrize("name", keras_precision_cases.CASES)
def test_equals_keras(name: str) -> None:
    results = keras_precision_cases.CASES[name](tf)
    keys = [k for k in [*ARRAYS, *TEXTS] if k.rsplit("/", 1)[0] == name]
    assert len(results) == len(keys), "record the cases again: tests/parity/record_keras_tf.py"
    for i, result in enumerate(results):
        key = f"{name}/{i}"
        if isinstance(result, str):
            assert result == TEXTS[key], key
            continue
        got, wanted = np.asarray(result), ARRAYS[key]
        assert got.shape == wanted.shape and got.dtype == wanted.dtype, key
        scale = max(1.0, np.abs(wanted).max(initial=0.0))
        np.testing.assert_allclose(got, wanted, 0, _tolerance(name) * scale, err_msg=key)


def test_recorded_from_the_pinned_version() -> None:
    assert NOTES["tensorflow"].startswith("2.15")

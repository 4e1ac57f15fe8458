"""Control flow on tensors in Keras classes against what TensorFlow 2.15 computed."""

import numpy as np
import pytest
from parity import keras_autograph_cases, recorded

import shardtape as tf

ARRAYS, NOTES = recorded.unpack(recorded.DATA / "keras_autograph_tf215.npz")
TEXTS = NOTES["texts"]


@pytest.fixture(autouse=True)
def fresh() -> None:
    tf.keras.backend.clear_session()


@pytest.mark.parametrize("name", keras_autograph_cases.CASES)
def test_equals_keras(name: str) -> None:
    results = keras_autograph_cases.CASES[name](tf)
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
        np.testing.assert_allclose(got, wanted, 0, 1e-5 * scale, err_msg=key)


def test_recorded_from_the_pinned_version() -> None:
    assert NOTES["tensorflow"].startswith("2.15")

"""Functions and operators between the layers of functional models, as Keras 2.15 shows them."""

import numpy as np
import pytest
from parity import keras_operation_cases, recorded

import shardtape as tf

ARRAYS, NOTES = recorded.unpack(recorded.DATA / "keras_operations_tf215.npz")
TEXTS = NOTES["texts"]


@pytest.mark.parametrize("name", keras_operation_cases.CASES)
def test_equals_keras(name: str) -> None:
    results = keras_operation_cases.CASES[name](tf)
    keys = [k for k in [*ARRAYS, *TEXTS] if k.rsplit("/", 1)[0] == name]
    assert len(results) == len(keys), "record the cases again: tests/parity/record_keras_tf.py"
    for i, result in enumerate(results):
        key = f"{name}/{i}"
        if isinstance(result, str):
            assert result == TEXTS[key]
        else:
            assert result.shape == ARRAYS[key].shape, key
            np.testing.assert_allclose(result, ARRAYS[key], rtol=1e-5, atol=1e-5, err_msg=key)


def test_recorded_from_the_pinned_version() -> None:
    assert NOTES["tensorflow"].startswith("2.15")

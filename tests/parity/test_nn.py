"""`tf.nn` against values, first and second derivatives that TensorFlow 2.15 computed."""

import numpy as np
import pytest
from parity import nn_cases, recorded

import shardtape as tf

ARRAYS, NOTES = recorded.unpack(recorded.DATA / "nn_tf215.npz")
# TensorFlow sums products in another order: relative to the largest value of an array
TOLERANCE = {"float16": 4e-3, "float32": 4e-6, "float64": 1e-12}


@pytest.mark.parametrize("name", nn_cases.CASES)
def test_equals_tensorflow(name: str) -> None:
    results = nn_cases.CASES[name](tf)
    count = sum(key.rsplit("/", 1)[0] == name for key in ARRAYS)
    assert len(results) == count, "record the cases again: tests/parity/record_nn_tf.py"
    for i, result in enumerate(results):
        got, wanted = np.asarray(result), ARRAYS[f"{name}/{i}"]
        assert got.shape == wanted.shape
        if got.dtype.kind != "f":
            np.testing.assert_array_equal(got, wanted)
            continue
        finite = np.abs(wanted[np.isfinite(wanted)])
        scale = max(1.0, finite.max(initial=0.0))
        np.testing.assert_allclose(
            got, wanted, rtol=0, atol=scale * TOLERANCE[got.dtype.name], err_msg=f"result {i}"
        )


def test_recorded_from_the_pinned_version() -> None:
    assert NOTES["tensorflow"].startswith("2.15")

"""Public functions give TensorFlow 2.15's values, shapes and dtypes."""

import numpy as np
import pytest
from parity.function_cases import CASES
from parity.recorded import DATA, unpack

import shardtape as tf

_TOLERANCE = {"float64": 1e-10, "complex128": 1e-10, "float16": 1e-3}


@pytest.fixture(scope="module")
def recorded():
    return unpack(DATA / "functions_tf215.npz")[0]


@pytest.mark.parametrize("name", CASES)
def test_function(name, recorded):
    with np.errstate(all="ignore"):
        got = CASES[name](tf)
    parts = list(got) if isinstance(got, (list, tuple)) else [got]
    expected = [recorded[key] for key in recorded if key.split(":")[0] == name]
    assert len(parts) == len(expected)
    for part, want in zip(parts, expected):
        value = np.asarray(part.numpy())
        assert part.shape.as_list() == list(want.shape)
        if value.dtype == np.float16:  # kept as float32
            value = value.astype(np.float32)
        assert value.dtype == want.dtype
        if value.dtype.kind in "fc":
            tolerance = _TOLERANCE.get(value.dtype.name, 2e-5)
            np.testing.assert_allclose(value, want, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(value, want)

"""Public functions give TensorFlow 2.15's values, shapes and dtypes."""

import numpy as np
import pytest
from parity import (
    composite_cases,
    function_cases,
    image_cases,
    numpy_cases,
    sampling_cases,
    signal_cases,
    sparse_cases,
)
from parity.function_cases import parts_of
from parity.recorded import DATA, unpack

import shardtape as tf

_TOLERANCE = {"float64": 1e-10, "complex128": 1e-10, "float16": 1e-3}
_GROUPS = {
    "functions_tf215": function_cases.CASES,
    "functions_composite_tf215": composite_cases.CASES,
    "functions_image_tf215": image_cases.CASES,
    "functions_numpy_tf215": numpy_cases.CASES,
    "functions_sampling_tf215": sampling_cases.CASES,
    "functions_signal_tf215": signal_cases.CASES,
    "functions_sparse_tf215": sparse_cases.CASES,
}


@pytest.fixture(scope="module")
def recorded():
    return {group: unpack(DATA / f"{group}.npz")[0] for group in _GROUPS}


@pytest.mark.parametrize(("group", "name"), [(g, n) for g, cases in _GROUPS.items() for n in cases])
def test_function(group, name, recorded):
    with np.errstate(all="ignore"):
        parts = parts_of(_GROUPS[group][name](tf))
    known = recorded[group]
    expected = [known[key] for key in known if key.rsplit(":", 1)[0] == name]
    assert expected, "record the results of this case again"
    assert len(parts) == len(expected)
    for part, want in zip(parts, expected):
        value = np.asarray(part.numpy() if hasattr(part, "numpy") else part)
        if value.dtype.kind in "SU":
            value = value.astype(object)
        assert list(value.shape) == list(want.shape)
        if value.dtype == np.float16:  # kept as float32
            value = value.astype(np.float32)
        assert value.dtype == want.dtype
        if value.dtype.kind in "fc":
            tolerance = _TOLERANCE.get(value.dtype.name, 2e-5)
            np.testing.assert_allclose(value, want, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(value, want)

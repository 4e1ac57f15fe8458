"""Optimizers and schedules against the numbers of Keras, recorded by `record_keras.py`.

Sources: TensorFlow 2.15.1 with Keras 2.15.0, and TensorFlow 2.21.0 with Keras 3.15.1.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from shardtape import optimizers
from shardtape.indexed_slices import IndexedSlices
from shardtape.optimizers import schedules
from shardtape.variable import Variable

HERE = Path(__file__).parent
RECORDED = {
    name: json.loads((HERE / f"{name}.json").read_text()) for name in ("keras_2_15", "keras_3")
}
RUNS = [
    pytest.param(source, case, run, id=f"{source}-{case}-{run}")
    for source, recorded in RECORDED.items()
    for case, entry in recorded["optimizers"].items()
    for run in ("dense_float32", "dense_float64", "sparse_float32")
    if run in entry
]
# float32 steps differ by the roundings of TensorFlow's kernels (fused multiply-add, rsqrt). With
# float64 variables Keras rounds momentum and betas to float32 first, which is not imitated.
TOLERANCE = {"float32": {"rtol": 2e-6, "atol": 1e-7}, "float64": {"rtol": 1e-5, "atol": 1e-9}}


def gradient_of(given, dtype):
    if isinstance(given, dict):
        return IndexedSlices(np.array(given["values"], dtype), np.array(given["rows"]))
    return np.array(given, dtype)


@pytest.mark.parametrize(("source", "case", "run"), RUNS)
def test_values_equal_keras(source, case, run):
    entry = RECORDED[source]["optimizers"][case]
    dtype = run.split("_")[1]
    cls = getattr(optimizers, entry["class"])
    optimizer = cls.from_config(entry["arguments"])
    variables = {
        name: Variable(np.array(value, dtype), name=name)
        for name, value in RECORDED[source]["initial"].items()
    }
    for step, expected in enumerate(entry[run]["values"]):
        gradients = entry[run]["gradients"][step]
        optimizer.apply_gradients(
            [(gradient_of(gradients[name], dtype), v) for name, v in variables.items()]
        )
        for name, variable in variables.items():
            np.testing.assert_allclose(
                variable.numpy(), np.array(expected[name], dtype), **TOLERANCE[dtype],
                err_msg=f"{name} after step {step + 1}",
            )  # fmt: skip
    assert int(optimizer.iterations) == len(entry[run]["values"])


@pytest.mark.parametrize(
    ("source", "name"),
    [(source, name) for source, recorded in RECORDED.items() for name in recorded["schedules"]],
)
def test_schedules_equal_keras(source, name):
    entry = RECORDED[source]["schedules"][name]
    schedule = getattr(schedules, entry["class"])(*entry["positional"], **entry["named"])
    got = [float(schedule(step)) for step in entry["at"]]
    np.testing.assert_allclose(got, entry["values"], rtol=2e-6, atol=1e-8)
    assert [schedule.value(step) for step in entry["at"]] == got
    again = schedules.deserialize(schedules.serialize(schedule))
    assert [float(again(step)) for step in entry["at"]] == got

"""The cases of the benchmark of kernels: what is measured is what the operators compute."""

import sys
from pathlib import Path

import numpy as np
import pytest

import shardtape as tf

PEERS = Path(__file__).resolve().parents[3] / "benchmarks" / "peers"


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PEERS))
    for name in ("kernels", "kernel_cases", "measure", "children"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize("name", ["max_pool_2x2", "where", "embedding", "sgd_step"])
def test_a_case_gives_what_its_function_gives(peers: None, name: str) -> None:
    from kernel_cases import CASES

    case = CASES[name](tf, np.random.default_rng(0))
    y = case.function(*[tf.constant(x) for x in case.inputs]).numpy()
    if name == "max_pool_2x2":
        expected = case.inputs[0].reshape(64, 16, 2, 16, 2, 32).max((2, 4))
    elif name == "where":
        expected = np.where(case.inputs[0] > 0, *case.inputs)
    elif name == "embedding":
        expected = case.variables[0].numpy()[case.inputs[0]]
    else:
        expected = case.inputs[1]
    np.testing.assert_array_equal(y, expected)


def test_a_case_is_measured_with_and_without_its_gradient(peers: None) -> None:
    import kernels

    found = kernels.measure(tf, "tanh")
    assert found["forward"] > 0 and found["gradient"] > 0
    assert kernels.measure(tf, "argmax")["gradient"] is None

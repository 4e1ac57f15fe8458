"""tf.data and tf.io give what TensorFlow 2.15 gives."""

import json

import pytest
from parity.datasets import evaluate

import shardtape as tf

_RECORDED = json.loads(evaluate.RECORDED.read_text())
# What differs on purpose, and why.
_OURS: dict[str, str] = {}


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return evaluate.names(tf, str(tmp_path_factory.mktemp("datasets")))


def test_every_case_is_recorded():
    assert set(evaluate.expressions()) == set(_RECORDED), "run tests/parity/datasets/record.py"


@pytest.mark.parametrize("expression", list(evaluate.expressions()))
def test_case(expression, known):
    assert evaluate.evaluate(expression, known) == _OURS.get(expression, _RECORDED[expression])

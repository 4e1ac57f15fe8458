"""Programs in the manner of the core guides print what they print in TensorFlow 2.15."""

import json
import os

import pytest
from parity.guides import evaluate

import shardtape as tf

_RECORDED = json.loads(evaluate.RECORDED.read_text())
_CELLS = [(name, i) for name, cells in evaluate.programs().items() for i in range(len(cells))]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What all cells print; a file's cells run in order, in one folder."""
    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("guides"))
    try:
        return {n: list(evaluate.run(n, cells, tf)) for n, cells in evaluate.programs().items()}
    finally:
        os.chdir(before)


def test_all_cells_are_recorded():
    counts = {name: len(cells) for name, cells in evaluate.programs().items()}
    assert counts == {n: len(c) for n, c in _RECORDED.items()}, "run tests/parity/guides/record.py"


@pytest.mark.parametrize(("name", "number"), _CELLS)
def test_cell(name, number, printed):
    got, want = printed[name][number], _RECORDED[name][number]
    if evaluate.differ(got, want):
        assert got == want


def test_the_comparison_sees_numbers_and_words():
    assert evaluate.differ("1.0 a", "1.001 a")
    assert evaluate.differ("1.0 a", "1.0 b")
    assert not evaluate.differ("[1.0  2]", "[1.000001 2]")

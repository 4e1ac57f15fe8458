"""The modes "all" and "safe" of type promotion, against what TensorFlow 2.15 printed."""

import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest
from parity.promotion_cases import FUNCTIONS, PROGRAMS
from parity.promotion_expressions import EXPRESSIONS

import shardtape as tf

_HERE = Path(__file__).parent
_REFUSED = "TypeError: In promotion mode PromoMode.SAFE, implicit dtype promotion between "


@functools.cache
def _recorded():
    return json.loads((_HERE / "data" / "promotion_tf215.json").read_text())


@functools.cache
def _ours(mode):
    done = subprocess.run(
        [sys.executable, "-m", "parity.promotion_cases", "shardtape", mode],
        capture_output=True, text=True, timeout=120, check=False, cwd=_HERE.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _same(wanted, got):
    """Equal texts; of errors the class, and of what "safe" refuses also the two types."""
    if wanted.startswith(_REFUSED):
        return got.startswith(wanted[: wanted.index("is disallowed")])
    kind, _, text = wanted.partition(": ")
    is_error = kind.endswith("Error") and text
    return got.startswith(f"{kind}: ") if is_error else got == wanted


def _differences(mode, part):
    wanted, got = _recorded()[mode][part], _ours(mode)[part]
    assert wanted.keys() == got.keys()
    for a, row in wanted.items():
        for b, text in row.items():
            # of its own table TensorFlow leaves out True and the types that it cannot convert to
            left_out = "python bool" in (a, b) and text == "TypeError"
            if not left_out and not _same(text, got[a][b]):
                yield a, b, text, got[a][b]


@pytest.mark.parametrize("mode", ["all", "safe"])
@pytest.mark.parametrize("part", ["sums", "types"])
def test_every_pair_of_types_meets_in_tensorflows(mode, part):
    """`tf.add` of all pairs of 15 types, 5 weak ones and Python's numbers; `tnp.result_type`."""
    assert len(_recorded()[mode][part]) == 24
    assert not list(_differences(mode, part))


@pytest.mark.parametrize("mode", ["all", "safe"])
def test_functions_operators_and_texts(mode):
    wanted, got = _recorded()[mode]["results"], _ours(mode)["results"]
    assert wanted.keys() == got.keys() and len(wanted) > 450
    assert not [(k, t, got[k]) for k, t in wanted.items() if not _same(t, got[k])]


def test_the_cases_are_those_that_were_recorded():
    names = [*EXPRESSIONS, *FUNCTIONS, *PROGRAMS]
    assert set(names) == set(_recorded()["all"]["results"]) == set(_recorded()["safe"]["results"])


def test_nothing_changes_before_a_mode_is_chosen():
    assert repr(tf.constant(5)) == "<tf.Tensor: shape=(), dtype=int32, numpy=5>"
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected to be a int32 tensor"):
        tf.add(tf.constant(1), tf.constant(1.0))
    assert type(tf.add).__module__ != "shardtape.experimental.numpy.promoting"
    assert tf.reduce_sum.__module__ != "shardtape.experimental.numpy.promoting"
    assert not hasattr(tf.reduce_sum, "__wrapped__") and not hasattr(tf.constant, "__wrapped__")

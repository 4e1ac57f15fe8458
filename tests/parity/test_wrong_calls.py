"""Wrong calls raise the class that TensorFlow 2.15 raises, and say what was wrong."""

import json
import warnings

import pytest
from parity.recorded import DATA
from parity.wrong_calls import CALLS, OTHERWISE, outcome

import shardtape as tf

RECORDED = json.loads((DATA / "wrong_calls_tf215.json").read_text())


def test_every_call_was_recorded():
    assert CALLS.keys() == RECORDED.keys()
    assert OTHERWISE.keys() <= CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
def test_class_of_the_error(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found, error = outcome(CALLS[name], tf)
    wanted, _ = OTHERWISE.get(name, (RECORDED[name], ""))
    if name in OTHERWISE:
        assert wanted != RECORDED[name], "TensorFlow does the same: no exception is needed"
    if error is None:
        assert wanted == "none", f"took what TensorFlow refuses with {wanted}"
        return
    classes = [c.__name__ for c in type(error).__mro__]
    assert wanted in classes, f"{found} instead of {wanted}: {error}"
    assert len(str(error)) >= 10, f"the text does not name the culprit: {error!r}"

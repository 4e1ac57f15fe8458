"""The ledger against a plain set of batches."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardtape.errors import FailedPreconditionError, InvalidArgumentError
from shardtape.ps.ids import BatchId
from shardtape.ps.ledger import Ledger, LedgerGroup, Marks, joined, merge_equal

batches = st.builds(BatchId, st.integers(0, 2), st.integers(0, 2), st.integers(0, 9))
actions = st.lists(st.one_of(batches, st.integers(0, 2)), max_size=80)


@given(actions)
def test_ledger_is_a_set_that_forgets_closed_epochs(steps):
    ledger, taken, closed = Ledger(), set(), set()
    for step in steps:
        if isinstance(step, BatchId):
            fresh = step not in taken and step.epoch not in closed
            assert (step in ledger) == (not fresh)
            assert ledger.add(step) == fresh
            if fresh:
                taken.add(step)
        else:
            ledger.close_epoch(step)
            closed.add(step)
    assert ledger.count == len(taken)
    everything = [BatchId(e, s, i) for e in range(4) for s in range(3) for i in range(12)]
    for batch in everything:
        assert (batch in ledger) == (batch in taken or batch.epoch in closed)
    expected = {(e, s): 12 for e in range(4) for s in range(3)}
    assert ledger.missing(expected) == [b for b in everything if b not in ledger]
    again = Ledger.from_json(json.loads(json.dumps(ledger.to_json())))
    assert again == ledger and again.missing(expected) == ledger.missing(expected)


@given(st.permutations(range(12)))
def test_any_order_ends_in_one_number(order):
    marks = Marks()
    for index in order:
        assert index not in marks
        marks.add(index)
    assert (marks.high, marks.extra, len(marks)) == (12, set(), 12)
    for index in order:
        marks.add(index)
    assert marks == Marks(12)


def test_closing_cuts_the_ledger_down():
    ledger = Ledger()
    for epoch in range(50):
        for index in range(0, 40, 2):
            ledger.add(BatchId(epoch, 0, index))
        ledger.close_epoch(epoch)
    assert len(json.dumps(ledger.to_json())) < 80
    assert ledger.closed(49) and not ledger.closed(50)
    assert ledger.count == 50 * 20


def test_missing_asks_only_for_what_is_expected():
    ledger = Ledger()
    for index in (0, 1, 3):
        ledger.add(BatchId(0, 5, index))
    assert ledger.missing({(0, 5): 4}) == [BatchId(0, 5, 2)]
    assert ledger.missing({(0, 5): 2}) == []
    assert ledger.missing({(1, 0): 2, (0, 6): 1}) == [
        BatchId(0, 6, 0), BatchId(1, 0, 0), BatchId(1, 0, 1),
    ]  # fmt: skip
    assert ledger.missing({}) == []


def test_bad_json_and_epochs_are_refused():
    for value in ({}, {"count": 0, "closed": [], "epochs": {}}, {"count": 0, "closed": [0, 0]}):
        with pytest.raises(FailedPreconditionError, match="not a ledger"):
            Ledger.from_json(value)
    with pytest.raises(FailedPreconditionError, match="group"):
        LedgerGroup.from_json({"ledger": Ledger().to_json(), "step": 0, "segments": [["a", 0]]})
    with pytest.raises(InvalidArgumentError, match="-1"):
        Ledger().close_epoch(-1)


def test_groups_merge_when_they_have_become_equal():
    a, b, c = Ledger(), Ledger(), Ledger()
    a.add(BatchId(0, 0, 0))
    b.add(BatchId(0, 0, 0))
    groups = merge_equal(
        [
            LedgerGroup(a, 1, [("w", 0, 3)]),
            LedgerGroup(c, 1, [("w", 3, 5)]),
            LedgerGroup(b, 1, [("w", 5, 9), ("v", 0, 2)]),
            LedgerGroup(b, 2, [("u", 0, 1)]),
        ]
    )
    assert [g.segments for g in groups] == [
        [("v", 0, 2), ("w", 0, 3), ("w", 5, 9)], [("w", 3, 5)], [("u", 0, 1)],
    ]  # fmt: skip
    assert joined([("w", 3, 5), ("w", 0, 3), ("v", 5, 6)]) == [("v", 5, 6), ("w", 0, 5)]

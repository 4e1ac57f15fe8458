"""Gives the rows of saved shards to another number of shards, with their slots and ledgers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shardtape.errors import DataLossError, InvalidArgumentError
from shardtape.ps.ids import Incarnation, Range, SpecTable, dtype_of
from shardtape.ps.ledger import LedgerGroup, merge_equal
from shardtape.ps.partition import Placement
from shardtape.ps.snapshot import Arrays, ShardState


def reshard(states: Sequence[ShardState], placement: Placement) -> list[ShardState]:
    """States for the shards of `placement` with the same values as `states`.

    Each row keeps its ledger and its count of updates, so that batches which only some of the old
    shards had taken are applied to the other rows only. Entry numbers and versions go on from the
    largest of the old ones.

    Args:
      states: one per old shard, in any order.
      placement: covers the same variables; any number of shards (1: a single process).

    Raises:
      DataLossError: a row is in no state.
      InvalidArgumentError: the states are not of one job and one cut, or the placement is of other
        variables.
    """
    return [reshard_one(states, placement, index) for index in range(placement.shards)]


def reshard_one(states: Sequence[ShardState], placement: Placement, index: int) -> ShardState:
    """The state of one shard of `reshard`: no more is copied than it holds."""
    _check_together(states)
    first = states[0]
    placement.check(first.specs)
    specs = SpecTable(first.specs)
    ranges = placement.of_shard(index)
    pieces: dict[str, list[tuple[Range, ShardState]]] = {}
    for state in states:
        for r in state.placement.of_shard(state.index):
            pieces.setdefault(r.key, []).append((r, state))
    result = ShardState(
        index=index,
        placement=placement,
        specs=first.specs,
        generation=max(state.generation for state in states),
        incarnation=Incarnation(0, 0),
        lsn=max(state.lsn for state in states),
        version=max(state.version for state in states),
        round=first.round,
        optimizer=first.optimizer,
        learning_rate=first.learning_rate,
        groups=_groups(states, ranges),
        counts={},
    )
    for r in ranges:
        spec = specs[r.key]
        dtype = dtype_of(spec.dtype)
        sources = sorted(pieces.get(r.key, []), key=lambda piece: piece[0].start)
        result.parameters[r.id] = _collect(
            r, r.shape(spec), dtype, [(s, state.parameters) for s, state in sources], "parameters"
        )
        if spec.role != "trained":
            continue
        for slot in first.slots:
            arrays = [(s, state.slots[slot]) for s, state in sources]
            dtype_slot = arrays[0][1][arrays[0][0].id].dtype if arrays else dtype
            result.slots.setdefault(slot, {})[r.id] = _collect(
                r, r.shape(spec), dtype_slot, arrays, f"slot {slot!r}"
            )
    for slot in first.slots:
        result.slots.setdefault(slot, {})
    return result


def _collect(
    r: Range,
    shape: tuple[int, ...],
    dtype: np.dtype,
    sources: list[tuple[Range, Arrays]],
    what: str,
) -> np.ndarray:
    """The rows of a range from the ranges that held them."""
    array = np.empty(shape, dtype)
    at = r.start
    for source, arrays in sources:
        start, stop = max(at, source.start), min(r.stop, source.stop)
        if stop <= start or source.id not in arrays:
            continue
        if start > at:
            break
        if shape:
            array[start - r.start : stop - r.start] = arrays[source.id][
                start - source.start : stop - source.start
            ]
        else:
            array[...] = arrays[source.id]
        at = stop
    if at != r.stop:
        raise DataLossError(f"{what} of variable {r.key!r}: row {at} is in none of the states")
    return array


def _groups(states: Sequence[ShardState], ranges: Sequence[Range]) -> list[LedgerGroup]:
    """The ledger groups of rows that now live together, cut to those rows."""
    groups = []
    for state in states:
        for group in state.groups:
            segments = [
                (key, max(start, r.start), min(stop, r.stop))
                for key, start, stop in group.segments
                for r in ranges
                if r.key == key and max(start, r.start) < min(stop, r.stop)
            ]
            if segments:
                copy = LedgerGroup.from_json(group.to_json())
                copy.segments = segments
                groups.append(copy)
    if not groups:  # a shard without rows still counts batches
        fullest = min(
            (group for state in states for group in state.groups), key=lambda g: g.ledger.count
        )
        empty = LedgerGroup.from_json(fullest.to_json())
        empty.segments = []
        groups.append(empty)
    return merge_equal(groups)


def _check_together(states: Sequence[ShardState]) -> None:
    if not states:
        raise InvalidArgumentError("there is no shard state to restore from")
    first = states[0]
    for state in states[1:]:
        if state.placement != first.placement or state.specs != first.specs:
            raise InvalidArgumentError(
                f"the states of shards {first.index} and {state.index} are not of one job: their "
                "placements differ"
            )
        if state.round != first.round:
            raise InvalidArgumentError(
                f"the states of shards {first.index} and {state.index} are not of one cut: rounds "
                f"{first.round} and {state.round}"
            )
        if sorted(state.slots) != sorted(first.slots):
            raise InvalidArgumentError(
                f"the states of shards {first.index} and {state.index} have different slots: "
                f"{sorted(first.slots)} and {sorted(state.slots)}"
            )
    indices = [state.index for state in states]
    if len(set(indices)) != len(indices):
        raise InvalidArgumentError(f"two states are of one shard: {sorted(indices)}")

"""A shard's state in a checkpoint: one file when it is written, any number when it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape import checkpoint
from shardtape.checkpoint import Piece, StoredCheckpoint
from shardtape.errors import DataLossError, FailedPreconditionError
from shardtape.ps.ids import Range, VariableSpec, dtype_of
from shardtape.ps.partition import Placement
from shardtape.ps.reshard import reshard_one
from shardtape.ps.snapshot import ShardState

# Metadata of a shard's file: the state without its arrays.
_STATE = "shard_state"


def write(state: ShardState, directory: str, step: int = 0) -> dict[str, Any]:
    """Writes the state of one shard; the fragment for `checkpoint.write_manifest`.

    The file's name carries generation and incarnation, so that a process that came back from the
    dead cannot overwrite another one's.
    """
    term, number = state.incarnation
    name = f"shard-{state.index}.generation-{state.generation}.incarnation-{term}-{number}"
    metadata = {_STATE: state.header(), "step": step}
    return checkpoint.write_part(directory, name, _pieces(state), metadata)


def _pieces(state: ShardState) -> Iterator[Piece]:
    shapes = {spec.key: spec.shape for spec in state.specs}
    for r in state.placement.of_shard(state.index):
        shape = shapes[r.key]
        yield Piece(state.parameters[r.id], r.key, None, r.start, shape)
        for slot, arrays in sorted(state.slots.items()):
            if r.id in arrays:
                yield Piece(arrays[r.id], r.key, slot, r.start, shape)


def read(directory: str, placement: Placement, index: int) -> ShardState:
    """The state of shard `index` of `placement`, whatever placement the checkpoint was made by.

    Only the files that hold rows of this shard are read.

    Raises:
      DataLossError: the checkpoint is torn or corrupt, or not of a parameter server.
      NotFoundError: there is none.
      InvalidArgumentError: it is of other variables.
    """
    with checkpoint.read(directory) as stored:
        states = [_state(stored, fragment, placement, index) for fragment in stored.fragments]
        if not states:
            raise DataLossError(f"{directory} holds no shard")
        return reshard_one(states, placement, index)


def _state(
    stored: StoredCheckpoint, fragment: dict[str, Any], placement: Placement, index: int
) -> ShardState:
    """The state in one file, with those arrays that shard `index` needs."""
    header = fragment["metadata"].get(_STATE)
    if header is None:
        raise DataLossError(
            f"{stored.path}: {fragment['file']} was not written by a shard, and has no ledger"
        )
    try:
        state = ShardState.from_header(header, {}, {name: {} for name in header["slots"]})
    except (FailedPreconditionError, KeyError, TypeError) as error:
        raise DataLossError(f"{stored.path}: {fragment['file']}: {error}") from error
    specs = {spec.key: spec for spec in state.specs}
    wanted: dict[str, list[Range]] = {}
    for r in placement.of_shard(index):
        wanted.setdefault(r.key, []).append(r)
    stored_slots = stored.slots
    for r in state.placement.of_shard(state.index):
        needed = any(w.start < r.stop and r.start < w.stop for w in wanted.get(r.key, ()))
        state.parameters[r.id] = _array(stored, r, specs[r.key], None, needed)
        for slot in state.slots:
            if r.key in stored_slots.get(slot, {}):
                state.slots[slot][r.id] = _array(stored, r, specs[r.key], slot, needed)
    return state


def _array(
    stored: StoredCheckpoint, r: Range, spec: VariableSpec, slot: str | None, needed: bool
) -> np.ndarray:
    if needed:
        rows = (r.start, r.stop) if spec.shape else None
        return stored.tensor(r.key, slot, rows)
    # rows of other shards: nobody looks at the values, only at shape and dtype
    return np.broadcast_to(np.zeros((), _dtype(stored, spec, slot)), r.shape(spec))


def _dtype(stored: StoredCheckpoint, spec: VariableSpec, slot: str | None) -> np.dtype:
    return dtype_of(spec.dtype if slot is None else stored.slots[slot][spec.key].dtype)

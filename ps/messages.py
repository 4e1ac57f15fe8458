"""The messages between a worker's client and a shard, as plain types (the wire maps them).

The life of a batch on a shard: any number of pushes with `commit=None` stage parts of it under
(batch, attempt); the last push of the attempt carries `commit` and so closes it, also on a shard
that got no part of it. In async and ssp a closed batch is applied at once. In sync it stays
staged, complete, until a `RoundDecision` names it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from shardtape.ps.ids import AttemptId, BatchId, Incarnation, RangeId

# Kinds of a part. Gradients go through the optimizer; the other two write the variable itself.
DENSE = "dense"
ROWS = "rows"
ADD = "add"
ASSIGN = "assign"
KINDS = (DENSE, ROWS, ADD, ASSIGN)

# Answers to a push.
STAGED = "staged"  # kept until its commit, or (sync, closed) until its round
APPLIED = "applied"  # in the ledger now; its parameters are changed
DUPLICATE = "duplicate"  # the ledger had it before; nothing changed
DROPPED = "dropped"  # sync: it came after its round was decided without it; run it again


@dataclass(slots=True)
class Part:
    """What a batch has to say to one range.

    Fields:
      key, part: the range.
      kind: "dense": gradient of the whole range, in its shape. "rows": gradient of some rows.
        "add", "assign": not gradients, in the range's shape; in sync averaged over the round.
      values: dtype of the variable. "rows": (len(rows), ...).
      rows: int64, "rows" only: row ids LOCAL to the range (0 is the range's first row), unique.
      private: nobody else will write `values` and `rows`; then staging keeps them without a copy.
    """

    key: str
    part: int
    kind: str
    values: np.ndarray
    rows: np.ndarray | None = None
    private: bool = False


@dataclass(slots=True)
class Scalars:
    """What is global to a step, which no shard could know by itself.

    Fields:
      scale: factor of all gradients: clip factor times 1 / loss scale. Not of add and assign.
      skip: the step is void (loss scale overflow, poisoned batch): the ledger is marked, nothing
        is applied, the optimizer's step count stays.
      learning_rate: absolute, for this batch; None: the shard's own (schedule, or what
        `set_learning_rate` set). In sync the decision has it, not the contribution.
    """

    scale: float = 1.0
    skip: bool = False
    learning_rate: float | None = None


@dataclass(slots=True)
class Push:
    """Parts of one attempt at a batch, for one shard.

    Fields:
      based_on: the version that the worker had pulled from this shard and computed with.
      commit: None: only stage, more follows. Scalars: this closes the attempt.
    """

    batch: BatchId
    attempt: int
    worker: int
    generation: int
    incarnation: Incarnation
    based_on: int
    parts: list[Part] = field(default_factory=list)
    commit: Scalars | None = None


@dataclass(slots=True)
class PushResult:
    """Answer to a push.

    Fields:
      status: "staged", "applied", "duplicate" or "dropped".
      lsn: of the log entry that the push made, or of the newest one if it made none.
      version: of the parameters after it.
      staleness: applied only: updates between the pull of `based_on` and this one, >= 0.
    """

    batch: BatchId
    attempt: int
    status: str
    lsn: int
    version: int
    staleness: int = 0


@dataclass(slots=True)
class Pull:
    """Asks for the values of ranges.

    Fields:
      clock: ssp: batches that this worker process will have pushed when it uses the values (a
        prefetch counts ahead; the first pull of a process has 0). sync: the round that it will
        compute for. async: ignored.
      keys: (key, part) of the ranges; None: all of the shard.
    """

    worker: int
    clock: int
    generation: int
    incarnation: Incarnation
    keys: tuple[RangeId, ...] | None = None


@dataclass(slots=True)
class PullResult:
    """Values of ranges.

    Fields:
      version: number of updates (sync: of rounds) that the parameters contain.
      arrays: by (key, part). From `Shard.pull` they are read-only views of the live storage.
    """

    version: int
    lsn: int
    arrays: dict[RangeId, np.ndarray]


@dataclass(slots=True)
class RoundDecision:
    """Applies one sync round: the same on every shard.

    Fields:
      round: number of rounds applied before it.
      contributions: the attempts that count, averaged in this order. Others that are staged for
        this round are dropped without a ledger mark.
      learning_rate: absolute, for this round; None: the shard's own.
      mark: not empty: the shard begins a snapshot under this name right after the round, so that
        all shards cut at one round (`Shard.take_marked`).
    """

    round: int
    contributions: tuple[AttemptId, ...]
    generation: int
    incarnation: Incarnation
    learning_rate: float | None = None
    mark: str = ""


@dataclass(slots=True)
class RoundResult:
    """Answer to a decision.

    Fields:
      status: "applied" or "duplicate" (this round was applied before).
      lsn, version: after it.
      dropped: attempts that were staged for this round and did not count.
    """

    round: int
    status: str
    lsn: int
    version: int
    dropped: tuple[AttemptId, ...] = ()


# First values of a shard's ranges.
InitialValues = Mapping[RangeId, np.ndarray]

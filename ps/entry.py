"""Log entries: every change of a shard's state, in the order of their numbers.

A shard's state is a function of its entries, so a replica that applies the same entries in order
is bit-identical. What is not deterministic (a schedule's cosine on another processor) is decided
before the entry is made and written into it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from shardtape.ps.ids import BatchId
from shardtape.ps.messages import InitialValues, Part, RoundDecision, Scalars

INITIALIZE = "initialize"  # first values of all ranges
STAGE = "stage"  # parts of an attempt; with `scalars`, and in sync only, its closing too
COMMIT = "commit"  # async and ssp: closes an attempt and applies it; a duplicate changes nothing
ROUND = "round"  # sync: applies staged attempts
CLOSE_EPOCH = "close_epoch"
MEMBERS = "members"  # which workers are alive, and which of them idle
RATE = "rate"  # the learning rate that replaces the optimizer's own


@dataclass(slots=True)
class Entry:
    """One log entry. Fields that its kind does not need keep their defaults.

    Fields:
      lsn: log sequence number; the first entry has 1, and none is left out.
      digest: INITIALIZE: of the values.
      learning_rates: COMMIT, ROUND: one per ledger group of the shard, in their order.
    """

    lsn: int
    kind: str
    batch: BatchId | None = None
    attempt: int = 0
    worker: int = -1
    based_on: int = 0
    parts: list[Part] = field(default_factory=list)
    scalars: Scalars | None = None
    learning_rates: tuple[float, ...] = ()
    decision: RoundDecision | None = None
    epoch: int = -1
    live: frozenset[int] = frozenset()
    idle: frozenset[int] = frozenset()
    rate: float | None = None
    values: InitialValues | None = None
    digest: str = ""

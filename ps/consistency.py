"""How far apart the workers of a job may run: async, ssp, sync.

`Consistency` is the choice, fixed for a job. `Clocks` is what ssp counts by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shardtape.errors import InvalidArgumentError

MODES = ("async", "ssp", "sync")
AGGREGATIONS = ("mean", "sum")


@dataclass(frozen=True, slots=True)
class Consistency:
    """The consistency mode of a job.

    Fields:
      mode: "async": a push is applied as it comes, nobody waits. "ssp": the same, but a worker
        whose clock is more than `staleness` ahead of the slowest active one waits at its next
        pull. "sync": pushes are staged until a `RoundDecision` applies their average.
      staleness: ssp only, in batches of a worker, >= 0.
      backup_workers: sync only, >= 0: contributions that a round's decision may leave out.
      aggregation: sync only: "mean" (TensorFlow's SyncReplicas) or "sum" of a round.

    Raises InvalidArgumentError that names the field.
    """

    mode: str = "async"
    staleness: int = 0
    backup_workers: int = 0
    aggregation: str = "mean"

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidArgumentError(
                f"unknown mode {self.mode!r}: expected one of {', '.join(MODES)}"
            )
        if self.aggregation not in AGGREGATIONS:
            raise InvalidArgumentError(
                f"unknown aggregation {self.aggregation!r}: expected one of "
                f"{', '.join(AGGREGATIONS)}"
            )
        if self.staleness < 0:
            raise InvalidArgumentError(f"staleness must be >= 0, got {self.staleness}")
        if self.backup_workers < 0:
            raise InvalidArgumentError(f"backup_workers must be >= 0, got {self.backup_workers}")
        if self.staleness and self.mode != "ssp":
            raise InvalidArgumentError(
                f"staleness {self.staleness} is a setting of mode ssp, but the mode is {self.mode}"
            )
        if self.backup_workers and self.mode != "sync":
            raise InvalidArgumentError(
                f"backup_workers {self.backup_workers} is a setting of mode sync, but the mode is "
                f"{self.mode}"
            )

    def to_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Consistency:
        return cls(**values)

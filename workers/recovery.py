"""Policies for deaths: they look at facts and return decisions, the coordinator carries them out.

A worker's death costs nothing: its batches go back to the dispatcher, Ray restarts the process.
A shard's death (without replicas) takes its values with it: the job goes back to the newest
whole checkpoint under a new generation, or fails with a text that says what would have helped.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# Deaths of one worker in a row between which no batch was finished: then it dies of the job
# itself (out of memory, a crash in native code), and one more start would not help.
FRUITLESS_DEATHS = 4
# Roll-backs in a row that came no further than the same checkpoint.
FRUITLESS_ROLLBACKS = 3


@dataclass(frozen=True)
class Restart:
    """Wait for the process that Ray starts in its place."""


@dataclass(frozen=True)
class RollBack:
    """Load all shards from `checkpoint` (None: give them their first values again) under
    `generation`; `redone` updates come again."""

    checkpoint: str | None
    generation: int
    redone: int


@dataclass(frozen=True)
class GiveUp:
    """The job fails; `reason` says why and what to do."""

    reason: str


@dataclass
class WorkerDeaths:
    """Decides what follows the death of a worker.

    Fields:
      limit: deaths of all workers that the job may survive.
      restarts: deaths so far, which the summary reports.
    """

    limit: int
    restarts: int = 0
    _fruitless: dict[int, int] = field(default_factory=dict)

    def progressed(self, worker: int) -> None:
        """The worker finished a batch."""
        self._fruitless.pop(worker, None)

    def died(self, worker: int, reason: str) -> Restart | GiveUp:
        self.restarts += 1
        self._fruitless[worker] = self._fruitless.get(worker, 0) + 1
        if self._fruitless[worker] >= FRUITLESS_DEATHS:
            return GiveUp(
                f"worker-{worker} died {FRUITLESS_DEATHS} times in a row without finishing a "
                f"batch (last: {reason}): is there enough memory, does native code crash? Its "
                "last words are in Ray's logs (/tmp/ray/session_latest/logs/worker-*.err there)"
            )
        if self.restarts > self.limit:
            return GiveUp(
                f"worker processes died {self.restarts} times, more than max_worker_restarts="
                f"{self.limit} (last: worker-{worker}, {reason})"
            )
        return Restart()


@dataclass
class ShardDeaths:
    """Decides what follows the death of a shard that has no replica.

    Fields:
      rollbacks: so far.
    """

    rollbacks: int = 0
    _last_checkpoint: str | None = ""
    _same: int = 0
    _empty: int = 0

    def died_empty(self, shard: int, reason: str) -> Restart | GiveUp:
        """A shard died before it had values: nothing is lost, another one takes its place."""
        self._empty += 1
        if self._empty > FRUITLESS_ROLLBACKS:
            return GiveUp(
                f"shards died {self._empty} times before training began (last: shard-{shard}, "
                f"{reason}): is there enough memory? Their last words are in Ray's logs "
                "(/tmp/ray/session_latest/logs/worker-*.err on their host)"
            )
        return Restart()

    def died(
        self,
        shard: int,
        reason: str,
        *,
        checkpoint: str | None,
        periodic: bool = False,
        generation: int,
        steps: int,
        checkpoint_steps: int,
    ) -> RollBack | GiveUp:
        """
        Args:
          checkpoint: the newest whole one, or None.
          periodic: checkpoints are written while the job trains; where there is none yet, little
            is lost.
          generation: of the job now.
          steps, checkpoint_steps: updates that the job had made, and that the checkpoint has.
        """
        if checkpoint is None and not periodic:
            return GiveUp(
                f"shard-{shard} died ({reason}) and there is no checkpoint to roll back to: its "
                "part of the variables is lost. Give checkpoint_dir, and a checkpoint_every that "
                "suits how much work you would do again"
            )
        self._same = self._same + 1 if checkpoint == self._last_checkpoint else 1
        self._last_checkpoint = checkpoint
        place = checkpoint or "its beginning"
        if self._same > FRUITLESS_ROLLBACKS:
            return GiveUp(
                f"shard-{shard} died ({reason}); the job was rolled back to {place} "
                f"{FRUITLESS_ROLLBACKS} times already and never came to the next checkpoint: is "
                "there enough memory?"
            )
        self.rollbacks += 1
        return RollBack(checkpoint, generation + 1, max(0, steps - checkpoint_steps))


@dataclass
class Liveness:
    """Who was heard from when; a frozen process is one that is silent for too long."""

    timeout_s: float
    _heard: dict[str, float] = field(default_factory=dict)

    def heard(self, name: str, now_s: float) -> None:
        self._heard[name] = now_s

    def forget(self, name: str) -> None:
        self._heard.pop(name, None)

    def silent(self, now_s: float) -> list[tuple[str, float]]:
        """Names and seconds of silence of those that are over the limit."""
        silence = ((name, now_s - heard) for name, heard in sorted(self._heard.items()))
        return [(name, seconds) for name, seconds in silence if seconds > self.timeout_s]

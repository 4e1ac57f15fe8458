"""Going on from a checkpoint: which one, and whether it fits the job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shardtape import checkpoint
from shardtape.errors import DataLossError, FailedPreconditionError
from shardtape.ps.ids import VariableSpec
from shardtape.workers.config import JobConfig
from shardtape.workers.reporting import Reporter
from shardtape.workers.saving import Saver
from shardtape.workers.shard_group import ShardGroup
from shardtape.workers.training import Training

# Options that change what the updates are, not how fast or where they are made.
_TELLING = (
    "mode", "staleness", "round_batches", "round_reduction", "backup_workers", "batch_size",
    "seed", "shuffle", "splits",
)  # fmt: skip


class Checkpoints:
    """The checkpoints that a job may go on from; used by the coordinator's thread."""

    def __init__(
        self,
        config: JobConfig,
        shards: ShardGroup,
        saver: Saver,
        training: Training,
        reporter: Reporter,
    ) -> None:
        self._config = config
        self._shards = shards
        self._saver = saver
        self._training = training
        self._reporter = reporter

    def resume(self, specs: Sequence[VariableSpec]) -> bool:
        """Loads the newest checkpoint if the user wants to go on from it. Returns whether the
        shards have values now.

        Raises:
          DataLossError: there are some, and all of them are damaged.
          FailedPreconditionError: they are of another model or another update rule.
        """
        folder = self._config.checkpoint_dir
        if not self._config.resume:
            others = self._saver.of_other_runs()
            if others:
                self._reporter.note(
                    f"in {folder} are checkpoints of other runs ({len(others)}): they stay, this "
                    "run begins anew (--resume goes on from the newest)",
                    warning=True,
                )
            return False
        found = self.restore(specs)
        if found is None:
            self._saver.refuse_broken()
            self._reporter.note(f"no checkpoint in {folder} yet: starting anew")
            return False
        for path, fault in self._saver.broken():
            if path > found:
                self._reporter.note(f"not used: {fault}", warning=True)
        self._saver.goes_on_from(found)
        steps = self._training.dispatcher.steps
        self._reporter.note(f"resumed from {found} at step {steps:,}")
        changed = changes(self._saver.written_with(found), self._saver.facts)
        if changed:
            text = f"otherwise than before the checkpoint: {', '.join(changed)}"
            self._reporter.note(text, warning=True)
        return True

    def restore(self, specs: Sequence[VariableSpec], own: bool = False) -> str | None:
        """Loads the newest checkpoint that is intact into all shards; None: there is none.

        Args:
          own: only one of this run, as a roll-back does.

        Raises as `resume`, and ShardLostError.
        """
        damaged: DataLossError | None = None
        for path in self._saver.candidates(own=own):
            try:
                position = self._saver.position_of(path)
                check_variables(path, specs)
                check_update_rule(path, self._saver.written_with(path), self._saver.facts)
                self._shards.restore(path)
            except DataLossError as error:
                damaged = error
                self._reporter.note(f"not used: {error}", warning=True)
                continue
            self._saver.restored(path, position.steps)
            self._training.go_to(position)
            return path
        if damaged is not None:
            raise damaged
        return None


def check_variables(path: str, specs: Sequence[VariableSpec]) -> None:
    """Compares a checkpoint's variables with the model's.

    Raises:
      FailedPreconditionError: names the first variable that is missing or has another shape.
    """
    with checkpoint.read(path, verify=False) as stored:
        have = stored.variables
        for spec in specs:
            info = have.get(spec.key)
            if info is None or tuple(info.shape) != spec.shape or info.dtype != spec.dtype:
                found = f"{info.dtype}{list(info.shape)}" if info is not None else "nothing"
                raise FailedPreconditionError(
                    f"{path} does not fit the model: for {spec.key} it has {found}, the model "
                    f"{spec.dtype}{list(spec.shape)}. Train into another checkpoint_dir, or go "
                    "back to the model that wrote it"
                )
        extra = sorted(set(have) - {spec.key for spec in specs})
        if extra:
            raise FailedPreconditionError(
                f"{path} does not fit the model: it has {extra[0]}, which the model does not make"
            )


def check_update_rule(path: str, written: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Compares the update rule's class: slots of one are nothing to another.

    Args:
      written, now: `Saver.facts` of the checkpoint and of this job.

    Raises:
      FailedPreconditionError: they differ.
    """
    old, new = (facts.get("optimizer", {}).get("class_name") for facts in (written, now))
    if old and new and old != new:
        raise FailedPreconditionError(
            f"{path} was written by a job that trains with {old}, this one has {new}, which needs "
            f"other slots: go on with {old}, or train into another checkpoint_dir"
        )


def changes(written: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What a job does otherwise than the one that wrote the checkpoint, as "seed 3 -> 9"."""
    found = _differences(written.get("options", {}), now.get("options", {}), _TELLING)
    old, new = (facts.get("optimizer", {}).get("config", {}) for facts in (written, now))
    return [*found, *_differences(old, new, sorted(new))]


def _differences(
    old: Mapping[str, Any], new: Mapping[str, Any], names: Sequence[str]
) -> Iterator[str]:
    for name in names:
        if name in old and name in new and old[name] != new[name]:
            yield f"{name} {old[name]} -> {new[name]}"

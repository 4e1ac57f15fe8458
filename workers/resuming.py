"""Whether a job may go on from a checkpoint: the same variables, the same update rule."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from shardtape import checkpoint
from shardtape.errors import FailedPreconditionError

# Options that change what the updates are, not how fast or where they are made.
_TELLING = (
    "mode", "staleness", "round_batches", "round_reduction", "backup_workers", "batch_size",
    "seed", "shuffle", "splits",
)  # fmt: skip


def check_variables(path: str, specs: Sequence[Any]) -> None:
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

"""`tf.compat.v1.train`: what programs of TensorFlow 2 still call of it, all about checkpoints.

`Saver`, sessions and their hooks are not part of this framework; `tf.train.Checkpoint` saves.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from typing import Any

from shardtape import storage
from shardtape.checkpoint.directory import latest_checkpoint, remove_checkpoint
from shardtape.checkpoint.following import CheckpointOptions, checkpoints_iterator
from shardtape.checkpoint.manager import CheckpointManager
from shardtape.checkpoint.manifest import manifest_file, read_manifest
from shardtape.checkpoint.names import (
    get_checkpoint_state,
    list_variables,
    load_checkpoint,
    load_variable,
)
from shardtape.checkpoint.object_checkpoint import Checkpoint
from shardtape.checkpoint.part import INDEX
from shardtape.checkpoint.state_file import update_checkpoint_state
from shardtape.errors import OpError
from shardtape.train import (
    BytesList,
    ClusterSpec,
    Example,
    ExponentialMovingAverage,
    Feature,
    FeatureList,
    FeatureLists,
    Features,
    FloatList,
    Int64List,
    SequenceExample,
)

__all__ = [
    "BytesList",
    "Checkpoint",
    "CheckpointManager",
    "CheckpointOptions",
    "ClusterSpec",
    "Example",
    "ExponentialMovingAverage",
    "Feature",
    "FeatureList",
    "FeatureLists",
    "Features",
    "FloatList",
    "Int64List",
    "NewCheckpointReader",
    "SequenceExample",
    "checkpoint_exists",
    "checkpoints_iterator",
    "get_checkpoint_mtimes",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
    "remove_checkpoint",
    "update_checkpoint_state",
]

NewCheckpointReader = load_checkpoint


def checkpoint_exists(checkpoint_prefix: storage.Path) -> bool:
    """Whether there is a checkpoint, or a file or folder, of a name, which may have * and ?."""
    prefix = storage.text(checkpoint_prefix).rstrip("/")
    if manifest_file(prefix) is not None:
        return True
    folder, name = storage.split(prefix)
    return any(
        fnmatch.fnmatchcase(entry, pattern)
        for entry in storage.names(folder)
        for pattern in (name, name + INDEX)
    )


def get_checkpoint_mtimes(checkpoint_prefixes: Sequence[storage.Path]) -> list[float]:
    """When checkpoints were finished, in seconds since 1970; missing ones are left out."""
    times = []
    for prefix in checkpoint_prefixes:
        try:
            times.append(read_manifest(prefix).time)
        except OpError:  # there is none, or it is damaged
            continue
    return times


def __getattr__(name: str) -> Any:
    raise AttributeError(
        f"tf.compat.v1.train.{name} is not part of this framework; tf.train.Checkpoint saves and "
        "restores, tf.keras.optimizers has the optimizers"
    )

"""`tf.train`: checkpoints of objects."""

from shardtape.checkpoint.directory import latest_checkpoint
from shardtape.checkpoint.manager import CheckpointManager
from shardtape.checkpoint.names import (
    get_checkpoint_state,
    list_variables,
    load_checkpoint,
    load_variable,
)
from shardtape.checkpoint.object_checkpoint import Checkpoint

__all__ = [
    "Checkpoint",
    "CheckpointManager",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
]

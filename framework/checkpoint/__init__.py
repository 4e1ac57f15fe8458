"""Checkpoints: a folder of safetensors files and the manifest that makes them one.

Shards write with `write_part`, a coordinator ends with `write_manifest`; `read` gives the arrays
back into any number of shards. The format is described in docs/checkpoints.md.
"""

from shardtape.checkpoint.directory import (
    abandon,
    broken_checkpoints,
    latest_checkpoint,
    new_directory,
    prune,
    whole_checkpoints,
)
from shardtape.checkpoint.inspection import inspect
from shardtape.checkpoint.manifest import read_manifest, write_manifest
from shardtape.checkpoint.part import Piece, write_part
from shardtape.checkpoint.reader import StoredCheckpoint, TensorInfo, read

__all__ = [
    "Piece",
    "StoredCheckpoint",
    "TensorInfo",
    "abandon",
    "inspect",
    "latest_checkpoint",
    "new_directory",
    "broken_checkpoints",
    "prune",
    "read",
    "read_manifest",
    "whole_checkpoints",
    "write_manifest",
    "write_part",
]

"""`tf.train.load_checkpoint` and `list_variables`: values by TensorFlow's names."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes, errors, storage
from shardtape.checkpoint.directory import latest_checkpoint, whole_checkpoints
from shardtape.checkpoint.part import MANIFEST, SUFFIX
from shardtape.checkpoint.reader import StoredCheckpoint, TensorInfo, read

_OBJECT_GRAPH = "_CHECKPOINTABLE_OBJECT_GRAPH"


class CheckpointReader:
    """The values of a checkpoint by name.

    Names of a checkpoint of objects are TensorFlow's (`net/l1/kernel/.ATTRIBUTES/VARIABLE_VALUE`);
    of one that a job wrote they are the Variables' own (`dense/kernel`, slots as
    `dense/kernel/m`).
    """

    def __init__(self, stored: StoredCheckpoint) -> None:
        self._stored = stored
        self._names: dict[str, tuple[str, str | None, TensorInfo]] = {}
        self._graph = stored.state.get("object_graph")
        of_objects = self._graph is not None
        attributes = {}
        for node in (self._graph or {"nodes": []})["nodes"]:
            for attribute, key in node.get("attributes", {}).items():
                attributes[key] = f"{node['path']}/.ATTRIBUTES/{attribute}"
        for key, info in stored.variables.items():
            self._names[attributes.get(key, key)] = (key, None, info)
        for slot, infos in stored.slots.items():
            for key, info in infos.items():
                if of_objects:
                    name = f"{key}/.OPTIMIZER_SLOT/{slot}/.ATTRIBUTES/VARIABLE_VALUE"
                else:
                    name = f"{key}/{slot}"
                self._names[name] = (key, slot, info)

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """Shapes by name."""
        shapes = {name: list(info.shape) for name, (_, _, info) in self._names.items()}
        return {_OBJECT_GRAPH: [], **shapes} if self._graph is not None else shapes

    def get_variable_to_dtype_map(self) -> dict[str, Any]:
        """Element types by name."""
        types = {name: dtypes.as_dtype(info.dtype) for name, (_, _, info) in self._names.items()}
        return {_OBJECT_GRAPH: dtypes.string, **types} if self._graph is not None else types

    def has_tensor(self, tensor_str: str) -> bool:
        """True if there is a value of that name."""
        return tensor_str in self._names or (
            tensor_str == _OBJECT_GRAPH and self._graph is not None
        )

    def get_tensor(self, tensor_str: str) -> Any:
        """The value of that name: an array, or a numpy scalar, or bytes for a string.

        Raises:
          NotFoundError: there is none.
          DataLossError: its file is corrupt.
        """
        if tensor_str == _OBJECT_GRAPH and self._graph is not None:
            return json.dumps(self._graph).encode()
        if tensor_str not in self._names:
            raise errors.NotFoundError(f"Key {tensor_str} not found in checkpoint")
        key, slot, _ = self._names[tensor_str]
        return np.array(self._stored.tensor(key, slot))[()]

    def debug_string(self) -> bytes:
        """One line per value: name, type, shape."""
        lines = [
            f"{name} ({info.dtype}) {list(info.shape)}"
            for name, (_, _, info) in sorted(self._names.items())
        ]
        return "\n".join(lines).encode()


def load_checkpoint(ckpt_dir_or_file: storage.Path) -> CheckpointReader:
    """A reader of a checkpoint, or of the newest in a folder.

    Raises:
      ValueError: there is none.
      DataLossError: it is torn or corrupt.
    """
    path = storage.text(ckpt_dir_or_file).rstrip("/")
    if storage.size_bytes(storage.join(path, MANIFEST)) is None:
        newest = latest_checkpoint(path)
        unfinished = any(name.endswith(SUFFIX) for name in storage.names(path))
        if newest is None and not unfinished:
            raise ValueError(
                f"Couldn't find 'checkpoint' file or checkpoints in given directory {path}"
            )
        path = newest or path
    return CheckpointReader(read(path))


def load_variable(ckpt_dir_or_file: storage.Path, name: str) -> Any:
    """One value of a checkpoint; a trailing ":0" is left out."""
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))


def list_variables(ckpt_dir_or_file: storage.Path) -> list[tuple[str, list[int]]]:
    """Names and shapes of a checkpoint's values, sorted by name."""
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


class CheckpointState(NamedTuple):
    """The checkpoints of a folder, as TF1's proto has them."""

    model_checkpoint_path: str
    all_model_checkpoint_paths: list[str]
    all_model_checkpoint_timestamps: list[float]


def get_checkpoint_state(
    checkpoint_dir: storage.Path, latest_filename: str | None = None
) -> CheckpointState | None:
    """The whole checkpoints of a folder, the oldest first; None where there are none."""
    paths = whole_checkpoints(checkpoint_dir)[::-1]
    if not paths:
        return None
    times = []
    for path in paths:
        with read(path) as stored:
            times.append(stored.time)
    return CheckpointState(paths[-1], paths, times)

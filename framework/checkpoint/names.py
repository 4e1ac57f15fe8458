"""`tf.train.load_checkpoint` and `list_variables`: values by TensorFlow's names."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from shardtape import dtypes, errors, storage
from shardtape.checkpoint.directory import latest_checkpoint, whole_checkpoints
from shardtape.checkpoint.manifest import manifest_file
from shardtape.checkpoint.part import SUFFIX
from shardtape.checkpoint.reader import StoredCheckpoint, TensorInfo, read
from shardtape.checkpoint.state_file import CheckpointState, read_state

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
        nodes = (self._graph or {"nodes": []})["nodes"]
        paths, numbered = _of_optimizers(nodes)
        attributes = {}
        for i, node in enumerate(nodes):
            for attribute, key in node.get("attributes", {}).items():
                attributes[key] = f"{paths.get(i, node['path'])}/.ATTRIBUTES/{attribute}"
        for key, info in stored.variables.items():
            self._names[attributes.get(key, key)] = (key, None, info)
        for slot, infos in stored.slots.items():
            for key, info in infos.items():
                if (key, slot) in numbered:
                    name = f"{numbered[key, slot]}/.ATTRIBUTES/VARIABLE_VALUE"
                elif of_objects:
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


def _of_optimizers(
    nodes: list[dict[str, Any]],
) -> tuple[dict[int, str], dict[tuple[str, str], str]]:
    """What Keras's optimizers call their state: paths by node, and by (key, slot)."""
    paths: dict[int, str] = {}
    numbered: dict[tuple[str, str], str] = {}
    for node in nodes:
        if "listed" not in node:
            continue
        start, children = node["path"], node["children"]
        for name in ("iterations", "learning_rate"):
            if name in children:
                paths[children[name]] = f"{start}/_{name}"
        for i, (key, slot) in enumerate(node["listed"], 1):
            numbered[key, slot] = f"{start}/_variables/{i}"
        if "_variables" in children:  # those of an optimizer of one's own stand behind
            for place, child in nodes[children["_variables"]]["children"].items():
                number = 1 + len(node["listed"]) + int(place)
                paths[child] = f"{start}/_variables/{number}"
    return paths, numbered


def load_checkpoint(ckpt_dir_or_file: storage.Path) -> CheckpointReader:
    """A reader of a checkpoint, or of the newest in a folder.

    Raises:
      NotFoundError: there is no such folder or checkpoint.
      ValueError: there is none in the folder.
      DataLossError: it is torn or corrupt.
    """
    path = storage.text(ckpt_dir_or_file).rstrip("/")
    if manifest_file(path) is None and storage.is_directory(path):
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


def get_checkpoint_state(
    checkpoint_dir: storage.Path, latest_filename: str | None = None
) -> CheckpointState | None:
    """What the file `checkpoint` of a folder says; else its whole checkpoints, the oldest first.

    None where there are none.
    """
    state = read_state(checkpoint_dir, latest_filename)
    if state is not None or latest_filename is not None:
        return state
    paths = whole_checkpoints(checkpoint_dir)[::-1]
    if not paths:
        return None
    times = []
    for path in paths:
        with read(path) as stored:
            times.append(stored.time)
    return CheckpointState(paths[-1], paths, times)

"""`tf.train.Checkpoint`: the values of an object and all that hangs on it."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import errors, storage
from shardtape.checkpoint import pending
from shardtape.checkpoint.containers import wrapped
from shardtape.checkpoint.object_graph import (
    VARIABLE_VALUE,
    Node,
    children_of,
    is_trackable,
    nodes_of,
)
from shardtape.checkpoint.part import Piece
from shardtape.checkpoint.prefix import write_files
from shardtape.checkpoint.reader import read
from shardtape.checkpoint.restoration import (
    CheckpointLoadStatus,
    InitializationOnlyStatus,
    Restoration,
)
from shardtape.checkpoint.state_file import update_checkpoint_state
from shardtape.context import building
from shardtape.optimizers.legacy_optimizer import Optimizer as LegacyOptimizer
from shardtape.optimizers.listing import listed_slots
from shardtape.optimizers.optimizer import Optimizer
from shardtape.variable import Variable


class Checkpoint:
    """Saves and restores the Variables and optimizers of objects.

    Args:
      root: an object whose attributes are saved; keyword arguments are added beside them.
      **kwargs: objects by the name they get in the checkpoint; each becomes an attribute.

    Raises:
      ValueError: an argument holds nothing that can be saved.

    Example:
      >>> checkpoint = tf.train.Checkpoint(net=net, optimizer=optimizer, step=tf.Variable(1))
      >>> path = checkpoint.save("checkpoints/ckpt")
      >>> checkpoint.restore(path).assert_consumed()
    """

    def __init__(self, root: Any = None, **kwargs: Any) -> None:
        if root is not None and not is_trackable(root):
            raise ValueError(
                "`Checkpoint` was expecting `root` to be a trackable object (a module, a layer, a "
                f"Variable, an optimizer, or a container of them). Got {root!r}"
            )
        for name, value in kwargs.items():
            if not is_trackable(value) and not isinstance(value, (list, tuple, dict)):
                raise ValueError(
                    "`Checkpoint` was expecting a trackable object (a module, a layer, a Variable, "
                    f"an optimizer, or a container of them), got {value!r} for {name!r}"
                )
            setattr(self, name, value)
        self._root = root
        self._names = tuple(kwargs)
        self._save_counter: Variable | None = None

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value if name.startswith("_") else wrapped(value))
        pending.proceed(self)

    def _trackable_children(self) -> dict[str, Any]:
        children = {name: getattr(self, name) for name in self._names}
        own = {
            name: value
            for name, value in self.__dict__.items()
            if name not in children and not name.startswith("_") and is_trackable(value)
        }
        if self._root is not None:
            children = {**children_of(self._root), **children}
        children |= own
        if self._save_counter is not None:
            children["save_counter"] = self._save_counter
        return children

    @property
    def save_counter(self) -> Variable:
        """How often `save` was called, an int64 Variable that is saved as well."""
        if self._save_counter is None:
            with building(None):
                self._save_counter = Variable(
                    np.int64(0), trainable=False, name="save_counter", dtype="int64"
                )
        return self._save_counter

    def write(self, file_prefix: storage.Path, options: Any = None) -> str:
        """Writes the values, in place of a checkpoint that is there.

        Args:
          file_prefix: the files are `file_prefix.index` and `file_prefix.data-00000-of-00001`.

        Returns:
          The path of the checkpoint, which is `file_prefix`.

        Raises:
          ResourceExhaustedError: the disk is full; a checkpoint that was there is intact.
        """
        pieces, graph = collected(nodes_of(self))
        return write_files(file_prefix, pieces, {"object_graph": graph})

    def save(self, file_prefix: storage.Path, options: Any = None) -> str:
        """Writes the values to `file_prefix-N`, where N counts the calls.

        The file `checkpoint` of the folder names it from then on.

        Returns:
          The path of the checkpoint.
        """
        path = self._write_next(file_prefix)
        update_checkpoint_state(storage.split(path)[0], path)
        return path

    def _write_next(self, file_prefix: storage.Path) -> str:
        """Counts a save and writes it; who calls writes the file `checkpoint`."""
        self.save_counter.assign_add(1)
        try:
            return self.write(f"{storage.text(file_prefix)}-{int(self.save_counter.numpy())}")
        except errors.OpError:
            self.save_counter.assign_sub(1)
            raise

    def read(self, save_path: storage.Path, options: Any = None) -> CheckpointLoadStatus:
        """Restores values from a checkpoint that `write` made; see `restore`."""
        return CheckpointLoadStatus(Restoration(self, read(save_path)))

    def restore(self, save_path: storage.Path | None, options: Any = None) -> CheckpointLoadStatus:
        """Puts the values of a checkpoint into the objects that are there now.

        An object is found by the names that lead to it; where the checkpoint was written by a
        job, a Variable is found by its name. All values are read and checked before the first is
        changed. Variables that a layer makes later, when it is first called, get their values
        then.

        Args:
          save_path: of a checkpoint; None (what `latest_checkpoint` gives where there is none)
            restores nothing.

        Returns:
          A status with `assert_consumed` and its sisters.

        Raises:
          NotFoundError: there is no such checkpoint.
          DataLossError: it is torn or corrupt; the text names the file.
          ValueError: a value has another shape or type than its Variable.
        """
        if save_path is None:
            return InitializationOnlyStatus()
        self.save_counter  # noqa: B018 - made now, so that it is restored too
        return self.read(save_path, options)


def collected(nodes: list[Node]) -> tuple[list[Piece], dict[str, Any]]:
    """The pieces to write and the description of the object graph."""
    pieces: list[Piece] = []
    described = []
    keys: dict[int, str] = {}
    for node in nodes:
        entry: dict[str, Any] = {"path": node.path, "children": node.children}
        attributes = {}
        for attribute, array in _values(node.value).items():
            key = _key(node.path, attribute)
            pieces.append(Piece(array, key))
            attributes[attribute] = key
        if attributes:
            entry["attributes"] = attributes
        if isinstance(node.value, Variable):
            keys[node.value._id] = _key(node.path, VARIABLE_VALUE)
            entry["name"] = node.value.name
        described.append(entry)
    for node, entry in zip(nodes, described):
        if isinstance(node.value, Optimizer):
            pieces += _slot_pieces(node, keys)
            # also where a rule keeps no slots: that it has updated these is part of its state
            updated = [keys.get(v._id) for v in node.value.updated_variables]
            entry["updates"] = [key for key in updated if key is not None]
            if not isinstance(node.value, LegacyOptimizer):  # slots are numbered by Keras
                entry["listed"] = [
                    [keys.get(v._id), f"{node.path}/{slot}"]
                    for slot, v, _ in listed_slots(node.value)
                ]
    return pieces, {"nodes": described}


def _key(path: str, attribute: str) -> str:
    # A Variable's path is its key; what else an object saves gets the attribute's name added.
    return path if attribute == VARIABLE_VALUE and path else f"{path}/.{attribute}".lstrip("/")


def _values(value: Any) -> dict[str, np.ndarray]:
    if isinstance(value, Variable):
        return {VARIABLE_VALUE: _host(value._read_array())}
    if hasattr(type(value), "_serialize_to_tensors"):
        return {name: np.asarray(item) for name, item in value._serialize_to_tensors().items()}
    return {}


def _slot_pieces(node: Node, keys: dict[int, str]) -> list[Piece]:
    pieces = []
    for variable in node.value.updated_variables:
        key = keys.get(variable._id)
        if key is None:  # not saved itself, so that nobody could find its slots
            continue
        slots = node.value._slots_of(variable)
        pieces += [Piece(_host(slots[s]), key, f"{node.path}/{s}") for s in node.value.rule.slots]
    return pieces


def _host(array: Any) -> np.ndarray:
    return array.get() if hasattr(array, "get") else np.asarray(array)

"""`tf.train.Checkpoint`: the values of an object and all that hangs on it."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from shardtape import errors, storage
from shardtape.checkpoint.manifest import write_manifest
from shardtape.checkpoint.object_graph import (
    VARIABLE_VALUE,
    Node,
    children_of,
    is_trackable,
    nodes_of,
)
from shardtape.checkpoint.part import Piece, write_part
from shardtape.checkpoint.reader import StoredCheckpoint, read
from shardtape.context import building
from shardtape.optimizers.optimizer import Optimizer
from shardtape.tensor import EagerTensor
from shardtape.variable import Variable

_PART_NAME = "objects"


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
        """Writes the values to the folder `file_prefix`, in place of a checkpoint that is there.

        Returns:
          The path of the checkpoint, which is `file_prefix`.

        Raises:
          ResourceExhaustedError: the disk is full; a checkpoint that was there is intact.
        """
        path = storage.text(file_prefix).rstrip("/")
        nodes = nodes_of(self)
        pieces, graph = _collected(nodes)
        fragment = write_part(path, _PART_NAME, pieces, replacing=True)
        return write_manifest(path, [fragment], {"object_graph": graph}, replacing=True)

    def save(self, file_prefix: storage.Path, options: Any = None) -> str:
        """Writes the values to `file_prefix-N`, where N counts the calls.

        Returns:
          The path of the checkpoint.
        """
        self.save_counter.assign_add(1)
        try:
            return self.write(f"{storage.text(file_prefix)}-{int(self.save_counter.numpy())}")
        except errors.OpError:
            self.save_counter.assign_sub(1)
            raise

    def read(self, save_path: storage.Path, options: Any = None) -> LoadStatus:
        """Restores values from a checkpoint that `write` made; see `restore`."""
        with read(save_path) as stored:
            return _Restoration(self, stored).status()

    def restore(self, save_path: storage.Path | None, options: Any = None) -> LoadStatus:
        """Puts the values of a checkpoint into the objects that are there now.

        An object is found by its path; where the checkpoint was written by a job, a Variable is
        found by its name. All values are read and checked before the first is changed. Variables
        that are made later (by layers that are not built yet) are not restored: build them first.

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
            return LoadStatus([], [], [], None)
        self.save_counter  # noqa: B018 - made now, so that it is restored too
        return self.read(save_path, options)


def _collected(nodes: list[Node]) -> tuple[list[Piece], dict[str, Any]]:
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
    for node in nodes:
        if isinstance(node.value, Optimizer):
            pieces += _slot_pieces(node, keys)
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
    for variable in node.value.variables:
        key = keys.get(variable._id)
        if key is None:  # not saved itself, so that nobody could find its slots
            continue
        slots = node.value._slots_of(variable)
        pieces += [Piece(_host(slots[s]), key, f"{node.path}/{s}") for s in node.value.rule.slots]
    return pieces


def _host(array: Any) -> np.ndarray:
    return array.get() if hasattr(array, "get") else np.asarray(array)


class _Restoration:
    """One restore: finds what fits, reads all of it, then changes the objects."""

    def __init__(self, root: Checkpoint, stored: StoredCheckpoint) -> None:
        self._stored = stored
        self._nodes = nodes_of(root)
        self._known = stored.variables
        graph = stored.state.get("object_graph", {"nodes": []})
        self._attributes = {entry["path"]: entry.get("attributes", {}) for entry in graph["nodes"]}
        self._by_name = not graph["nodes"]
        self._used: set[tuple[str, str | None]] = set()
        self._unmatched: list[str] = []
        self._actions: list[tuple[Any, Any]] = []  # function to call, and what with

    def status(self) -> LoadStatus:
        for node in self._nodes:
            self._find_values(node)
        for node in self._nodes:
            if isinstance(node.value, Optimizer):
                self._find_slots(node)
        with building(None):
            for act, value in self._actions:
                act(value)
        every: set[tuple[str, str | None]] = {(key, None) for key in self._known}
        every |= {(key, slot) for slot, keys in self._stored.slots.items() for key in keys}
        unused = sorted(f"{key} ({slot})" if slot else key for key, slot in every - self._used)
        matched = [key for key, slot in self._used if slot is None]
        return LoadStatus(matched, self._unmatched, unused, self._stored.path)

    def _key_of(self, node: Node) -> str | None:
        """The key of a Variable in the checkpoint, or None."""
        key = self._attributes.get(node.path, {}).get(VARIABLE_VALUE)
        if key is None and self._by_name:
            for name in (node.path, node.value.name.removesuffix(":0")):
                if name in self._known:
                    return name
        return key

    def _find_values(self, node: Node) -> None:
        value = node.value
        if isinstance(value, Variable):
            key = self._key_of(node)
            if key is None:
                if not (self._by_name and node.path == "save_counter"):  # jobs do not count saves
                    self._unmatched.append(node.path)
                return
            self._used.add((key, None))
            self._actions.append(
                (value.assign, self._fitting(key, None, value._read_array(), value))
            )
        elif hasattr(type(value), "_restore_from_tensors"):
            attributes = self._attributes.get(node.path, {})
            if not attributes:
                self._unmatched.append(node.path)
                return
            self._used |= {(key, None) for key in attributes.values()}
            arrays = {name: self._stored.tensor(key) for name, key in attributes.items()}
            self._actions.append((value._restore_from_tensors, arrays))

    def _find_slots(self, node: Node) -> None:
        optimizer = node.value
        for other in self._nodes:
            if not isinstance(other.value, Variable):
                continue
            key = self._key_of(other)
            for slot in optimizer.rule.slots:
                for stored_slot in (f"{node.path}/{slot}", slot):
                    if key is not None and key in self._stored.slots.get(stored_slot, {}):
                        self._used.add((key, stored_slot))
                        live = optimizer._slots_of(other.value)[slot]
                        value = self._fitting(key, stored_slot, live, other.value)
                        self._actions.append((_Copy(live), value))
                        break

    def _fitting(self, key: str, slot: str | None, live: Any, variable: Variable) -> Any:
        info = self._known[key] if slot is None else self._stored.slots[slot][key]
        what = f"variable '{variable.name}'" + (f", slot {slot!r}" if slot else "")
        if info.shape != tuple(live.shape):
            raise ValueError(
                f"Received incompatible tensor with shape {info.shape} when attempting to restore "
                f"{what} with shape {tuple(live.shape)} from {self._stored.path}"
            )
        dtype = "string" if live.dtype.kind in "OSUT" else live.dtype.name
        if info.dtype != dtype:
            raise ValueError(
                f"Received incompatible tensor of type {info.dtype} when attempting to restore "
                f"{what} of type {dtype} from {self._stored.path}"
            )
        if dtype == "string":
            return EagerTensor(self._stored.tensor(key, slot))
        # A copy of its own: a mapped file would hold the checkpoint's disk space for ever.
        array = self._stored.tensor(key, slot, out=np.empty(info.shape, live.dtype))
        if not isinstance(live, (np.ndarray, np.generic)):  # on a GPU
            import cupy

            array = cupy.asarray(array)
        return EagerTensor(array) if slot is None else array


class _Copy:
    """Writes an array into another."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __call__(self, value: Any) -> None:
        self._target[...] = value


class LoadStatus:
    """What a `restore` found.

    Unless one of the methods is called, values that nothing took are told in the log.
    """

    def __init__(
        self, matched: list[str], unmatched: list[str], unused: list[str], path: str | None
    ) -> None:
        self._matched, self._unmatched, self._unused = matched, unmatched, unused
        self._path = path
        self._told = not unused

    def __del__(self) -> None:
        if not self._told:
            logging.getLogger("shardtape").warning(
                "%d values of the checkpoint %s have no object: %s. Use `expect_partial()` on what "
                "`restore` returns if that is right.",
                len(self._unused), self._path, _listed(self._unused),
            )  # fmt: skip

    def assert_consumed(self) -> LoadStatus:
        """Raises AssertionError unless every object and every value of the checkpoint matched."""
        self._told = True
        self.assert_existing_objects_matched()
        if self._unused:
            raise AssertionError(
                f"Some values of the checkpoint {self._path} have no object: "
                f"{_listed(self._unused)}"
            )
        return self

    def assert_existing_objects_matched(self) -> LoadStatus:
        """Raises AssertionError if an object found no value in the checkpoint."""
        self._told = True
        if self._path is None:
            raise AssertionError("There was no checkpoint to restore from (`save_path` is None)")
        if self._unmatched:
            raise AssertionError(
                f"Some objects have no value in the checkpoint {self._path}: "
                f"{_listed(self._unmatched)}"
            )
        return self

    def assert_nontrivial_match(self) -> LoadStatus:
        """Raises AssertionError if nothing but the counter of saves matched."""
        self._told = True
        if not set(self._matched) - {"save_counter"}:
            raise AssertionError(f"Nothing was restored from the checkpoint {self._path}")
        return self

    def expect_partial(self) -> LoadStatus:
        """Says that not all values are wanted."""
        self._told = True
        return self


def _listed(names: list[str]) -> str:
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")

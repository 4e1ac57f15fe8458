"""Putting the values of a checkpoint into objects, at once or when they are made."""

from __future__ import annotations

import logging
from collections import deque
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.checkpoint import pending
from shardtape.checkpoint.object_graph import (
    VARIABLE_VALUE,
    Node,
    children_of,
    containers_of,
    nodes_of,
)
from shardtape.checkpoint.reader import StoredCheckpoint
from shardtape.context import building
from shardtape.optimizers.optimizer import Optimizer
from shardtape.replica_context import outside_replicas
from shardtape.tensor import EagerTensor
from shardtape.variable import Variable


class Restoration:
    """One restore. It goes on as long as values are left for objects that are made later.

    Args:
      root: the object whose children are restored.
      stored: the checkpoint; closed when everything is restored.

    Raises:
      DataLossError: it is torn or corrupt; nothing was changed.
      ValueError: a value has another shape or type than its Variable; nothing was changed.
    """

    def __init__(self, root: Any, stored: StoredCheckpoint) -> None:
        self._root = root
        self._stored = stored
        self._variables, self._slots = stored.variables, stored.slots
        graph = stored.state.get("object_graph", {"nodes": []})
        self._entries: list[dict[str, Any]] = graph["nodes"]
        self._left: set[tuple[str, str | None]] = {(key, None) for key in self._variables}
        self._left |= {(key, slot) for slot, keys in self._slots.items() for key in keys}
        self._handled: set[int] = set()  # ids of objects that have their values
        # all objects that were there the last time, with what the checkpoint says of them, by id
        self._known: dict[int, tuple[Node, dict[str, Any] | None]] = {}
        self._optimizers: list[Node] = []  # those among them
        # their containers, which may grow unseen, with lengths, by id
        self._containers: dict[int, tuple[Any, int]] = {}
        self._keys: dict[int, str] = {}  # of Variables, by their own id
        self._keep_alive: list[Any] = []  # so that no id in `_handled` is used again
        self.matched: list[str] = []
        self.unmatched: list[str] = []
        self.unmatched_objects: list[Any] = []
        self.expected_partial = False
        self._updates: dict[tuple[int, int], tuple[Optimizer, Variable, str]] = {}
        try:
            self.proceed()
        except BaseException:
            stored.close()
            raise
        if self.complete:
            stored.close()
        else:
            stored.open_files()  # the checkpoint may be removed while values wait
            pending.add(self)

    @property
    def path(self) -> str:
        """The checkpoint's folder."""
        return self._stored.path

    @property
    def unused(self) -> list[str]:
        """Values that no object has taken."""
        return sorted(f"{key} ({slot})" if slot else key for key, slot in self._left)

    @property
    def complete(self) -> bool:
        """True when every value of the checkpoint has its object."""
        return not self._left

    @property
    def without_optimizer(self) -> list[str]:
        """Variables of whose state the optimizer has not made its own so far."""
        return [
            text for optimizer, variable, text in self._updates.values()
            if variable._id not in optimizer._built_for
        ]  # fmt: skip

    def close(self) -> None:
        """Ends it: what is left is not restored any more."""
        self._known = {}
        self._stored.close()

    def replaces(self, other: Any) -> bool:
        """True if `other` restored the same objects."""
        mine, theirs = children_of(self._root), children_of(other._root)
        names = mine.keys() - {"save_counter"}  # each root has its own
        return names == theirs.keys() - {"save_counter"} and all(
            mine[name] is theirs[name] for name in names
        )

    def tell_unused(self) -> None:
        """Logs what is left, unless that was expected."""
        if self._left and not self.expected_partial:
            logging.getLogger("shardtape").warning(
                "%d values of the checkpoint %s found no object: %s. Use `expect_partial()` on "
                "what `restore` returns if that is right.",
                len(self._left), self.path, listed(self.unused),
            )  # fmt: skip

    def proceed(self, changed: Any = None) -> None:
        """Restores what has come into being since the last time.

        Args:
          changed: the object that has new parts, if it is known which; one that `knows` it.
        """
        with outside_replicas():
            # names of a job's Variables may be anywhere
            if changed is None or not self._entries:
                self._proceed()
                return
            self._proceed_from(changed)
            if self.complete:  # what is left without a value is told from now on
                self._proceed()

    def knows(self, changed: Any) -> bool:
        """Whether an object is one of those that are restored."""
        return id(changed) in self._known

    def concerns(self, changed: Any) -> bool:
        """Whether a new part of `changed` may belong to what is restored."""
        return id(changed) in self._known or self._has_grown()

    def _has_grown(self) -> bool:
        """Whether something was put into a container unseen."""
        return any(len(c) != n for c, n in self._containers.values())

    def value_for(self, owner: Any, name: str, shape: tuple[int, ...], dtype: str) -> Any:
        """What the checkpoint holds for a Variable that `owner` will have; None if nothing fits."""
        inner = getattr(self._root, "_root", None)  # a Checkpoint's, whose parts are its own
        whose = self._root if owner is inner else owner
        if id(whose) not in self._known:
            self.proceed()
        entry = self._known[id(whose)][1] if id(whose) in self._known else None
        number = None if entry is None else entry["children"].get(name)
        if number is None:
            return None
        key = self._entries[number].get("attributes", {}).get(VARIABLE_VALUE)
        if key is None or (key, None) not in self._left:
            return None
        info = self._variables[key]
        if tuple(info.shape) != shape or info.dtype != dtype or dtype == "string":
            return None  # to be refused when it is restored
        return EagerTensor(
            self._stored.tensor(key, None, out=np.empty(shape, dt.as_dtype(dtype).as_numpy_dtype))
        )

    def _proceed(self) -> None:
        nodes = nodes_of(self._root)
        entries = self._match(nodes)
        self._known = {id(node.value): (node, entries.get(id(node.value))) for node in nodes}
        inner = getattr(self._root, "_root", None)
        if inner is not None:  # a Checkpoint's, whose parts are its own
            self._known.setdefault(id(inner), (Node(inner, ""), entries.get(id(self._root))))
        self._containers = {}
        self._note_containers([node.value for node, _ in self._known.values()])
        self._optimizers = [node for node in nodes if isinstance(node.value, Optimizer)]
        self._restore(nodes, entries)

    def _note_containers(self, values: list[Any]) -> None:
        for value in values:
            self._containers.update({id(c): (c, len(c)) for c in containers_of(value)})

    def _proceed_from(self, changed: Any) -> None:
        """Restores the parts of one known object that are new, and what hangs on them."""
        start, entry = self._known[id(changed)]
        new: list[Node] = []
        queue = deque([(start, entry)])
        while queue:
            node, entry = queue.popleft()
            for name, child in children_of(node.value).items():
                saved = (entry or {}).get("children", {}).get(name)
                found = None if saved is None else self._entries[saved]
                known = self._known.get(id(child))
                if known is not None and (known[1] is not None or found is None):
                    continue
                step = name.replace(".", "..").replace("/", ".S")
                path = f"{node.path}/{step}" if node.path else step
                made = Node(child, path) if known is None else known[0]
                self._known[id(child)] = made, found
                new.append(made)
                queue.append((made, found))
        self._note_containers([changed, *[node.value for node in new]])
        added = [node for node in new if isinstance(node.value, Optimizer)]
        if added:  # its state is that of Variables that are there already
            self._proceed()
            return
        entries = {id(node.value): e for node in new if (e := self._known[id(node.value)][1])}
        for node in self._optimizers:
            if (of_optimizer := self._known[id(node.value)][1]) is not None:
                entries[id(node.value)] = of_optimizer
        self._restore(new, entries)

    def _restore(self, nodes: list[Node], entries: dict[int, dict[str, Any]]) -> None:
        """Gives values to `nodes`, and to the optimizers' slots of the Variables among them."""
        actions: list[tuple[Any, Any]] = []
        taken: list[tuple[str, str | None]] = []
        handled: list[Any] = []
        self.unmatched, self.unmatched_objects = [], []
        for node in nodes:
            if id(node.value) not in self._handled:
                self._find_values(node, entries.get(id(node.value)), actions, taken, handled)
        for node in self._optimizers:
            entry = entries.get(id(node.value), {"path": node.path})
            self._find_slots(node.value, entry, nodes, actions, taken)
        with building(None):
            for act, value in actions:
                act(value)
        self._left -= set(taken)
        self.matched += [key for key, slot in taken if slot is None]
        self._handled |= {id(value) for value in handled}
        self._keep_alive += handled

    def _match(self, nodes: list[Node]) -> dict[int, dict[str, Any]]:
        """What the checkpoint says of each object, by id: both graphs are walked side by side."""
        if not self._entries:
            return {}
        entries = {id(nodes[0].value): self._entries[0]}
        queue = deque([nodes[0]])
        while queue:
            node = queue.popleft()
            entry = entries[id(node.value)]
            for name, number in node.children.items():
                child = nodes[number]
                if name in entry["children"] and id(child.value) not in entries:
                    entries[id(child.value)] = self._entries[entry["children"][name]]
                    queue.append(child)
        return entries

    def _find_values(
        self,
        node: Node,
        entry: dict[str, Any] | None,
        actions: list[tuple[Any, Any]],
        taken: list[tuple[str, str | None]],
        handled: list[Any],
    ) -> None:
        value = node.value
        attributes = (entry or {}).get("attributes", {})
        if isinstance(value, Variable):
            key = attributes.get(VARIABLE_VALUE)
            if key is None and not self._entries:
                names = (node.path, value.name.removesuffix(":0"))
                key = next((name for name in names if name in self._variables), None)
            if key is None:
                # jobs do not count saves
                if self._entries or node.path != "save_counter":
                    self.unmatched.append(node.path)
                    self.unmatched_objects.append(value)
                return
            self._keys[value._id] = key
            actions.append((value.assign, self._fitting(key, None, value._read_array(), value)))
            taken.append((key, None))
            handled.append(value)
        elif hasattr(type(value), "_restore_from_tensors"):
            if not attributes:
                self.unmatched.append(node.path)
                self.unmatched_objects.append(value)
                return
            arrays = {name: self._stored.tensor(key) for name, key in attributes.items()}
            actions.append((value._restore_from_tensors, arrays))
            taken += [(key, None) for key in attributes.values()]
            handled.append(value)

    def _find_slots(
        self,
        optimizer: Optimizer,
        entry: dict[str, Any],
        nodes: list[Node],
        actions: list[tuple[Any, Any]],
        taken: list[tuple[str, str | None]],
    ) -> None:
        path, updated = entry["path"], set(entry.get("updates", ()))
        for node in nodes:
            if not isinstance(node.value, Variable) or node.value._id not in self._keys:
                continue
            key = self._keys[node.value._id]
            if key in updated:
                self._note_update(optimizer, node.value, key, path)
            for slot in optimizer.rule.slots:
                for stored_slot in (f"{path}/{slot}", slot):
                    if (key, stored_slot) in self._left and (key, stored_slot) not in taken:
                        live = optimizer._slots_of(node.value)[slot]
                        value = self._fitting(key, stored_slot, live, node.value)
                        actions.append((_Copy(live), value))
                        taken.append((key, stored_slot))
                        self._note_update(optimizer, node.value, key, path)
                        break

    def _note_update(self, optimizer: Optimizer, variable: Variable, key: str, path: str) -> None:
        self._updates[id(optimizer), variable._id] = optimizer, variable, f"{key} ({path})"

    def _fitting(self, key: str, slot: str | None, live: Any, variable: Variable) -> Any:
        """The stored value, if it fits what is there now."""
        info = self._variables[key] if slot is None else self._slots[slot][key]
        kind = f"the slot {slot!r} of the variable" if slot else "variable"
        what = variable.name
        if info.shape != tuple(live.shape):
            raise ValueError(
                f"Received incompatible tensor with shape {info.shape} when attempting to restore "
                f"{kind} with shape {tuple(live.shape)} and name {what}: it is that of {self.path}"
            )
        dtype = "string" if live.dtype.kind in "OSUT" else live.dtype.name
        if info.dtype != dtype:
            raise ValueError(
                f"Received incompatible tensor of type {info.dtype} when attempting to restore "
                f"{kind} of type {dtype} and name {what}: it is that of {self.path}"
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


class CheckpointLoadStatus:
    """What a `restore` found so far; values without an object are told when the process ends."""

    def __init__(self, restoration: Restoration | None) -> None:
        self._restoration = restoration

    def _current(self) -> Restoration:
        if self._restoration is None:
            raise AssertionError(
                "No checkpoint specified (save_path=None); nothing is being restored."
            )
        if not self._restoration.complete:
            self._restoration.proceed()
        return self._restoration

    def assert_consumed(self) -> CheckpointLoadStatus:
        """Raises AssertionError unless every object and every value of the checkpoint matched.

        An optimizer takes its values when it is built: by its first update or its `build`.
        """
        found = self._current()
        self.assert_existing_objects_matched()
        if not found.complete:
            first = found.unused[0].replace("/", ".")
            raise AssertionError(
                f"Unresolved object in checkpoint (root).{first}. Values of {found.path} that have "
                f"no object: {listed(found.unused)}"
            )
        if found.without_optimizer:
            raise AssertionError(
                f"The checkpoint {found.path} holds the state of an optimizer for Variables that "
                f"it has not been built for: {listed(found.without_optimizer)}. Its first update "
                "does so, or `optimizer.build(variables)`"
            )
        return self

    def assert_existing_objects_matched(self) -> CheckpointLoadStatus:
        """Raises AssertionError if an object found no value in the checkpoint."""
        found = self._current()
        if found.unmatched:
            count, shown = len(found.unmatched), found.unmatched_objects[:10]
            raise AssertionError(
                f"Found {count} Python objects that were not bound to checkpointed values, likely "
                f"due to changes in the Python program. Showing {len(shown)} of {count} unmatched "
                f"objects: {shown}. {found.path} has no value for {listed(found.unmatched)}"
            )
        return self

    def assert_nontrivial_match(self) -> CheckpointLoadStatus:
        """Raises AssertionError if nothing but the counter of saves matched."""
        found = self._current()
        if not set(found.matched) - {"save_counter"}:
            raise AssertionError(
                "Nothing except the root object matched a checkpointed value. Typically this means "
                "that the checkpoint does not match the Python program. The following objects have "
                f"no matching checkpointed value: {found.unmatched_objects[:10]}. The checkpoint "
                f"is {found.path}"
            )
        return self

    def expect_partial(self) -> CheckpointLoadStatus:
        """Says that not all values are wanted, so that nothing is told."""
        if self._restoration is not None:
            self._restoration.expected_partial = True
        return self


class InitializationOnlyStatus(CheckpointLoadStatus):
    """What a `restore` of no checkpoint gives."""

    def __init__(self) -> None:
        super().__init__(None)


def listed(names: list[str]) -> str:
    """The first ten names, and how many there are more."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")

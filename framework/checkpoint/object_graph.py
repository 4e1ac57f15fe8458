"""The objects behind a `Checkpoint` and the paths that name their values."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shardtape.optimizers.optimizer import Optimizer
from shardtape.variable import Variable

VARIABLE_VALUE = "VARIABLE_VALUE"


@dataclass(slots=True)
class Node:
    """An object, the path at which it was met first, and what hangs on it."""

    value: Any
    path: str
    children: dict[str, int] = field(default_factory=dict)


def nodes_of(root: Any) -> list[Node]:
    """All objects that can be reached from `root`, which comes first with path "".

    Breadth first, so that an object with several names gets the shortest, as in TensorFlow.
    """
    nodes = [Node(root, "")]
    numbers = {id(root): 0}
    queue = deque([0])
    while queue:
        node = nodes[queue.popleft()]
        for name, child in children_of(node.value).items():
            number = numbers.get(id(child))
            if number is None:
                number = numbers[id(child)] = len(nodes)
                step = name.replace(".", "..").replace("/", ".S")
                nodes.append(Node(child, f"{node.path}/{step}" if node.path else step))
                queue.append(number)
            node.children[name] = number
    return nodes


def children_of(value: Any) -> dict[str, Any]:
    """The tracked attributes or elements of an object, by name.

    An object may say itself what they are with `_trackable_children() -> dict`.
    """
    if hasattr(type(value), "_trackable_children"):
        return dict(value._trackable_children())
    if isinstance(value, Variable):
        return {}
    if isinstance(value, Optimizer):
        return _optimizer_children(value)
    if isinstance(value, (list, tuple)):
        return {str(i): item for i, item in enumerate(value) if is_trackable(item)}
    if isinstance(value, Mapping):
        return {str(k): item for k, item in value.items() if is_trackable(item)}
    unseen = getattr(type(value), "_unseen", ())  # what a module does not count as its own
    attributes = {
        name: attribute
        for name, attribute in getattr(value, "__dict__", {}).items()
        if name not in unseen and is_trackable(attribute)
    }
    # Names that were chosen for others to read come first.
    children = dict(sorted(attributes.items(), key=lambda item: item[0].startswith("_")))
    if hasattr(type(value), "get_layer"):
        children = {**_model_children(value), **children}
    return children


def containers_of(value: Any) -> list[Any]:
    """The public lists and dicts of an object, or itself, and those inside: things may be put into
    them unseen, and empty ones are no part of the graph."""
    found: dict[int, Any] = {}
    attributes = getattr(value, "__dict__", {}).items()
    rest = [value, *[held for name, held in attributes if not name.startswith("_")]]
    while rest:
        held = rest.pop()
        if isinstance(held, (list, dict)) and id(held) not in found:
            found[id(held)] = held
            rest.extend(held.values() if isinstance(held, dict) else held)
    return list(found.values())


def _model_children(model: Any) -> dict[str, Any]:
    """The optimizer of a compiled model and, unless attributes hold them, the layers by number."""
    children: dict[str, Any] = {}
    if getattr(model, "_is_graph_network", False) or hasattr(model, "_own_layers"):
        weighted = [layer for layer in model.layers if _has_weights(layer)]
        children = {f"layer_with_weights-{i}": layer for i, layer in enumerate(weighted)}
        children |= {f"layer-{i}": layer for i, layer in enumerate(model.layers)}
    optimizer = getattr(model, "optimizer", None)
    if isinstance(optimizer, Optimizer):
        children["optimizer"] = optimizer
    return children


def _has_weights(layer: Any) -> bool:
    try:
        return bool(layer.weights)
    except ValueError:  # a Sequential model that is not built yet
        return False


def _optimizer_children(optimizer: Optimizer) -> dict[str, Any]:
    children: dict[str, Any] = {"iterations": optimizer.iterations}
    if isinstance(optimizer.learning_rate, Variable):
        children["learning_rate"] = optimizer.learning_rate
    if optimizer._added:
        children["_variables"] = list(optimizer._added)
    return children


def is_trackable(value: Any) -> bool:
    """True for Variables, optimizers, modules and layers, and containers that hold any."""
    return _is_trackable(value, set())


def _is_trackable(value: Any, seen: set[int]) -> bool:
    kind: Any = type(value)
    if _is_trackable_kind(kind):
        return True
    if issubclass(kind, (list, tuple, Mapping)) and id(value) not in seen:
        seen.add(id(value))
        items = value.values() if isinstance(value, Mapping) else value
        return any(_is_trackable(item, seen) for item in items)
    return False


def may_hold(value: Any) -> bool:
    """Whether a value is trackable, or a container that may come to hold something that is."""
    kind: Any = type(value)
    return issubclass(kind, (list, tuple, Mapping)) or _is_trackable_kind(kind)


@functools.lru_cache(maxsize=4096)
def _is_trackable_kind(kind: type) -> bool:
    """Of other values than containers; asked for every attribute, so the answers are kept."""
    if issubclass(kind, (Variable, Optimizer)):
        return True
    if issubclass(kind, type):
        return False
    # the last one: modules, layers, models
    names = ("_trackable_children", "_serialize_to_tensors", "trainable_variables")
    return any(hasattr(kind, name) for name in names)

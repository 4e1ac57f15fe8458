"""Names that Keras objects get by themselves: `dense`, `dense_1`, ..."""

from __future__ import annotations

import re
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from shardtape.context import state


def snake_case(name: str) -> str:
    """`Conv2D` to `conv2d`, `MaxPooling2D` to `max_pooling2d`, as Keras names layers."""
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    name = re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
    return "private" + name if name.startswith("_") else name


class _Counters:
    """How often each name was given: in eager mode, and in each graph that is being built."""

    def __init__(self) -> None:
        self.eager: dict[str, int] = {}
        self.by_graph: weakref.WeakKeyDictionary[Any, dict[str, int]] = weakref.WeakKeyDictionary()

    def current(self) -> dict[str, int]:
        # what `call` makes while a function is traced is counted for that function alone
        graph = state.graph
        if _inside.names is not None and (graph is None or graph.claims_ops):
            return _inside.names
        if graph is None:
            return self.eager
        return self.by_graph.setdefault(graph, {})


_counters = _Counters()


class _Inside(threading.local):
    """The names of what a layer makes while it is called on a symbolic tensor."""

    names: dict[str, int] | None = None


_inside = _Inside()


@contextmanager
def names_of_symbolic_call() -> Iterator[None]:
    """What is made in the outermost such call is counted for it alone, as in Keras."""
    if _inside.names is not None:
        yield
        return
    _inside.names = {}
    try:
        yield
    finally:
        _inside.names = None


def root_graph() -> Any:
    """The graph that a program builds; None where graphs are made for layers or functions only."""
    graph = state.graph
    while graph is not None and hasattr(graph, "outer_graph"):
        graph = graph.outer_graph
    return graph


def unique_object_name(name: str, zero_based: bool = True) -> str:
    """`name`, or `name_1`, `name_2`, ... where it was given before (from `name_1` on if False)."""
    counts = _counters.current()
    count = counts.get(name, 0)
    counts[name] = count + 1
    if zero_based:
        return name if count == 0 else f"{name}_{count}"
    return f"{name}_{count + 1}"


def reset_names() -> None:
    """Starts all counts anew."""
    _counters.eager.clear()
    _counters.by_graph.clear()

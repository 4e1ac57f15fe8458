"""The ways that lead from a model to its weights: names of layers and attributes, with dots."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shardtape.module import Module
from shardtape.variable import Variable


def weight_paths(starts: Iterable[tuple[str, Any]]) -> dict[str, Variable]:
    """The Variables below objects, containers or Variables, each by the first path to it.

    Args:
      starts: (path, object) pairs; an empty path is left out.
    """
    found: dict[str, Variable] = {}
    seen: set[int] = set()

    def add(item: Any, path: str) -> None:
        if isinstance(item, Variable):
            if id(item) not in seen:
                seen.add(id(item))
                found[path] = item
        elif isinstance(item, (Module, list, tuple, dict)):
            if isinstance(item, Module):
                unseen = item._unseen
                inner: Any = [(k, v) for k, v in vars(item).items() if k not in unseen]
            else:
                inner = item.items() if isinstance(item, dict) else enumerate(item)
            for name, value in inner:
                add(value, f"{path}.{name}" if path else str(name))

    for path, item in starts:
        add(item, path)
    return found

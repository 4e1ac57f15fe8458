"""`tf.Module`: a named container of Variables and other modules."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from shardtape import nest
from shardtape.checkpoint import pending
from shardtape.checkpoint.containers import wrapped
from shardtape.graph.scopes import name_scope
from shardtape.tensor import Tensor
from shardtape.variable import Variable


def snake_case(name: str) -> str:
    """`MyLayer2D` to `my_layer2d`, as TensorFlow names modules."""
    return re.sub(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))", r"_\1", name).lower()


# Attributes of these types hold no Variables.
_LEAVES = (int, float, complex, str, bytes, type(None), np.ndarray, np.generic, Tensor)
_CONTAINERS = (list, tuple, dict)


def _may_hold(value: Any) -> bool:
    from shardtape.checkpoint.object_graph import may_hold  # it knows Optimizers, which need this

    return may_hold(value)


class Module:
    """Base of objects that own Variables; attributes are found by looking at them.

    Args:
      name: a Python identifier; default the class name in snake case.

    Raises ValueError for another name.
    """

    _unseen = frozenset({"_name_scope"})  # attributes that are not searched

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = snake_case(type(self).__name__)
        elif not name.isidentifier():
            raise ValueError(
                f"{name!r} is not a valid module name. Module names must be valid Python "
                "identifiers (e.g. a valid class name)."
            )
        self._name = name
        with name_scope(name) as scope:
            self._name_scope = scope

    def __setattr__(self, name: str, value: Any) -> None:
        # what has a private name is walked often and shown to nobody
        if isinstance(value, _CONTAINERS) and name[:1] != "_" and name not in self._unseen:
            value = wrapped(value)
        object.__setattr__(self, name, value)
        # looking for objects that a restore waits for walks all of them
        if pending.waits() and not isinstance(value, _LEAVES) and _may_hold(value):
            pending.proceed(self)

    @property
    def name(self) -> str:
        return self._name

    @property
    def name_scope(self) -> Any:
        """A context that puts the module's name before the names made inside."""
        return name_scope(self._name_scope)

    @property
    def variables(self) -> Any:
        """All Variables: own ones by attribute name, then those of submodules."""
        return tuple(self._flatten(predicate=lambda x: isinstance(x, Variable)))

    @property
    def trainable_variables(self) -> Any:
        """As `variables`, those that are trainable."""
        return tuple(self._flatten(predicate=lambda x: isinstance(x, Variable) and x.trainable))

    @property
    def non_trainable_variables(self) -> Any:
        """As `variables`, those that are not trainable."""
        return tuple(self._flatten(predicate=lambda x: isinstance(x, Variable) and not x.trainable))

    @property
    def submodules(self) -> tuple[Module, ...]:
        """All modules inside this one, breadth first."""
        return tuple(self._flatten(predicate=lambda x: isinstance(x, Module)))

    def _flatten(
        self,
        recursive: bool = True,
        predicate: Callable[[Any], bool] | None = None,
        attribute_traversal_key: Callable[[str], Any] | None = None,
        with_path: bool = False,
        expand_composites: bool = False,
    ) -> Iterator[Any]:
        """Leaves of the attributes in order of their names, then of submodules, each once."""
        return _flatten_module(
            self, recursive, predicate or (lambda x: True), attribute_traversal_key, with_path,
            (), set(),
        )  # fmt: skip

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Decorator: the method runs inside the module's name scope."""

        @functools.wraps(method)
        def scoped(self: Module, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return scoped


def _flatten_module(
    module: Any,
    recursive: bool,
    predicate: Callable[[Any], bool],
    key: Callable[[str], Any] | None,
    with_path: bool,
    path: tuple[Any, ...],
    seen: set[int],
) -> Iterator[Any]:
    seen.add(id(module))
    attributes = vars(module)
    inner: list[tuple[tuple[Any, ...], Any]] = []
    for name in sorted(attributes, key=key):
        if name in module._unseen:
            continue
        for leaf_path, leaf in _leaves(attributes[name], (name,)):
            if not with_path:
                if id(leaf) in seen:
                    continue
                seen.add(id(leaf))
            if predicate(leaf):
                yield ((*path, *leaf_path), leaf) if with_path else leaf
            if recursive and isinstance(leaf, Module):
                inner.append(((*path, *leaf_path), leaf))
    for submodule_path, submodule in inner:
        if with_path and id(submodule) in seen and submodule is not module:
            continue
        yield from _flatten_module(submodule, True, predicate, key, with_path, submodule_path, seen)


def _leaves(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if not nest.is_nested(value):
        yield path, value
        return
    if isinstance(value, dict):
        try:
            names: Any = sorted(value)
        except TypeError:
            names = list(value)
        for name in names:
            yield from _leaves(value[name], (*path, name))
        return
    for i, item in enumerate(nest._children(value)):
        yield from _leaves(item, (*path, i))

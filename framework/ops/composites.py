"""Functions that values made of several tensors (ragged, sparse) take over.

    @takes_composites
    def concat(values, axis): ...            # the function for tensors

    @overrides("concat", RaggedTensor)
    def ragged_concat(values, axis): ...     # called where an argument is a RaggedTensor

Elementwise ops need no override: see `framework/ragged/elementwise.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

_types: set[type] = set()
_overrides: dict[tuple[str, type], Callable[..., Any]] = {}


def overrides(name: str, kind: type) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers what the function `name` does with arguments of type `kind`."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        _types.add(kind)
        _overrides[name, kind] = function
        return function

    return register


def takes_composites(function: Callable[..., Any]) -> Callable[..., Any]:
    """Lets registered types take the function over, in arguments or in lists of them.

    Raises TypeError for a composite type without an override of this function.
    """
    name = function.__name__

    @functools.wraps(function)
    def dispatched(*args: Any, **kwargs: Any) -> Any:
        # written out for speed: every call comes by here
        for a in (*args, *kwargs.values()) if kwargs else args:
            kind = type(a)
            if kind in _types:
                return _taken(name, kind)(*args, **kwargs)
            if kind is list or kind is tuple:
                for item in a:
                    if type(item) in _types:
                        return _taken(name, type(item))(*args, **kwargs)
        return function(*args, **kwargs)

    return dispatched


def _taken(name: str, kind: type) -> Callable[..., Any]:
    found = _overrides.get((name, kind))
    if found is None:
        raise TypeError(f"tf.{name} does not take a {kind.__name__}; convert it to a tensor first")
    return found


def is_composite(value: Any) -> bool:
    """Whether functions are taken over for values of this type."""
    return type(value) in _types


def override_of(name: str, value: Any) -> Callable[..., Any] | None:
    """The override of a function for the type of `value`; None where there is none."""
    return _overrides.get((name, type(value)))

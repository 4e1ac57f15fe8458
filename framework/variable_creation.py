"""Who hears of the Variables that a thread makes, and who is asked before one is made."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class _Listeners(threading.local):
    """What this thread calls with each Variable that it makes."""

    def __init__(self) -> None:
        self.functions: list[Any] = []
        self.creators: list[Any] = []


listeners = _Listeners()


def creation_listeners() -> tuple[Any, ...]:
    return tuple(listeners.functions)


class variable_creator_scope:
    """Block in which `variable_creator(next_creator, **kwargs)` makes Variables.

    It returns what `next_creator(**kwargs)` made, with other arguments if it likes. Of nested
    blocks the inner one is asked first.
    """

    def __init__(self, variable_creator: Callable[..., Any]) -> None:
        self._creator = variable_creator

    def __enter__(self) -> None:
        listeners.creators.append(self._creator)

    def __exit__(self, *exc: Any) -> None:
        listeners.creators.pop()


class collecting:
    """Context that gathers the Variables made inside it, in order of creation."""

    def __enter__(self) -> list[Any]:
        self.variables: list[Any] = []
        listeners.functions.append(self.variables.append)
        return self.variables

    def __exit__(self, *exc: Any) -> None:
        listeners.functions.remove(self.variables.append)

"""`tf.CriticalSection`: code that one thread at a time runs."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import executing_eagerly, state
from shardtape.graph.py_function import numpy_function
from shardtape.graph.scopes import control_dependencies

_DEADLINE_S = 600.0
_numbers = itertools.count(1)


class CriticalSection:
    """A lock around functions: those that `execute` gets run one after the other.

    A thread that has the section may enter it again. In a traced function it is entered and left
    at each run; a run that fails inside leaves it.

    Args:
      name, shared_name: of the section; sections of one `shared_name` are one.
    """

    _shared: dict[str, _Lock] = {}

    def __init__(
        self, name: str | None = None, shared_name: str | None = None,
        critical_section_def: Any = None, import_scope: Any = None,
    ) -> None:  # fmt: skip
        if critical_section_def is not None:
            raise ValueError("Argument `critical_section_def` is not supported: make a section")
        self._name = name or f"critical_section_{next(_numbers)}"
        key = shared_name or self._name
        self._lock = _Lock(key)
        if shared_name is not None:
            self._lock = CriticalSection._shared.setdefault(shared_name, self._lock)

    @property
    def name(self) -> str:
        return self._name

    def execute(
        self, fn: Callable[[], Any], exclusive_resource_access: bool = True,
        name: str | None = None,
    ) -> Any:  # fmt: skip
        """What `fn()` gives; no other function of the section runs meanwhile.

        Raises:
          DeadlineExceededError: the section was not free within ten minutes.
        """
        if executing_eagerly():
            self._lock.enter()
            try:
                return fn()
            finally:
                self._lock.leave()
        graph = state.graph
        while graph is not None:  # loops and branches may run as a part of what is around them
            if self._lock not in graph.guards:
                graph.guards.append(self._lock)
            graph = getattr(graph, "outer_graph", None)
        entered = numpy_function(self._lock.enter_at_run, [], dt.bool)
        with control_dependencies([entered]):
            made = fn()
        with control_dependencies([made] if hasattr(made, "op") else []):
            numpy_function(self._lock.leave_at_run, [], dt.bool)
        return made


class _Lock:
    def __init__(self, name: str) -> None:
        self._name = name
        self._free = threading.Condition()
        self._owner: int | None = None
        self._depth = 0

    def enter(self) -> None:
        with self._free:
            me = threading.get_ident()
            if self._owner == me:
                self._depth += 1
                return
            if not self._free.wait_for(lambda: self._owner is None, _DEADLINE_S):
                raise errors.DeadlineExceededError(
                    f"the critical section {self._name!r} was not free within {_DEADLINE_S:.0f} s: "
                    "what runs in it waits for something"
                )
            self._owner, self._depth = me, 1

    def leave(self) -> None:
        with self._free:
            self._depth -= 1
            if self._depth <= 0:
                self._owner = None
                self._free.notify()

    def held(self) -> int:
        """How often this thread has entered and not left."""
        return self._depth if self._owner == threading.get_ident() else 0

    def leave_to(self, depth: int) -> None:
        """Leaves until this thread holds it `depth` times."""
        while self.held() > depth:
            self.leave()

    def enter_at_run(self) -> Any:
        self.enter()
        return np.True_

    def leave_at_run(self) -> Any:
        self.leave()
        return np.True_

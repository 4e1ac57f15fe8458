"""Name scopes, for nodes of graphs and for names of Variables."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from shardtape.context import state


class name_scope:
    """Puts `name/` before the names made inside; `name` ending in "/" re-enters a scope.

    Args:
      name: the scope's name; made unique in a graph.
    """

    def __init__(self, name: str | None, default_name: str | None = None, values: Any = None):
        self._name = name if name is not None else default_name

    @property
    def name(self) -> str | None:
        return self._name

    def __enter__(self) -> str:
        self._outer = state.name_stack
        name = self._name
        if not name:
            state.name_stack = ""
        elif name.endswith("/"):
            state.name_stack = name[:-1]
        elif state.graph is not None:
            state.name_stack = state.graph.unique_name(name)
        else:
            state.name_stack = f"{self._outer}/{name}" if self._outer else name
        return state.name_stack + "/" if state.name_stack else ""

    def __exit__(self, *exc: Any) -> None:
        state.name_stack = self._outer


def control_dependencies(control_inputs: Any) -> Any:
    """Block whose operations run after `control_inputs`; eagerly they have run already.

    Args:
      control_inputs: operations and tensors; eagerly, functions among them are called. None clears
        what outer blocks ask for.
    """
    if state.graph is not None:
        return state.graph.control_dependencies(control_inputs)
    for given in control_inputs or ():
        if callable(given):
            given()
    return nullcontext()


class init_scope:
    """Leaves all graphs and tapes: what is made inside is made once, eagerly."""

    def __enter__(self) -> None:
        from shardtape.context import building, recording

        self._contexts = (building(None), recording(()))
        stack = state.name_stack
        for c in self._contexts:
            c.__enter__()
        state.name_stack = stack

    def __exit__(self, *exc: Any) -> None:
        for c in reversed(self._contexts):
            c.__exit__(*exc)

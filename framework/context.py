"""What a thread is doing: the graph it builds and the tapes that watch it."""

from __future__ import annotations

import itertools
import threading
from typing import Any


class _State(threading.local):
    """`busy` is kept equal to "a graph is being built or a recorder is active", `eager` to the
    recorders, or None while a graph is being built.

    One of both is all that the eager fast paths read: one lookup in a thread-local costs as much
    as everything else that they decide.
    """

    busy = False
    eager: tuple[Any, ...] | None = ()
    graph: Any = None
    recorders: tuple[Any, ...] = ()
    device: str | None = None
    on_host: bool = False  # plans run on the host even where there is a GPU
    name_stack: str = ""
    control_inputs: tuple[Any, ...] = ()
    autograph: bool = False  # a function is being traced whose control flow is converted
    autocast: Any = None  # the DType in which Keras's weights are read inside a layer's call
    training: bool | None = None  # what Keras calls the learning phase; None: nobody said


state = _State()
# Tapes key tensors by this counter and never by id(): an id is used again after a tensor died.
next_id = itertools.count(1).__next__


def refresh() -> None:
    """Recomputes `busy` and `eager` after `graph` or `recorders` was set."""
    recorders = state.recorders
    state.eager = recorders if state.graph is None else None
    state.busy = state.eager != ()


class building:
    """Context in which ops are added to `graph`; None means eager execution."""

    def __init__(self, graph: Any) -> None:
        self._graph = graph

    def __enter__(self) -> Any:
        self._outer = (state.graph, state.name_stack, state.control_inputs)
        state.graph = self._graph
        if self._graph is not self._outer[0]:
            state.name_stack, state.control_inputs = "", ()
        refresh()
        return self._graph

    def __exit__(self, *exc: Any) -> None:
        state.graph, state.name_stack, state.control_inputs = self._outer
        refresh()


class recording:
    """Context in which `recorders` (a tuple, replacing the current one) see every op."""

    def __init__(self, recorders: tuple[Any, ...]) -> None:
        self._recorders = recorders

    def __enter__(self) -> None:
        self._outer = state.recorders
        state.recorders = self._recorders
        refresh()

    def __exit__(self, *exc: Any) -> None:
        state.recorders = self._outer
        refresh()


class converting:
    """Context in which the control flow of called user code is converted (AutoGraph)."""

    def __init__(self, on: bool) -> None:
        self._on = on

    def __enter__(self) -> None:
        self._outer = state.autograph
        state.autograph = self._on

    def __exit__(self, *exc: Any) -> None:
        state.autograph = self._outer


class training_phase:
    """Context in which layers that behave differently in training take `training`."""

    def __init__(self, training: bool | None) -> None:
        self._training = training

    def __enter__(self) -> None:
        self._outer = state.training
        state.training = self._training

    def __exit__(self, *exc: Any) -> None:
        state.training = self._outer


class on_host:
    """Context in which plans and ops run on the host: functions of input pipelines."""

    def __enter__(self) -> None:
        self._outer = (state.on_host, state.device)
        state.on_host, state.device = True, "/CPU:0"

    def __exit__(self, *exc: Any) -> None:
        state.on_host, state.device = self._outer


def executing_eagerly() -> bool:
    """True unless a graph is being built."""
    return state.graph is None

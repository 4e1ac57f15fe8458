"""Summaries inside functions: an operation that writes each time the function runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import context
from shardtape import dtypes as dt
from shardtape.graph.py_function import numpy_function
from shardtape.ops.convert import constant, convert_to_tensor
from shardtape.shapes import TensorShape
from shardtape.summary.writer import NO_STEP, state


def in_graph() -> bool:
    """Whether a function is being traced, so that there are no values yet."""
    return context.state.graph is not None


def defer(write: Callable[..., bool], data: Sequence[Any], step: Any) -> Any:
    """Adds an operation that calls `write(*data, step)` with values, if it is recorded then.

    The writer, the default step, what `record_if` says and the name scopes are those of the time
    of tracing; steps and conditions that are tensors or Variables are read at each run.

    Returns:
      A bool tensor: whether it was recorded.

    Raises ValueError if neither a step nor a default one is given.
    """
    writer, condition = state.writer, state.recording
    if writer is None:
        return constant(False)
    step = state.step if step is None else step
    if step is None:
        raise ValueError(NO_STEP)
    condition = condition() if callable(condition) else condition
    scope = context.state.name_stack

    def run(number: Any, wanted: Any, *values: Any) -> Any:
        if not wanted:
            return np.False_
        outer = state.writer, state.recording, context.state.name_stack
        state.writer, state.recording, context.state.name_stack = writer, True, scope
        try:
            return np.bool_(write(*values, int(number)))
        finally:
            state.writer, state.recording, context.state.name_stack = outer

    inputs = [convert_to_tensor(step, dt.int64) if isinstance(step, int) else step,
              convert_to_tensor(condition, dt.bool), *data]  # fmt: skip
    recorded = numpy_function(run, inputs, dt.bool)
    recorded.set_shape(TensorShape([]))
    return recorded


def at_each_run(call: Callable[[], Any]) -> None:
    """Adds an operation that calls a function without arguments or results."""

    def run() -> Any:
        call()
        return np.False_

    numpy_function(run, [], dt.bool)

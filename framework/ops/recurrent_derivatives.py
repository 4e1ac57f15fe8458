"""What the ops over whole sequences (`lstm`, `gru`) share, and derivatives of their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.scratch import scratch
from shardtape.tensor import Tensor

# steps that a graph holds one by one; longer sequences, and unknown ones, are a loop in it
_MOST_UNROLLED = 32


def absent(dtype: dt.DType) -> Tensor:
    """What stands for a gradient or mask that is not there."""
    return convert_to_tensor(np.zeros(0, dtype.numpy_dtype))


def buffer(xp: Any, name: str, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of any content for the time of one kernel."""
    return scratch(name, shape, dtype) if xp is np else xp.empty(shape, dtype)


def slopes(gates: Any, parts: int) -> Any:
    """Slopes of activated gates [..., parts * units]: the third is a tanh, the others sigmoids."""
    units = gates.shape[-1] // parts
    candidate = gates[..., 2 * units : 3 * units]
    made = gates * (1 - gates)
    made[..., 2 * units : 3 * units] = 1 - candidate * candidate
    return made


def recurrent_gradient(xp: Any, h: Any, outputs: Any, d: Any) -> Any:
    """The gradient of the recurrent weights, from that of the products of all steps."""
    units, width = outputs.shape[-1], d.shape[-1]
    if not len(outputs):
        return xp.zeros((units, width), d.dtype)
    made = h.T @ d[0]
    if len(outputs) > 1:
        made += outputs[:-1].reshape(-1, units).T @ d[1:].reshape(-1, width)
    return made


def step_loop(
    step: Callable[[Any, list[Any]], tuple[list[Any], list[Any]]], inputs: Any,
    states: list[Any], mask: Any,
) -> tuple[list[Any], list[Any], list[Any]]:  # fmt: skip
    """Runs `step(slice, states) -> (values, new states)`; where a mask is 0 states stay.

    Returns (the states after each step, the values of each step, the last states), in ops.
    """
    from shardtape.graph.time_loop import time_loop
    from shardtape.ops.array import expand_dims, stack
    from shardtape.ops.selecting import where

    masked = mask.shape.rank == 2
    count = len(states)

    def turn(given: list[Any], before: list[Any]) -> tuple[list[Any], list[Any]]:
        values, new = step(given[0], before)
        if masked:
            keep = expand_dims(given[1] != 0, -1)
            new = [where(keep, a, b) for a, b in zip(new, before)]
        return [*new, *values], new

    sequences = [inputs, mask] if masked else [inputs]
    steps = inputs.shape[0]
    if state.graph is not None and (steps is None or steps > _MOST_UNROLLED):
        stacked, last = time_loop(turn, sequences, states)
        return stacked[:count], stacked[count:], last
    collected = []
    for t in range(steps):
        values, states = turn([s[t] for s in sequences], states)
        collected.append(values)
    stacked = [stack(list(column)) for column in zip(*collected)]
    return stacked[:count], stacked[count:], states


def by_tape(
    forward: Callable[[list[Any], Any], tuple[Any, ...]], inputs: list[Any], mask: Any,
    seeds: list[Any], grads: Any,
) -> tuple[list[Any], list[Any]]:  # fmt: skip
    """Gradients of the gradient of `forward`, which is written in ops.

    Args:
      seeds: the gradients of its results that its gradient got (`absent` where it got none).
      grads: gradients of what that gradient returned, one per input, None among them.

    Returns (gradients of the inputs, gradients of the seeds).
    """
    from shardtape.tape import GradientTape

    given = [i for i, s in enumerate(seeds) if s.shape.rank != 1]
    wanted = [i for i, g in enumerate(grads) if g is not None]
    sources = [*inputs, *[seeds[i] for i in given]]
    with GradientTape(watch_accessed_variables=False) as outer:
        for t in sources:
            outer.watch(t)
        with GradientTape(watch_accessed_variables=False) as inner:
            for t in inputs:
                inner.watch(t)
            results = forward(inputs, mask)
        first = inner.gradient(
            [results[i] for i in given], inputs, output_gradients=[seeds[i] for i in given]
        )
    wanted = [i for i in wanted if first[i] is not None]
    found = outer.gradient(
        [first[i] for i in wanted], sources, output_gradients=[grads[i] for i in wanted]
    )
    by_seed: list[Any] = [None] * len(seeds)
    for i, g in zip(given, found[len(inputs) :]):
        by_seed[i] = g
    return list(found[: len(inputs)]), by_seed

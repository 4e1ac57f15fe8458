"""The loop over the steps of sequences that recurrent layers share (`tf.keras.backend.rnn`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.context import state
from shardtape.graph.time_loop import time_loop
from shardtape.ops.array import (
    expand_dims,
    sequence_mask,
    shape,
    stack,
    transpose,
    unstack,
    zeros_like,
)
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.selecting import where
from shardtape.tensor import Tensor


def rnn(
    step_function: Callable[[Any, Any], tuple[Any, Any]],
    inputs: Any,
    initial_states: Any,
    go_backwards: bool = False,
    mask: Any = None,
    constants: Any = None,
    unroll: bool = False,
    input_length: Any = None,
    time_major: bool = False,
    zero_output_for_mask: bool = False,
    return_all_outputs: bool = True,
) -> tuple[Any, Any, Any]:
    """Runs `step_function(inputs, states) -> (output, new states)` over the second axis.

    Eagerly, and where `unroll` is set, Python runs the steps; in a graph one node does.

    Args:
      inputs: tensors (samples, steps, ...), nested; steps first if `time_major`.
      initial_states: list of tensors (nested).
      go_backwards: from the last step on; outputs come in that order.
      mask: (samples, steps) or (samples, steps, 1): states stay as they are where it is False, and
        the output is the one before, or zeros if `zero_output_for_mask`.
      constants: handed to each step after the states.
      input_length: a tensor of each sample's number of steps stands for a mask.
      return_all_outputs: False keeps only the last output.

    Returns (last output, outputs (samples, steps, ...), list of final states).
    """
    if not time_major:
        inputs = nest.map_structure(_swapped, inputs)
    flat = [convert_to_tensor(t) for t in nest.flatten(inputs)]
    for t in flat:
        t.shape.with_rank_at_least(3)
    if mask is None and isinstance(input_length, Tensor):
        mask = sequence_mask(input_length, shape(flat[0])[0])
        mask = transpose(mask, [1, 0]) if time_major else mask
    if mask is not None:
        mask = cast(mask, dt.bool)
        mask = expand_dims(mask, -1) if mask.shape.rank == 2 else mask
        mask = mask if time_major else _swapped(mask)
    loop = _Loop(step_function, inputs, initial_states, constants or [], zero_output_for_mask)
    steps = flat[0].shape[0]
    if unroll and not steps:
        raise ValueError("Unrolling requires a fixed number of timesteps.")
    if state.graph is None or unroll:
        outputs, states = loop.in_python(flat, mask, go_backwards, return_all_outputs)
    else:
        outputs, states = loop.in_graph(flat, mask, go_backwards)
    last = nest.map_structure(lambda t: t[-1], outputs)
    if not return_all_outputs:
        outputs = nest.map_structure(lambda t: expand_dims(t, 0), last)
    if not time_major:
        outputs = nest.map_structure(_swapped, outputs)
    if isinstance(states, list) and (mask is not None or not unroll):
        states = tuple(states)
    return last, outputs, states


def _swapped(t: Any) -> Tensor:
    """Batch and steps change places."""
    t = convert_to_tensor(t)
    return transpose(t, [1, 0, *range(2, t.shape.rank)])


class _Loop:
    """One run of a step function, whose values are flat lists here."""

    def __init__(
        self, step: Any, inputs: Any, states: Any, constants: list[Any], zeros: bool
    ) -> None:
        self._step, self._inputs, self._states = step, inputs, list(states)
        self._constants, self._zeros = constants, zeros
        self.output: Any = None  # its structure

    def step(self, inputs: list[Any], states: list[Any]) -> tuple[list[Any], list[Any]]:
        packed = nest.pack_sequence_as(self._inputs, inputs)
        given = nest.pack_sequence_as(self._states, states)
        output, new = self._step(packed, (*given, *self._constants))
        self.output = output
        return nest.flatten(output), nest.flatten(new)

    def masked(
        self, mask: Any, inputs: list[Any], states: list[Any], before: list[Any] | None
    ) -> tuple[list[Any], list[Any]]:
        """A step after which states and outputs of masked samples are as they were before."""
        outputs, new = self.step(inputs, states)
        if before is None:
            before = [zeros_like(t) for t in outputs]
        return (
            [_chosen(mask, t, old) for t, old in zip(outputs, before)],
            [_chosen(mask, t, old) for t, old in zip(new, states)],
        )

    def in_python(
        self, flat: list[Any], mask: Any, backwards: bool, keep_all: bool
    ) -> tuple[Any, Any]:
        sequences = [unstack(t) for t in flat]
        masks = None if mask is None else unstack(mask)
        total = len(sequences[0])
        states = [convert_to_tensor(t) for t in nest.flatten(self._states)]
        collected: list[list[Any]] = []
        before: list[Any] | None = None
        for t in range(total - 1, -1, -1) if backwards else range(total):
            slices = [s[t] for s in sequences]
            if masks is None:
                outputs, states = self.step(slices, states)
            else:
                outputs, states = self.masked(masks[t], slices, states, before)
                before = None if self._zeros else outputs
            if not keep_all:
                collected = []
            collected.append(outputs)
        stacked = [stack([some[k] for some in collected]) for k in range(len(collected[0]))]
        return self._packed(stacked, states)

    def in_graph(self, flat: list[Any], mask: Any, backwards: bool) -> tuple[Any, Any]:
        states = nest.flatten(self._states)
        # as in Keras a step stands before the loop: what it draws takes its seeds
        first, _ = self.step([t[0] for t in flat], [convert_to_tensor(t) for t in states])
        if mask is None:
            outputs, new = time_loop(self.step, flat, states, backwards)
            return self._packed(outputs, new)
        count, own = len(flat), len(states)
        if self._zeros:

            def step(inputs: list[Any], given: list[Any]) -> tuple[list[Any], list[Any]]:
                return self.masked(inputs[count], inputs[:count], given, None)

            outputs, new = time_loop(step, [*flat, mask], states, backwards)
            return self._packed(outputs, new)

        def carrying(inputs: list[Any], given: list[Any]) -> tuple[list[Any], list[Any]]:
            outputs, new = self.masked(inputs[count], inputs[:count], given[:own], given[own:])
            return outputs, [*new, *outputs]

        # the first output tells the shape of the zeros that stand before it
        nothing = [zeros_like(t) for t in first]
        outputs, new = time_loop(carrying, [*flat, mask], [*states, *nothing], backwards)
        return self._packed(outputs, new[:own])

    def _packed(self, outputs: list[Any], states: list[Any]) -> tuple[Any, Any]:
        return (
            nest.pack_sequence_as(self.output, outputs),
            nest.pack_sequence_as(self._states, states),
        )


def _chosen(mask: Any, new: Any, old: Any) -> Tensor:
    while mask.shape.rank < new.shape.rank:
        mask = expand_dims(mask, -1)
    return where(mask, new, old)

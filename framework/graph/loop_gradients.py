"""The gradient of a loop written as two loops, which have gradients themselves.

The first loop runs the body again and lists the values that each turn starts with; the second goes
through the turns backwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.graph.branch_node import DenseBackward, node_op
from shardtape.graph.loops import while_loop
from shardtape.graph.replay import Find, Replay, sum_of, zeros_for
from shardtape.ops import array, tensor_list
from shardtape.shapes import TensorShape


def length_of(frame: Any, count: Callable[[Any], int]) -> Any:
    """The number of turns that a loop ran, as a tensor; `count` reads it from the frame."""

    def kernel(xp: Any, frame: Any) -> Any:
        return np.int32(count(frame))

    made = node_op("LoopLength", kernel, [dt.int32], [TensorShape([])], False)
    made.differentiable = False
    got = state.graph.add_op(made, [frame], {}, "LoopLength")
    return got[0] if isinstance(got, tuple) else got


class LoopGradient:
    """The gradient of a loop's node, from its body's.

    Args:
      find: from the node's frame and a turn to the values that the body's run kept.
      turns: how many turns a frame holds.
      captured: places among the node's inputs of what the body captured.
      places: fetches of the body's gradient by place among the node's inputs; they are added up.
    """

    def __init__(
        self, backward: DenseBackward, find: Find, turns: Callable[[Any], int],
        captured: Sequence[int], places: dict[int, int],
    ) -> None:  # fmt: skip
        self.backward, self._replay = backward, Replay(backward, find)
        self._turns, self._captured = turns, captured
        self.sums = {i: place for i, place in places.items() if place >= 0}

    def while_loop(
        self, frame: Any, seeds: Sequence[Any], inputs: Sequence[Any], wanted: Sequence[int]
    ) -> list[Any]:
        """Gradients with respect to the inputs at `wanted` of a node of `tf.while_loop`."""
        count = len(seeds)
        total = length_of(frame, self._turns)
        lists = self._starts(frame, total, inputs, dict(enumerate(inputs[:count])), lambda t: {})

        def body(turn: Any, grads: list[Any], sums: list[Any]) -> Any:
            got, sums = self._turn(frame, turn, lists, {}, inputs, dict(zip(live, grads)), sums)
            return turn - 1, [got[i] for i in live], sums

        live = self.backward.backward.live
        start = total - 1, [seeds[i] for i in live], [zeros_for(inputs[i]) for i in self.sums]
        _, grads, sums = while_loop(lambda turn, *_: turn >= 0, body, start, name="while_grad")
        found = {**dict(zip(live, grads)), **dict(zip(self.sums, sums))}
        return [found[i] if i in found else zeros_for(inputs[i]) for i in wanted]

    def time_loop(
        self, frame: Any, seeds: Sequence[Any], inputs: Sequence[Any], wanted: Sequence[int],
        sequences: int, backwards: bool,
    ) -> list[Any]:  # fmt: skip
        """Gradients with respect to the inputs at `wanted` of a node of `time_loop`."""
        arguments = len(self.backward.branch.arguments)
        outputs = len(seeds) - (arguments - sequences)
        total = array.shape(inputs[0])[0]

        def slices(turn: Any) -> dict[int, Any]:
            at = total - 1 - turn if backwards else turn
            return {i: array.gather(inputs[i], at) for i in range(sequences)}

        states = {i: inputs[i] for i in range(sequences, arguments)}
        lists = self._starts(frame, total, inputs, states, slices)
        live = [i for i in self.backward.backward.live if i >= outputs]
        filled = [i for i in range(sequences) if self.backward.input_places[i] >= 0]

        def body(turn: Any, grads: list[Any], sums: list[Any], rows: list[Any]) -> Any:
            known = dict(zip(live, grads))
            for k in self.backward.backward.live:
                if k < outputs:
                    known[k] = array.gather(seeds[k], turn)
            got, sums = self._turn(frame, turn, lists, slices(turn), inputs, known, sums)
            at = total - 1 - turn if backwards else turn
            rows = [tensor_list.set_item(r, at, got[i]) for i, r in zip(filled, rows)]
            return turn - 1, [got[sequences + k - outputs] for k in live], sums, rows

        start = (
            total - 1, [seeds[i] for i in live], [zeros_for(inputs[i]) for i in self.sums],
            [tensor_list.reserve(total) for _ in filled],
        )  # fmt: skip
        _, grads, sums, rows = while_loop(
            lambda turn, *_: turn >= 0, body, start, name="time_loop_grad"
        )
        found = {sequences + k - outputs: g for k, g in zip(live, grads)}
        found.update(zip(self.sums, sums))
        found.update((i, tensor_list.stack_like(r, inputs[i])) for i, r in zip(filled, rows))
        return [found[i] if i in found else zeros_for(inputs[i]) for i in wanted]

    def _starts(
        self, frame: Any, total: Any, inputs: Sequence[Any], carried: dict[int, Any],
        given: Callable[[Any], dict[int, Any]],
    ) -> dict[int, Any]:  # fmt: skip
        """Lists of what each turn starts with, by argument of the body, where it is needed.

        Args:
          carried: first values of the arguments that turns hand on, in the order of the results.
          given: the other arguments in a turn.
        """
        branch = self.backward.branch
        needed = self._replay.needed_arguments(self.backward.plan.fetches)
        # where nothing flows back the gradient is zeros in the form of what was carried
        live = [p for i, p in enumerate(self.backward.input_places) if i in carried and p < 0]
        saved = [i for i in carried if i in needed or live]
        if not saved:
            return {}
        results = branch.outputs[-len(carried) :]
        captured = [inputs[i] for i in self._captured]

        def body(turn: Any, values: list[Any], lists: list[Any]) -> Any:
            now = dict(zip(carried, values))
            lists = [tensor_list.set_item(r, turn, now[i]) for i, r in zip(saved, lists)]
            after = self._replay.run(results, {**given(turn), **now}, captured, (), frame, turn)
            return turn + 1, after, lists

        start = 0, list(carried.values()), [tensor_list.reserve(total) for _ in saved]
        _, _, lists = while_loop(lambda turn, *_: turn < total, body, start, name="while_again")
        return dict(zip(saved, lists))

    def _turn(
        self, frame: Any, turn: Any, lists: dict[int, Any], given: dict[int, Any],
        inputs: Sequence[Any], seeds: dict[int, Any], sums: list[Any],
    ) -> tuple[dict[int, Any], list[Any]]:  # fmt: skip
        """Gradients of a turn by argument of the body, and the sums with its part added."""
        arguments = self.backward.branch.arguments
        now = dict(given)
        for i, members in lists.items():
            shape = arguments[i].shape
            known = None if shape.rank is None else tuple(shape.as_list())
            now[i] = tensor_list.get_item(
                members, turn, element_dtype=arguments[i].dtype, element_shape=known
            )
        captured = [inputs[i] for i in self._captured]
        got = self._replay.run(self.backward.plan.fetches, now, captured, seeds, frame, turn)
        by_argument = {
            i: got[place] if place >= 0 else zeros_for(now[i])
            for i, place in enumerate(self.backward.input_places[: len(arguments)])
            if place >= 0 or i in now
        }
        return by_argument, [sum_of(s, got[place]) for s, place in zip(sums, self.sums.values())]

"""Gradients of the gradients of control flow.

The node of a gradient runs compiled plans, which nobody can differentiate. Where its own gradient
is asked for, it is written once more as `switch`, loops and lists of tensors, which have gradients
of every order, and that text is differentiated. What the first run read and drew is taken from its
frame, so that the second run computes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.gradients import Record, backpropagate
from shardtape.graph.branch_node import (
    DenseBackward,
    computed_again,
    node_op,
    readable,
    results,
    value_of,
)
from shardtape.ops import array, tensor_list
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Op

Find = Callable[[Any, int], Sequence[Any]]


def differentiated(
    rebuild: Callable[[list[Any]], list[Any]], grads: Sequence[Any], given: Sequence[Any]
) -> list[Any]:
    """Gradients with respect to each of `given` of what `rebuild` computes from them, or None.

    Args:
      rebuild: from tensors of the graph that is built (handles for Variables) to tensors.
      grads: of its results, None where there is none.
    """
    graph = state.graph
    symbols = []
    for x in given:
        x = readable(x)
        # a tensor that is given twice has two gradients
        symbols.append(x if x.dtype is dt.resource else array.identity(x))
    start = len(graph.get_operations())
    outputs = rebuild(symbols)
    nodes = graph.get_operations()[start:]
    seeds: dict[int, Any] = {}
    for y, g in zip(outputs, grads):
        if g is not None:
            seeds[y._id] = convert_to_tensor(g)
    wanted = {t._id for t in symbols}
    leads = set(wanted)
    for node in nodes:
        if any(t._id in leads for t in node.inputs):
            leads.update(t._id for t in node.outputs)
    records = [
        Record(n.op_def, n.inputs, n.attrs, n.outputs)
        for n in reversed(nodes)
        if any(t._id in leads for t in n.inputs)
    ]
    found = backpropagate(records, seeds, wanted, leads.__contains__)
    return [found.get(t._id) for t in symbols]


def zeros_for(t: Any) -> Any:
    """Zeros in the form of a tensor of the graph, a list, or the Variable of a handle."""
    if t.dtype is dt.variant:
        return tensor_list.zeros(t)
    if t.dtype is dt.resource:
        variable = value_of(t)
        if variable.shape.is_fully_defined():
            return array.zeros(variable.shape, variable.dtype)
        return array.zeros_like(variable.read_value())
    return array.zeros_like(t)


def sum_of(a: Any, b: Any) -> Any:
    return tensor_list.add(a, b) if a.dtype is dt.variant else a + b


class Replay:
    """Copies a branch's forward and backward nodes into the graph that is built.

    Args:
      find: from a frame and a turn to the values that the branch's run kept.
    """

    def __init__(self, backward: DenseBackward, find: Find) -> None:
        self.backward, self.branch, self._find = backward, backward.branch, find
        self._places = {t._id: i for i, t in enumerate(backward.kept)}
        self._live = [backward.backward.seeds[i] for i in backward.backward.live]

    def needed_arguments(self, fetches: Sequence[Any]) -> list[int]:
        """Places of the branch's arguments that the fetches are computed from."""
        arguments = {t._id: i for i, t in enumerate(self.branch.arguments)}
        reached = {t._id for n in self._nodes(fetches, set()) for t in n.inputs}
        reached |= {t._id for t in fetches}
        return sorted(i for key, i in arguments.items() if key in reached)

    def run(
        self, fetches: Sequence[Any], arguments: dict[int, Any], captured: Sequence[Any],
        seeds: Any, frame: Any, turn: Any,
    ) -> list[Any]:  # fmt: skip
        """Copies of the fetches.

        Args:
          arguments: what stands for the branch's arguments, by place.
          captured: what stands for what it captured.
          seeds: gradients of its outputs, by place; none for copies of the forward nodes.
          frame, turn: where the values are that were kept.
        """
        live = self.backward.backward.live
        copies: dict[int, Any] = {self.branch.arguments[i]._id: t for i, t in arguments.items()}
        copies.update((p._id, t) for (_, p), t in zip(self.branch.graph.captures, captured))
        copies.update(
            (s._id, seeds[i]) for i, s in zip(live, self._live) if seeds and s is not None
        )
        target = state.graph
        for node in self._nodes(fetches, set(copies)):
            if node.is_handle:
                copies[node.outputs[0]._id] = target.variable_handle(node.attrs["variable"])
                continue
            op, attrs = node.op_def, node.attrs
            inputs = [copies[t._id] for t in node.inputs]
            if self._pinned(node):
                op, inputs, attrs = self._taken(node), [frame, turn, *inputs], {}
            elif op.relocate is not None:
                op = op.relocate(copies)
            got = target.add_op(op, inputs, attrs, node.name.rsplit("/", 1)[-1])
            for t, copy in zip(node.outputs, got if isinstance(got, tuple) else (got,)):
                copies.setdefault(t._id, copy)
        return [copies[t._id] for t in fetches]

    def _pinned(self, node: Any) -> bool:
        return not computed_again(node) and node.outputs[0]._id in self._places

    def _nodes(self, fetches: Sequence[Any], given: set[int]) -> list[Any]:
        """The nodes that the fetches reach through data, in the order of their making."""
        found: dict[int, Any] = {}
        waiting = [t.op for t in fetches if t._id not in given]
        while waiting:
            node = waiting.pop()
            if node.index in found or node.op_def.type == "Placeholder":
                continue
            found[node.index] = node
            waiting.extend(t.op for t in node.inputs if t._id not in given)
        return [found[i] for i in sorted(found)]

    def _taken(self, node: Any) -> Op:
        """An op in place of the node's own: its results are those that were kept."""
        places = [self._places[t._id] for t in node.outputs]
        find, op, attrs = self._find, node.op_def, node.attrs

        def kernel(xp: Any, frame: Any, turn: Any, *inputs: Any) -> Any:
            kept = find(frame, int(turn))
            return results([kept[p] for p in places])

        made = node_op(
            "KeptValue", kernel, [t.dtype for t in node.outputs],
            [t.shape for t in node.outputs], False,
        )  # fmt: skip

        @made.gradient
        def _(grads: Any, outputs: Any, frame: Any, turn: Any, *inputs: Any) -> Any:
            return [None, None, *op.run_gradient(grads, outputs, inputs, attrs)]

        return made

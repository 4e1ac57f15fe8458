"""What a function's graph shows beside the nodes that it runs.

TensorFlow's graphs of functions have nodes that compute nothing: an Identity for each result and
for each output of a branch, a NoOp that waits for all effects, the counter and the limit of a
loop. They are nodes here too, so that names and listings are the same, but nothing is computed
through them: consumers keep the tensors themselves, and only their description names the copies.
So a plan never meets them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape.context import building, recording, state
from shardtape.ops import registry


class Shown:
    """How the nodes of one graph are described.

    Attributes:
      names: names of arguments as the user gave them, by the node's index.
      leading: tensors that are described as first inputs of a node, by its index.
    """

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.leading: dict[int, tuple[Any, ...]] = {}
        self._copies: dict[int, str] = {}  # what is said to be read, by the tensor's key
        self._plain: set[int] = set()  # nodes of which the tensors themselves are named

    def copy(self, tensor: Any, name: str) -> Any:
        """An Identity of a tensor, which no other node reads; later nodes are said to read it."""
        made = self.result(tensor, name)
        self._plain.add(made.op.index)
        self._copies[tensor._id] = made.op.name
        return made

    def result(self, tensor: Any, name: str = "Identity") -> Any:
        """An Identity of a tensor, for show alone."""
        return add_shown(tensor.graph, registry.get("Identity"), (tensor,), {}, name)

    def offset(self, tensor: Any, by: int) -> None:
        """Says that the output of a node stands `by` places further."""
        self._copies[tensor._id] = _place(tensor.op.name, tensor.value_index + by)

    def input(self, node: Any, tensor: Any) -> str:
        """How an input of a node is named: `name`, or `name:output`."""
        if tensor._id in self._copies and node.index not in self._plain:
            return self._copies[tensor._id]
        return _place(tensor.op.name, tensor.value_index)


def _place(name: str, index: int) -> str:
    return f"{name}:{index}" if index else name


def add_shown(graph: Any, op: Any, inputs: Any, attrs: dict[str, Any], name: str) -> Any:
    """Adds a node of a name that is free of scopes; neither tapes nor control inputs see it."""
    outer = state.control_inputs
    with building(graph), recording(()):
        state.control_inputs = ()
        try:
            full = graph.unique_name(name, absolute=True)
            return graph.add_op(op, inputs, attrs, f"{full}/")
        finally:
            state.control_inputs = outer


def has_effects(node: Any) -> bool:
    """Whether TensorFlow runs a node even if nobody needs its outputs."""
    if node.is_handle or node.op_def.type in ("Placeholder", "NoOp"):
        return False
    effects = node.op_def.effects
    if effects in (registry.PURE, registry.RANDOM):
        return False
    return not node.op_def.type.startswith("Stateless")


def is_stateless(graphs: Sequence[Any]) -> bool:
    """Whether a node that holds these branches is one of the `Stateless` kind."""
    return not any(
        has_effects(node) or node.op_def.effects == registry.RANDOM
        for graph in graphs
        for node in graph.get_operations()
    )


def end_of(graph: Any, results: Sequence[Any]) -> None:
    """Adds the NoOp that waits for all effects, before which no result is there.

    Args:
      results: the Identities of the function's outputs.
    """
    waited = tuple(node for node in graph.get_operations() if has_effects(node))
    if not waited or not results:
        return
    node = add_shown(graph, registry.get("NoOp"), (), {}, "NoOp")
    node._waits_for = waited
    for result in results:
        result.op._waits_for = (node,)


def order_of_effects(graph: Any) -> dict[int, list[Any]]:
    """The nodes that have to run before a node, because of the Variables that both use."""
    written: dict[int, Any] = {}
    read: dict[int, list[Any]] = {}
    found: dict[int, list[Any]] = {}
    for node in graph.get_operations():
        for handle in node.inputs:
            if "variable" not in handle.op.attrs:
                continue
            key = handle._id
            before = [written[key]] if key in written else []
            if node.op_def.effects == registry.WRITES:
                before = [*before, *read.pop(key, [])]
                written[key] = node
            else:
                read.setdefault(key, []).append(node)
            found.setdefault(node.index, []).extend(before)
    return found

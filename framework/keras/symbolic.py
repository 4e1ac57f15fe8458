"""Symbolic calls of layers: the graph they are traced in, and who made which tensor.

`Input` makes a tensor of a `KerasGraph`. Layers that are called on such tensors run once to add
their operations there (which infers shapes, and shows a layer's own `print` symbolic tensors);
each call is remembered as a `Node`. A model built of them runs the nodes again on real tensors.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.context import building
from shardtape.graph.func_graph import FuncGraph
from shardtape.graph.ir import Graph
from shardtape.keras.naming import root_graph
from shardtape.ops import source
from shardtape.shapes import TensorShape
from shardtape.tensor import EagerTensor, SymbolicTensor


class KerasGraph(FuncGraph):
    """See the module's text; `history` says by tensor key which node made it, at which position."""

    claims_ops = True

    def __init__(self, outer: Any) -> None:
        super().__init__("keras_graph", outer)
        self.history: dict[int, tuple[Node, int]] = {}

    def describe(self, tensor: SymbolicTensor, short: bool) -> str:
        """How a tensor of this graph is shown."""
        made = self.history.get(tensor._id)
        layer = None if made is None else made[0].layer
        by = "" if layer is None else f"created by layer '{layer.name}'"
        if short:
            known = "<unknown>" if tensor.shape.rank is None else tensor.shape
            return f"<KerasTensor: shape={known} dtype={tensor.dtype.name}{by and f' ({by})'}>"
        entrance = tensor.op.type == "Placeholder"
        spec = f"TensorSpec(shape={tensor.shape}, dtype={tensor.dtype!r}, name="
        name = tensor.op.name if entrance else tensor.name
        spec += f"'{name}')" if entrance else "None)"
        described = by and f', description="{by}"'
        return f"KerasTensor(type_spec={spec}, name='{name}'{described})"

    def capture(self, value: Any) -> SymbolicTensor:
        """Values from outside are constants of the graph: shapes may depend on them."""
        if type(value) is EagerTensor:
            return Graph.capture(self, value)
        return super().capture(value)


class Node:
    """One call of a layer.

    Attributes:
      layer: who was called; None for an input.
      args, kwargs: what it was called with, symbolic tensors among it.
      outputs: what it returned, nested.
      index: order of the calls.
    """

    __slots__ = ("layer", "args", "kwargs", "outputs", "index")
    _count = 0

    def __init__(self, layer: Any, args: Any, kwargs: Any, outputs: Any) -> None:
        self.layer, self.args, self.kwargs, self.outputs = layer, args, kwargs, outputs
        Node._count += 1
        self.index = Node._count
        for i, t in enumerate(nest.flatten(outputs)):
            if is_keras_tensor(t):
                t.graph.history[t._id] = (self, i)

    def inputs(self) -> Iterator[SymbolicTensor]:
        """The symbolic tensors among the arguments."""
        for t in nest.flatten((self.args, self.kwargs)):
            if is_keras_tensor(t):
                yield t


class OperationCall:
    """Stands for a layer where a tensor was made by an operation and no layer."""

    def __init__(self, operation: Any) -> None:
        self.operation = operation
        self.name = operation.name


class _Graphs:
    def __init__(self) -> None:
        self.eager: KerasGraph | None = None
        self.by_graph: weakref.WeakKeyDictionary[Any, KerasGraph] = weakref.WeakKeyDictionary()


_graphs = _Graphs()


def keras_graph() -> KerasGraph:
    """The graph of symbolic calls of eager mode, or of the graph that is being built."""
    outer = root_graph()
    if outer is None:
        if _graphs.eager is None:
            _graphs.eager = KerasGraph(None)
        return _graphs.eager
    found = _graphs.by_graph.get(outer)
    if found is None:
        found = _graphs.by_graph[outer] = KerasGraph(outer)
    return found


def forget_graphs() -> None:
    """Symbolic calls from now on are traced in new graphs."""
    _graphs.eager = None
    _graphs.by_graph.clear()


def is_keras_tensor(x: Any) -> bool:
    """True for what `Input` and layers called on it give."""
    return type(x) is SymbolicTensor and isinstance(x.op.graph, KerasGraph)


def symbolic_input(shape: Any, dtype: Any, name: str, layer: Any = None) -> SymbolicTensor:
    """A new input of the symbolic graph, of a full shape (with None for the batch)."""
    graph = keras_graph()
    with building(graph):
        tensor = graph.add_op(
            source.placeholder, (),
            {"dtype": dt.as_dtype(dtype), "shape": TensorShape(shape)}, name,
        )  # fmt: skip
    node = Node(layer, (), {}, tensor)
    if layer is not None:
        layer._inbound_nodes.append(node)
    return tensor


def fixed_value(tensor: SymbolicTensor) -> Any:
    """What a tensor of the graph stands for that no call has made: a value, or a Variable."""
    if tensor.op.type == "Const":
        return EagerTensor(tensor.op.attrs["value"])
    if tensor.op.type == "VarHandleOp":
        return tensor.op.attrs["variable"]
    return next((outer for outer, p in tensor.graph.captures if p is tensor), None)


def node_of(tensor: SymbolicTensor) -> Node:
    """The call that made a tensor; an operation that no layer added becomes one."""
    found = tensor.graph.history.get(tensor._id)
    if found is not None:
        return found[0]
    operation = tensor.op
    outputs = operation.outputs[0] if len(operation.outputs) == 1 else tuple(operation.outputs)
    node = Node(OperationCall(operation), tuple(operation.inputs), {}, outputs)
    return node

"""Symbolic calls of layers: the graph they are traced in, and who made which tensor.

`Input` makes a tensor of a `KerasGraph`. Layers that are called on such tensors run once to add
their operations there (which infers shapes, and shows a layer's own `print` symbolic tensors);
each call is remembered as a `Node`. A model built of them runs the nodes again on real tensors.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.context import building, state
from shardtape.errors import OpError
from shardtape.graph.func_graph import FuncGraph, TensorSpec
from shardtape.graph.ir import Graph
from shardtape.graph.static import partial_value
from shardtape.keras.function_calls import (
    PART,
    RAGGED_PART,
    FunctionCall,
    arguments_of,
    entered,
    function_of,
)
from shardtape.keras.masks import mask_of
from shardtape.keras.naming import root_graph, unique_object_name
from shardtape.ops import source
from shardtape.ops.array import identity
from shardtape.ops.composites import is_composite
from shardtape.ops.convert import convert_to_tensor
from shardtape.shapes import TensorShape
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor
from shardtape.type_spec import TypeSpec, composite_spec
from shardtape.variable import Variable

_MAX_SIZES = 254  # more are no shape


class KerasGraph(FuncGraph):
    """See the module's text.

    Args:
      shows_calls: whether functions that are called on its tensors are shown as layers.

    Attributes:
      history: by tensor key which node made it, at which position.
      calls: by operation which call of a function added it, outside layers.
      composites: by key of a tensor the ragged, sparse or other value that it stands for, made
        of tensors of this graph; layers are called on that.
    """

    claims_ops = True
    takes_resources = shows_copies = False

    def __init__(self, outer: Any, shows_calls: bool = False) -> None:
        super().__init__("keras_graph", outer)
        self.history: dict[int, tuple[Node, int]] = {}
        self.calls: dict[Any, FunctionCall] = {}
        self.composites: dict[int, Any] = {}
        self.shows_calls = shows_calls
        self._running: tuple[Any, FunctionCall] | None = None  # (its frame, the call)
        self._given: FunctionCall | None = None
        self._given_names: set[str] = set()

    def add_op(self, op: Any, inputs: Any, attrs: dict[str, Any], name: str | None = None) -> Any:
        made = super().add_op(op, inputs, attrs, name)
        if self.shows_calls and inputs:
            operation = self._operations[-1]
            call = self.calls[operation] = self._given or self._call_of(operation, inputs, attrs)
            call.ops.append(operation)
            if self.composites and any(t._id in self.composites for t in inputs):
                self._follow(operation)
        return made

    def _follow(self, operation: Any) -> None:
        """Lets the result of an operation on a ragged or sparse value stand for that of the value.

        Where the operation does not take the value it stands for nothing: then layers that follow
        see a tensor of its shape.
        """
        from shardtape.keras.models.network import run_operation

        taken = tuple(self._taken(t) for t in operation.inputs)
        self.shows_calls = False
        try:
            with building(self):
                value = run_operation(operation.op_def, taken, operation.attrs)
        except (TypeError, ValueError, NotImplementedError, OpError):
            return
        finally:
            self.shows_calls = True
        if composite_spec(value) is not None and len(operation.outputs) == 1:
            self.composites[operation.outputs[0]._id] = value

    def _taken(self, t: SymbolicTensor) -> Any:
        if t._id in self.composites:
            return self.composites[t._id]
        found = fixed_value(t)
        return t if found is None else found

    def _call_of(self, operation: Any, inputs: Any, attrs: Any) -> FunctionCall:
        """The call that an operation belongs to: the running one, or a new one."""
        frame = entered()
        if self._running is not None and frame is not None and self._running[0] is frame:
            return self._running[1]
        function = function_of(frame, operation.op_def)
        if function == PART and hasattr(self.composites.get(inputs[0]._id), "flat_values"):
            function = RAGGED_PART
        with building(self.outer_graph):  # names are counted where layers' are
            name = unique_object_name(f"tf.{function}")
            while name in self._given_names:
                name = unique_object_name(f"tf.{function}")
        call = FunctionCall(function, name)
        call.given = arguments_of(frame, operation.op_def, inputs, attrs)
        self._running = (frame, call)
        return call

    def end_call(self) -> None:
        """Lets go of the frame of the last call, and with it of all locals of its callers."""
        self._running = None

    @contextlib.contextmanager
    def in_layer(self) -> Iterator[None]:
        """Block in which operations are a layer's, and no calls of functions."""
        outer, self.shows_calls = self.shows_calls, False
        self.end_call()
        try:
            yield
        finally:
            self.shows_calls = outer

    @contextlib.contextmanager
    def as_call(self, call: FunctionCall) -> Iterator[None]:
        """Block in which operations belong to one call, which was read from a configuration."""
        outer, self._given = self._given, call
        self._given_names.add(call.name)
        try:
            yield
        finally:
            self._given = outer

    def member(self, tensor: SymbolicTensor, name: str) -> Any:
        """What an attribute of a tensor is that other tensors lack. Raises AttributeError.

        Members of the ragged or sparse value that it stands for are shown as layers.
        """
        value = self.composites.get(tensor._id)
        if name == "type_spec":
            if value is not None:
                return composite_spec(value)
            made = self.history.get(tensor._id)
            given = made is not None and not made[0].args  # an input
            return TensorSpec(tensor.shape, tensor.dtype, tensor.op.name if given else None)
        if value is None or name.startswith("_") or not is_composite(value):
            raise AttributeError(f"'KerasTensor' object has no attribute {name!r}")
        member = getattr(type(value), name)
        if name in ("ragged_rank", "uniform_row_length"):
            return getattr(value, name)
        from shardtape.keras.layers.instance_members import InstanceMethod, InstanceProperty

        if not callable(member):
            return InstanceProperty(name)(tensor)

        def called(*args: Any, **kwargs: Any) -> Any:
            return InstanceMethod(name)(tensor, list(args), kwargs)

        return called

    def name_of(self, tensor: SymbolicTensor) -> str:
        """The name of a tensor: that of an input has no number."""
        own = tensor.op.name
        return own if tensor.op.type == "Placeholder" else f"{own}:{tensor.value_index}"

    def describe(self, tensor: SymbolicTensor, short: bool) -> str:
        """How a tensor of this graph is shown."""
        made, call = self.history.get(tensor._id), self.calls.get(tensor.op)
        layer: Any = None if made is None else made[0].layer
        if call is not None and (layer is None or isinstance(layer, OperationCall)):
            layer = call
        by = "" if layer is None else f"created by layer '{layer.name}'"
        if short:
            value = self.composites.get(tensor._id)
            if value is not None:
                spec = composite_spec(value)
                return f"<KerasTensor: type_spec={spec!r}{by and f' ({by})'}>"
            known = "<unknown>" if tensor.shape.rank is None else tensor.shape
            dtype = f"dtype={tensor.dtype.name}{self._known_value(tensor, ' ')}"
            return f"<KerasTensor: shape={known} {dtype}{by and f' ({by})'}>"
        entrance = tensor.op.type == "Placeholder"
        value = self.composites.get(tensor._id)
        if value is not None:
            named = f", name='{tensor.op.name}'" if made is not None and not made[0].args else ""
            described = by and f', description="{by}"'
            return f"KerasTensor(type_spec={composite_spec(value)!r}{named}{described})"
        shown = f"TensorSpec(shape={tensor.shape}, dtype={tensor.dtype!r}, name="
        name = tensor.op.name if entrance else tensor.name
        if call is not None and layer is call:
            name = f"{call.name}/{call.own_name(tensor.op)}:{tensor.value_index}"
        shown += f"'{name}')" if entrance else "None)"
        described = by and f', description="{by}"'
        known = self._known_value(tensor, ", ")
        return f"KerasTensor(type_spec={shown}{known}, name='{name}'{described})"

    def _known_value(self, tensor: SymbolicTensor, before: str) -> str:
        """What is known of an integer, or of a few, that may be sizes; of inputs nothing."""
        if tensor.dtype is not dt.int32 or tensor.op.type == "Placeholder":
            return ""
        count = 1 if tensor.shape.rank == 0 else tensor.shape.rank == 1 and tensor.shape[0]
        if not count or count > _MAX_SIZES:
            return ""
        found = partial_value(tensor)
        values = [None] * count if found is None else np.ravel(found).tolist()
        return f"{before}inferred_value={[None if v is None or v < 0 else v for v in values]}"

    def capture(self, value: Any, name: str | None = None) -> SymbolicTensor:
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
            _graphs.eager = KerasGraph(None, shows_calls=True)
        return _graphs.eager
    found = _graphs.by_graph.get(outer)
    if found is None:
        found = _graphs.by_graph[outer] = KerasGraph(outer, shows_calls=True)
    return found


def graph_of(values: Any) -> KerasGraph:
    """The graph of symbolic values: also of ones that were made before `clear_session`."""
    graph = keras_graph()
    for t in nest.flatten(values):
        own = t.op.graph if is_keras_tensor(t) else graph
        if own is not graph and own.outer_graph is graph.outer_graph:
            return own
    return graph


def forget_graphs() -> None:
    """Symbolic calls from now on are traced in new graphs."""
    _graphs.eager = None
    _graphs.by_graph.clear()


def is_keras_tensor(x: Any) -> bool:
    """True for what `Input` and layers called on it give."""
    return type(x) is SymbolicTensor and isinstance(x.op.graph, KerasGraph)


@contextlib.contextmanager
def _any_name(graph: KerasGraph) -> Iterator[None]:
    """Context in which a name is free: inputs are called like columns, "fixed acidity"."""
    graph.checks_names = False
    try:
        yield
    finally:
        graph.checks_names = True


def symbolic_input(shape: Any, dtype: Any, name: str, layer: Any = None) -> SymbolicTensor:
    """A new input of the symbolic graph, of a full shape (with None for the batch)."""
    graph = keras_graph()
    with building(graph), _any_name(graph):
        tensor = graph.add_op(
            source.placeholder, (),
            {"dtype": dt.as_dtype(dtype), "shape": TensorShape(shape)}, name,
        )  # fmt: skip
    return _of_input(tensor, layer)


def composite_input(spec: TypeSpec, name: str, layer: Any = None) -> SymbolicTensor:
    """A new input that stands for a value of a spec which is made of several tensors."""
    graph = keras_graph()
    with building(graph):
        parts = [
            graph.add_op(source.placeholder, (), {"dtype": part.dtype, "shape": part.shape})  # type: ignore[attr-defined]
            for part in spec._component_specs
        ]
        value = spec._from_components(parts)
        if hasattr(value, "dense_shape"):
            value.set_shape(spec.shape)  # type: ignore[attr-defined]
        tensor = stand_in(graph, value, spec, name)
    return _of_input(tensor, layer)


def stand_in(
    graph: KerasGraph, value: Any, spec: Any = None, name: str | None = None
) -> SymbolicTensor:
    """A tensor of the graph that stands for a value made of several tensors."""
    known = spec or value
    attrs = {
        "dtype": dt.as_dtype(getattr(known, "dtype", dt.float32)),
        "shape": TensorShape(getattr(known, "shape", None)),
    }
    with _any_name(graph):
        tensor = graph.add_op(source.placeholder, (), attrs, name)
    graph.composites[tensor._id] = value
    return tensor


def owned(x: Any, inputs: set[int]) -> Any:
    """An output of a symbolic call as a tensor of the symbolic graph, no input among them."""
    if isinstance(x, Variable) or (is_keras_tensor(x) and x._id in inputs):
        copy = identity(convert_to_tensor(x))
        copy._keras_mask = mask_of(x)
        return copy
    if isinstance(x, Tensor) and not is_keras_tensor(x):
        return state.graph.capture(x)
    if composite_spec(x) is not None:
        return stand_in(state.graph, x)
    return x


def stood_for(x: Any) -> Any:
    """The value that a symbolic tensor stands for, where there is one; else `x`."""
    return x.graph.composites.get(x._id, x) if is_keras_tensor(x) else x


def _of_input(tensor: SymbolicTensor, layer: Any) -> SymbolicTensor:
    node = Node(layer, (), {}, tensor)
    if layer is not None:
        layer._inbound_nodes.append(node)
    return tensor


def fixed_value(tensor: SymbolicTensor) -> Any:
    """What a tensor of the graph stands for that no call has made: a value, or a Variable."""
    if tensor.op.type == "Const":
        return EagerTensor(tensor.op.attrs["value"])
    if tensor.op.is_handle:
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

"""Graphs as TensorFlow's GraphDef messages, which guides print and TensorBoard draws."""

from __future__ import annotations

import functools
import json
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.graph.ir import Graph, Operation
from shardtape.graph.shown import order_of_effects

if TYPE_CHECKING:
    from tensorboard.compat.proto import (
        attr_value_pb2,
        graph_pb2,
        node_def_pb2,
        tensor_shape_pb2,
    )

_MAX_SHOWN_ELEMENTS = 1024  # larger constants are named by type and shape only


def graph_def(graph: Graph, add_shapes: bool = False) -> graph_pb2.GraphDef:
    """All nodes with their names, types, inputs and attributes, and the functions they hold.

    Args:
      add_shapes: also says the shapes of all outputs, which TensorBoard draws.
    """
    from tensorboard.compat.proto import graph_pb2  # slow to load: not before a graph is shown

    from shardtape.graph.function_library import functions_of

    out = graph_pb2.GraphDef()
    out.versions.producer = 1645  # TensorFlow 2.15's
    order = _order_in(graph)
    for operation in graph.get_operations():
        out.node.append(node_def(operation, add_shapes, order))
    out.library.function.extend(functions_of(graph))
    if out.library.function:
        out.versions.min_consumer = 12
    else:
        out.ClearField("library")
    return out


def _order_in(graph: Graph) -> dict[int, list[Any]]:
    return order_of_effects(graph) if graph.takes_resources else {}


def node_def(
    operation: Operation, add_shapes: bool = False, order: dict[int, list[Any]] | None = None
) -> node_def_pb2.NodeDef:
    """One node.

    Args:
      add_shapes: as of `graph_def`.
      order: what `order_of_effects` gives for the graph, where that is known already.
    """
    from tensorboard.compat.proto import node_def_pb2

    graph = operation.graph
    inputs = inputs_of(operation)
    node = node_def_pb2.NodeDef(
        name=operation.name, op=operation.type, device=operation.device or ""
    )
    node.input.extend([graph.shown.input(operation, t) for t in inputs])
    order = _order_in(graph) if order is None else order
    controls = (*operation.control_inputs, *order.get(operation.index, ()))
    node.input.extend(sorted({f"^{c.name}" for c in controls}))
    attributes_of(node, operation, inputs)
    if add_shapes and operation.outputs:
        listed = node.attr["_output_shapes"].list
        for t in results_of(operation):
            listed.shape.append(shape_proto(t.shape))
    return node


def inputs_of(operation: Operation) -> Sequence[Any]:
    """The inputs of a node as they are described: what branches use, in the order of that."""
    leading = operation.graph.shown.leading.get(operation.index, ())
    control = getattr(operation.op_def, "control", None)
    if control is None or not hasattr(control[0], "order"):
        return (*leading, *operation.inputs)
    held = control[0]
    first = len(operation.inputs) - len(held.outer) - len(held.variables)
    captured = operation.inputs[first:]
    return (*leading, *operation.inputs[:first], *[captured[i] for i in held.order()])


def results_of(operation: Operation) -> Sequence[Any]:
    """The outputs of a node, without the frame of one that holds branches."""
    control = getattr(operation.op_def, "control", None)
    return operation.outputs if control is None else operation.outputs[:-1]


@functools.cache
def known_attributes() -> dict[str, dict[str, Any]]:
    """By type: where each attribute of the op comes from, see record_op_attributes.py."""
    file = pathlib.Path(__file__).with_name("op_attributes.json")
    return json.loads(file.read_text())


def attributes_of(node: Any, operation: Operation, inputs: Sequence[Any]) -> None:
    """Adds the attributes of an operation to its message.

    Args:
      inputs: what `inputs_of` gives.
    """
    known = known_attributes().get(operation.type)
    given = {"shape": ()} if operation.is_handle else dict(operation.attrs)
    if known is None:  # an op of one's own
        for key, value in given.items():
            attr = _attr(value)
            if attr is not None:
                node.attr[key].CopyFrom(attr)
        tensors = operation.inputs or operation.outputs
        if tensors and "T" not in node.attr and "dtype" not in node.attr:
            node.attr["T"].type = tensors[0].dtype.as_datatype_enum
        return
    given |= _branch_attributes(operation, inputs)
    outputs = results_of(operation)
    for key, place in known.items():
        if key == "/outputs":
            continue
        if isinstance(place, str):
            _fill(node.attr[key], place, inputs, outputs)
            continue
        kind, *default = place
        if (operation.type, key) in _GIVEN:
            default = [True]
        value = given.get(key, *default) if default else given.get(key)
        made = _attr_of(kind, value)
        if made is not None:
            node.attr[key].CopyFrom(made)
    for key in _OF_BRANCHES:
        if key in given:
            node.attr[key].CopyFrom(given[key])
    named = operation.graph.shown.names.get(operation.index)
    if named is not None:
        node.attr["_user_specified_name"].s = named.encode()


_GIVEN = {("AssignVariableOp", "validate_shape")}  # flags that TensorFlow's own code sets
_OF_BRANCHES = ("_lower_using_switch_merge", "_num_original_outputs", "_read_only_resource_inputs")


def _fill(attr: Any, place: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """A type, a list of types or a number that the node's tensors tell."""
    if place[0] == "#":
        attr.i = len(inputs) - int(place[1:])
        return
    tensors = inputs if place[0] == "i" else outputs
    first, several, last = place[1:].partition("*")
    if several:
        chosen = tensors[int(first) : len(tensors) - int(last)]
        attr.list.type.extend([t.dtype.as_datatype_enum for t in chosen])
        attr.list.SetInParent()
    elif -len(tensors) <= int(first) < len(tensors):
        attr.type = tensors[int(first)].dtype.as_datatype_enum


def _branch_attributes(operation: Operation, inputs: Sequence[Any]) -> dict[str, Any]:
    """What an If, Case or While says of its branches."""
    from tensorboard.compat.proto import attr_value_pb2

    control = getattr(operation.op_def, "control", None)
    if control is None:
        return {}
    node, _ = control
    kind = operation.type.removeprefix("Stateless")
    names = {"If": ("then_branch", "else_branch"), "While": ("cond", "body")}.get(kind)
    found: dict[str, Any] = {"_lower_using_switch_merge": attr_value_pb2.AttrValue(b=True)}
    if names is None:
        found["branches"] = [b.graph.function_name for b in node.branches]
    else:
        found |= {n: b.graph.function_name for n, b in zip(names, node.branches)}
    results = results_of(operation)
    shown = list(results)
    if kind == "While":  # what it captures goes round with its variables
        first = len(inputs) - len(node.order()) - len(results)
        shown = [*inputs[:first], *results, *inputs[first + len(results) :]]
        found["_num_original_outputs"] = attr_value_pb2.AttrValue(i=len(shown))
    found["output_shapes"] = [t.shape for t in shown]
    read_only = attr_value_pb2.AttrValue()
    read_only.list.SetInParent()
    if not node.effects:
        read_only.list.i.extend([i for i, t in enumerate(inputs) if t.dtype is dt.resource])
    found["_read_only_resource_inputs"] = read_only
    return found


def shape_proto(shape: shapes.TensorShape) -> tensor_shape_pb2.TensorShapeProto:
    """TensorShape as a proto; unknown sizes are -1."""
    from tensorboard.compat.proto import tensor_shape_pb2

    if shape.rank is None:
        return tensor_shape_pb2.TensorShapeProto(unknown_rank=True)
    made = tensor_shape_pb2.TensorShapeProto()
    for d in shape:
        made.dim.add(size=-1 if d is None else d)
    return made


def _attr_of(kind: str, value: Any) -> attr_value_pb2.AttrValue | None:
    """The message of an attribute of a known kind; None for a value that has no such form."""
    from tensorboard.compat.proto import attr_value_pb2

    attr = attr_value_pb2.AttrValue()
    if kind.startswith("list("):
        items = [] if value is None or isinstance(value, (str, bytes)) else list(value)
        parts = [_attr_of(kind[5:-1], item) for item in items]
        attr.list.SetInParent()
        for part in parts:
            if part is None:
                return None
            field = part.WhichOneof("value")
            listed = getattr(attr.list, field)
            if field in ("shape", "func", "tensor"):
                listed.add().CopyFrom(getattr(part, field))
            else:
                listed.append(getattr(part, field))
        return attr
    if value is None:
        return None
    if kind == "func":
        attr.func.name = value
    elif kind == "type":
        attr.type = value if isinstance(value, int) else dt.as_dtype(value).as_datatype_enum
    elif kind == "bool":
        attr.b = bool(value)
    elif kind == "int" and not isinstance(value, (int, np.integer)):
        return None
    elif kind == "int":
        attr.i = int(value)
    elif kind == "float":
        attr.f = float(value)
    elif kind == "string":
        attr.s = value if isinstance(value, bytes) else str(value).encode()
    elif kind == "shape":
        attr.shape.CopyFrom(shape_proto(shapes.as_shape(value)))
    else:
        return _tensor_attr(np.asarray(value))
    return attr


def _tensor_attr(value: np.ndarray) -> attr_value_pb2.AttrValue | None:
    from tensorboard.compat.proto import attr_value_pb2

    from shardtape.io.tensor_proto import make_tensor_proto

    attr = attr_value_pb2.AttrValue()
    if value.size <= _MAX_SHOWN_ELEMENTS and _is_plain(value):
        attr.tensor.CopyFrom(make_tensor_proto(value))
        return attr
    if value.dtype.hasobject:
        return None
    attr.tensor.dtype = dt.from_numpy(value.dtype).as_datatype_enum
    attr.tensor.tensor_shape.CopyFrom(shape_proto(shapes.TensorShape._of(np.shape(value))))
    return attr


def _is_plain(value: np.ndarray) -> bool:
    return not value.dtype.hasobject or all(isinstance(v, (bytes, str)) for v in value.reshape(-1))


def _attr(value: Any) -> attr_value_pb2.AttrValue | None:
    """The message of an attribute whose kind its value tells."""
    if isinstance(value, (bool, np.bool_)):
        return _attr_of("bool", value)
    if isinstance(value, int):
        return _attr_of("int", value)
    if isinstance(value, float):
        return _attr_of("float", value)
    if isinstance(value, str):
        return _attr_of("string", value)
    if isinstance(value, dt.DType):
        return _attr_of("type", value)
    if isinstance(value, shapes.TensorShape):
        return _attr_of("shape", value)
    if isinstance(value, (np.ndarray, np.generic)):
        return _tensor_attr(np.asarray(value))
    if isinstance(value, (list, tuple)):
        for kind, types in (("bool", bool), ("int", int), ("float", float)):
            if all(isinstance(v, types) for v in value):
                return _attr_of(f"list({kind})", value)
    return None

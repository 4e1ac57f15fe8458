"""Graphs as TensorFlow's GraphDef protos, which TensorBoard draws."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.graph.ir import Graph, Operation

if TYPE_CHECKING:
    from tensorboard.compat.proto import (
        attr_value_pb2,
        graph_pb2,
        node_def_pb2,
        tensor_shape_pb2,
    )

_MAX_SHOWN_ELEMENTS = 1024  # larger constants are named by type and shape only


def graph_def(graph: Graph) -> graph_pb2.GraphDef:
    """All nodes with their names, types, inputs, attributes and output shapes."""
    from tensorboard.compat.proto import graph_pb2  # slow to load: not before a graph is shown

    out = graph_pb2.GraphDef()
    out.versions.producer = 1645  # TensorFlow 2.15's
    for operation in graph.get_operations():
        out.node.append(node_def(operation))
    return out


def node_def(operation: Operation) -> node_def_pb2.NodeDef:
    """One node."""
    from tensorboard.compat.proto import node_def_pb2

    node = node_def_pb2.NodeDef(
        name=operation.name, op=operation.type, device=operation.device or ""
    )
    for t in operation.inputs:
        node.input.append(t.op.name if t.value_index == 0 else f"{t.op.name}:{t.value_index}")
    node.input.extend(f"^{c.name}" for c in operation.control_inputs)
    for key, value in operation.attrs.items():
        attr = _attr(value)
        if attr is not None:
            node.attr[key].CopyFrom(attr)
    if operation.outputs:
        listed = node.attr["_output_shapes"].list
        for t in operation.outputs:
            listed.shape.append(shape_proto(t.shape))
        if "T" not in node.attr and "dtype" not in node.attr:
            node.attr["T"].type = operation.outputs[0].dtype.as_datatype_enum
    return node


def shape_proto(shape: shapes.TensorShape) -> tensor_shape_pb2.TensorShapeProto:
    """TensorShape as a proto; unknown sizes are -1."""
    from tensorboard.compat.proto import tensor_shape_pb2

    if shape.rank is None:
        return tensor_shape_pb2.TensorShapeProto(unknown_rank=True)
    made = tensor_shape_pb2.TensorShapeProto()
    for d in shape:
        made.dim.add(size=-1 if d is None else d)
    return made


def _attr(value: Any) -> attr_value_pb2.AttrValue | None:
    from tensorboard.compat.proto import attr_value_pb2

    attr = attr_value_pb2.AttrValue()
    if isinstance(value, (bool, np.bool_)):
        attr.b = bool(value)
    elif isinstance(value, (int, np.integer)):
        attr.i = int(value)
    elif isinstance(value, float):
        attr.f = value
    elif isinstance(value, str):
        attr.s = value.encode()
    elif isinstance(value, dt.DType):
        attr.type = value.as_datatype_enum
    elif isinstance(value, shapes.TensorShape):
        attr.shape.CopyFrom(shape_proto(value))
    elif isinstance(value, (list, tuple)):
        if value and all(isinstance(v, bool) for v in value):
            attr.list.b.extend(value)
            return attr
        if not all(isinstance(v, int) and not isinstance(v, bool) for v in value):
            return None
        attr.list.i.extend(value)
    elif isinstance(value, (np.ndarray, np.generic)):
        if value.dtype.hasobject:
            return None
        attr.tensor.dtype = dt.from_numpy(value.dtype).as_datatype_enum
        attr.tensor.tensor_shape.CopyFrom(shape_proto(shapes.TensorShape._of(np.shape(value))))
        if np.size(value) <= _MAX_SHOWN_ELEMENTS:
            attr.tensor.tensor_content = np.asarray(value).tobytes()
    else:
        return None
    return attr

"""A whole trace as TensorFlow's FunctionDef message."""

from __future__ import annotations

from typing import Any

from shardtape.graph.function_library import Names, output_name
from shardtape.graph.graphdef import inputs_of, node_def, shape_proto
from shardtape.graph.shown import has_effects, order_of_effects


def function_def(concrete: Any) -> Any:
    """The message of a trace: `signature`, `node_def`, `ret`, `control_ret`, `arg_attr`."""
    from tensorboard.compat.proto import function_pb2  # slow to load: not before it is shown

    graph = concrete.graph
    made = function_pb2.FunctionDef()
    made.signature.name = concrete.name.decode()
    made.attr["_construction_context"].s = b"kEagerRuntime"
    names = Names()
    inputs: dict[int, str] = {}
    for place, tensor in enumerate(concrete.inputs):
        inputs[tensor._id] = names.free(tensor.op.name)
        _add_input(made, place, tensor, inputs[tensor._id])
    order = order_of_effects(graph)
    for node in graph.get_operations():
        if node.type == "Placeholder":  # the inputs, handles of Variables among them
            continue
        described = node_def(node, order=order)
        controls = [text for text in described.input if text.startswith("^")]
        del described.input[:]
        described.input.extend(_reference(node, t, inputs) for t in inputs_of(node))
        described.input.extend(controls)
        made.node_def.append(described)
    for tensor in concrete.outputs:
        name = names.free(tensor.op.name)
        made.signature.output_arg.add(name=name, type=tensor.dtype.as_datatype_enum)
        made.ret[name] = _reference(None, tensor, inputs)
    effects = sorted(n.name for n in graph.get_operations() if has_effects(n))
    made.signature.control_output.extend(effects)
    for name in effects:
        made.control_ret[name] = name
    made.signature.is_stateful = bool(effects)
    return made


def _add_input(made: Any, place: int, tensor: Any, name: str) -> None:
    made.signature.input_arg.add(name=name, type=tensor.dtype.as_datatype_enum)
    attr = made.arg_attr[place].attr
    if tensor.op.is_handle:
        attr["_user_specified_name"].s = b"resource"
        return
    attr["_output_shapes"].list.shape.add().CopyFrom(shape_proto(tensor.shape))
    given = tensor.graph.shown.names.get(tensor.op.index)
    if given is not None:  # an argument, by the name that the program gives it
        attr["_user_specified_name"].s = given.encode()


def _reference(node: Any, tensor: Any, inputs: dict[int, str]) -> str:
    """How a function's nodes name a tensor: an input, or `node:output:place`."""
    if tensor._id in inputs:
        return inputs[tensor._id]
    shown = tensor.graph.shown
    text = f"{tensor.op.name}:{tensor.value_index}" if node is None else shown.input(node, tensor)
    return output_name(tensor, text)

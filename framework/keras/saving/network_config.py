"""Functional models as configurations: their layers, and the calls between them."""

from __future__ import annotations

from typing import Any

from shardtape import nest
from shardtape.keras.function_calls import FunctionCall
from shardtape.keras.layers import Layer
from shardtape.keras.layers.additions import AddLoss, AddMetric
from shardtape.keras.layers.core import Input, InputLayer
from shardtape.keras.models.network import Network, run_operation
from shardtape.keras.saving import values
from shardtape.keras.saving.serialization import class_name, find
from shardtape.keras.saving.sharing import shared
from shardtape.keras.symbolic import OperationCall, fixed_value, is_keras_tensor, keras_graph
from shardtape.variable import Variable

_TENSOR = "__keras_tensor__"


def network_config(network: Network) -> dict[str, Any]:
    """`layers`, `calls`, `inputs` and `outputs` of a network.

    A tensor is named by the call that made it and its place among the outputs. Raises ValueError
    for an operation on a Variable that belongs to no layer.
    """
    places: dict[int, list[int]] = {}
    calls: list[dict[str, Any]] = []
    layers: dict[str, Any] = {}
    inputs = []
    for t in network.flat_inputs:
        name = network.producer_name(t)
        places[t._id] = [len(calls), 0]
        entry: dict[str, Any] = {"input": name, "dtype": t.dtype.name}
        if t._id in t.graph.composites:
            entry["config"] = values.encode(t.graph.history[t._id][0].layer.get_config())
        else:
            entry["shape"] = list(t.shape)
        calls.append(entry)
        inputs.append(name)

    def written(t: Any) -> Any:
        if not is_keras_tensor(t):
            return t
        if t._id in places:
            return {_TENSOR: places[t._id]}
        found = fixed_value(t)
        if found is not None and not isinstance(found, Variable):
            return found
        raise ValueError(
            f"{t!r} is neither made by a layer of the model nor a constant: a Variable must "
            "belong to a layer to be written into a configuration"
        )

    for node in network.nodes:
        call: dict[str, Any] = {
            "args": values.encode(nest.map_structure(written, node.args)),
            "kwargs": values.encode(nest.map_structure(written, node.kwargs)),
        }
        if isinstance(node.layer, OperationCall):
            operation = node.layer.operation
            call["operation"] = operation.type
            call["attrs"] = values.encode(dict(operation.attrs))
            shown = operation.graph.calls.get(operation)
            if shown is not None:
                call["function"] = [shown.class_name, shown.name, shown.function]
        else:
            call["layer"] = node.layer.name
            layers.setdefault(node.layer.name, node.layer)
        for i, t in enumerate(nest.flatten(node.outputs)):
            if is_keras_tensor(t):
                places[t._id] = [len(calls), i]
        calls.append(call)
    described = [
        {"class_name": class_name(layer), "config": layer.get_config(), "name": name}
        for name, layer in layers.items()
    ]
    return {
        "layers": described,
        "calls": calls,
        "input_layers": values.encode(nest.map_structure(written, network.inputs)),
        "output_layers": values.encode(nest.map_structure(written, network.outputs)),
    }


def rebuilt(
    config: dict[str, Any], make_layer: Any = None, entrances: list[Any] | None = None
) -> tuple[Any, Any, list[Any]]:
    """(inputs, outputs, tensors added to losses and metrics), symbolic, of `network_config`.

    Args:
      make_layer: function from a layer's entry to the layer.
      entrances: symbolic tensors to take in place of the inputs, in their order.
    """
    make = make_layer or made_layer
    layers = {entry["name"]: make(entry) for entry in config["layers"]}
    made: list[list[Any]] = []
    added: list[Any] = []
    functions: dict[str, FunctionCall] = {}

    def real(value: Any) -> Any:
        if isinstance(value, dict) and _TENSOR in value:
            call, place = value[_TENSOR]
            return made[call][place]
        if isinstance(value, dict):
            return {k: real(v) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(real(v) for v in value)
        return value

    for call in config["calls"]:
        if "input" in call and entrances is not None:
            made.append([entrances[len(made)]])
            continue
        if "input" in call and "config" in call:
            made.append([InputLayer.from_config(values.decode(call["config"])).output])
            continue
        if "input" in call:
            shape = tuple(call["shape"])
            t = Input(shape[1:], shape[0], name=call["input"], dtype=call["dtype"])
            made.append([t])
            continue
        args = real(values.decode(call["args"]))
        if "operation" in call:
            from shardtape.ops import registry

            operation, attrs = registry.get(call["operation"]), values.decode(call["attrs"])
            if "function" in call:
                kind, name, function = call["function"]
                slices = kind == "SlicingOpLambda"
                shown = functions.setdefault(name, FunctionCall(function, name, slices))
                with keras_graph().as_call(shown):
                    got = run_operation(operation, tuple(args), attrs)
            else:
                got = run_operation(operation, tuple(args), attrs)
        else:
            layer = layers[call["layer"]]
            got = layer(*args, **real(values.decode(call["kwargs"])))
            if isinstance(layer, (AddLoss, AddMetric)):
                added += nest.flatten(got)
        made.append(nest.flatten(got))
    inputs = real(values.decode(config["input_layers"]))
    return inputs, real(values.decode(config["output_layers"])), added


def made_layer(entry: dict[str, Any]) -> Layer:
    """The layer of a `{"class_name", "config"}` entry. Raises ValueError naming the class."""
    return shared(entry, _made_alone)


def _made_alone(entry: dict[str, Any]) -> Layer:
    layer: Layer = find(entry["class_name"]).from_config(entry["config"])
    built_for = entry.get("build_config")
    if built_for and type(layer).build_from_config is not Layer.build_from_config:
        layer.build_from_config(built_for)
    elif built_for and _is_users(layer):
        layer.build_ahead(built_for)
    return layer


def _is_users(layer: Layer) -> bool:
    """Whether the class that says how it is built is none of ours."""
    owner = next(c for c in type(layer).__mro__ if "build" in c.__dict__)
    return owner.__module__.partition(".")[0] != __name__.partition(".")[0]

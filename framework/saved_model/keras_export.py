"""The functions by which a Keras model is saved: its call, with and without training."""

from __future__ import annotations

import logging
from typing import Any

from shardtape import errors, nest
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.function import Function
from shardtape.type_spec import composite_spec

_log = logging.getLogger("shardtape")


def functions_of(model: Any) -> dict[str, Any] | None:
    """`__call__` and the default signature of a model; None where its inputs are not known."""
    if getattr(model, "_shape_is_guessed", False):
        model.leave_batch_open()
    specs = input_specs(model)
    if specs is None:
        return None

    def call(inputs: Any, training: Any = False, mask: Any = None) -> Any:
        return model(inputs, training=training)

    function = Function(call, "__call__")
    try:
        for training in (True, False):
            function.get_concrete_function(specs, training=training)
        signature = _signature(model, specs)
    except (errors.OpError, TypeError, ValueError, AttributeError) as error:
        _log.warning("The computation of %s is not saved: %s", model.name, error)
        return None
    return {"__call__": function, "_default_save_signature": signature}


def input_specs(model: Any) -> Any:
    """Specs of what a model is called on, nested as it takes it."""
    network = model._network
    if network is not None:
        return nest.map_structure(_spec_of, network.inputs)
    if getattr(model, "_called_on", None) is not None:
        return model._called_on
    steps = getattr(model, "_steps", None) or {}
    for step in steps.values():
        concrete = step.concrete()
        if concrete is not None:
            data = concrete.bound_arguments["data"]
            return data[0] if isinstance(data, tuple) else data
    shape = getattr(model, "_build_input_shape", None)
    if shape is None or not hasattr(shape, "rank") or shape.rank is None:
        return None
    return TensorSpec([None, *shape[1:]], model.dtype)


def _spec_of(symbolic: Any) -> Any:
    """The spec of a symbolic input, which may stand for a ragged or sparse tensor."""
    value = getattr(symbolic.graph, "composites", {}).get(symbolic._id)
    return composite_spec(value) or TensorSpec(symbolic.shape, symbolic.dtype)


def _parts(spec: Any) -> Any:
    """The specs of the tensors that a value is made of."""
    return (spec,) if isinstance(spec, TensorSpec) else spec._component_specs


def input_names(model: Any, specs: Any) -> list[str]:
    """A name for each of the inputs, in the order of `nest.flatten`."""
    count = len(nest.flatten(specs))
    names = list(getattr(model, "input_names", None) or ())
    return names if len(names) == count else [f"input_{i + 1}" for i in range(count)]


def _signature(model: Any, specs: Any) -> Any:
    """The function of named inputs that gives named outputs, traced."""
    flat = nest.flatten(specs)
    parts = [part for spec in flat for part in _parts(spec)]
    names = input_names(model, specs)
    if len(parts) != len(names):  # those of ragged and sparse tensors are called as by TensorFlow
        names = ["args_0", *[f"args_0_{i}" for i in range(1, len(parts))]]
    named = {n: TensorSpec(s.shape, s.dtype, n) for n, s in zip(names, parts)}

    def serve(*tensors: Any) -> Any:
        left, given = list(tensors), []
        for spec in flat:
            own, left = left[: len(_parts(spec))], left[len(_parts(spec)) :]
            given.append(own[0] if isinstance(spec, TensorSpec) else spec._from_components(own))
        outputs = model(nest.pack_sequence_as(specs, given), training=False)
        if isinstance(outputs, dict):
            return outputs
        return dict(zip(model._known_output_names(outputs), nest.flatten(outputs)))

    return NamedFunction(serve, list(named.values())).trace()


class NamedFunction:
    """Traces a function of any number of tensors whose placeholders get the specs' names."""

    def __init__(self, python: Any, specs: list[TensorSpec]) -> None:
        self._python, self._specs = python, specs

    def trace(self) -> Any:
        from shardtape.context import building, recording
        from shardtape.graph.func_graph import FuncGraph
        from shardtape.graph.function import ConcreteFunction
        from shardtape.ops import source

        graph = FuncGraph("signature_wrapper", None)
        with building(graph), recording(()):
            placeholders = [
                graph.add_op(source.placeholder, (), {"dtype": s.dtype, "shape": s.shape}, s.name)
                for s in self._specs
            ]
            structure = nest.map_structure(graph.capture, self._python(*placeholders))
        made = ConcreteFunction(
            graph, "signature_wrapper", list(zip(self._specs, placeholders)), structure
        )
        made.bound_arguments = {str(s.name): s for s in self._specs}
        return made

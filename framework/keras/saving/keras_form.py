"""Objects of ours as Keras 2.15 writes them in configurations."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from shardtape import nest, optimizers
from shardtape.keras.layers.additions import AddLoss, AddMetric
from shardtape.keras.layers.base import Layer
from shardtape.keras.layers.instance_members import InstanceProperty
from shardtape.keras.layers.operations import TFOpLambda
from shardtape.keras.models.network import Network
from shardtape.keras.saving import operation_layers, sharing
from shardtape.keras.saving.keras_reading import called_already
from shardtape.keras.saving.registry import get_registered_name
from shardtape.keras.saving.serialization import class_name
from shardtape.keras.saving.whole_calls import Whole, whole
from shardtape.keras.symbolic import Node, OperationCall, fixed_value, is_keras_tensor
from shardtape.shapes import TensorShape
from shardtape.variable import Variable

_MODULES = (
    ("layers", "keras.layers"), ("initializers", "keras.initializers"),
    ("regularizers", "keras.regularizers"), ("constraints", "keras.constraints"),
    ("losses", "keras.losses"), ("metrics", "keras.metrics"),
)  # fmt: skip
_OPERATION_MODULE = "keras.src.layers.core.tf_op_layer"


_PARTS = {operation_layers.PART: "slice_spec", operation_layers.RAGGED_PART: "key"}
# of operators that an op alone does not tell; not `==`: Keras forgets what that compares with
_OPERATORS = ("compat.v1.floor_div",)


class NoKerasForm(ValueError):
    """Something of a model cannot be written as Keras writes it; the text names it."""


def module_of(name: str, cls: Any = None) -> str | None:
    """The module that Keras names for a class of its own; None for others.

    Args:
      cls: the class, where it is known: losses and metrics share names.
    """
    from shardtape import keras, optimizers

    if name == "Functional":
        return "keras.src.engine.functional"
    if name in ("Sequential", "Model"):
        return "keras"
    if cls in (AddLoss, AddMetric):
        return "keras.src.engine.base_layer"
    if name in ("InstanceMethod", "InstanceProperty"):
        return _OPERATION_MODULE
    if hasattr(optimizers, name):
        return "keras.optimizers"
    if hasattr(optimizers.schedules, name):
        return "keras.optimizers.schedules"
    if name == "Policy":
        return "keras.mixed_precision"
    for place, module in _MODULES:
        if cls is not None and vars(getattr(keras, place)).get(name) is cls:
            return module
    for place, module in _MODULES:
        if inspect.isclass(vars(getattr(keras, place)).get(name)):
            return module
    return None


def described(instance: Any) -> Any:
    """An object as `{"module", "class_name", "config", "registered_name"}`, functions by name.

    Raises NoKerasForm for what has no form in JSON.
    """
    if not hasattr(instance, "get_config"):
        return as_json(instance)
    try:
        config = instance.get_config()
    except NotImplementedError as error:
        raise NoKerasForm(str(error)) from error
    kept = isinstance(instance, optimizers.Optimizer)  # as a float32
    kept = kept and not isinstance(instance, optimizers.legacy.Optimizer)
    if kept and isinstance(config["learning_rate"], float):
        config = {**config, "learning_rate": float(np.float32(config["learning_rate"]))}
    if "calls" in config and getattr(instance, "_network", None) is not None:
        functional_config(instance._network)  # says why it is not in Keras's form
    entry = _entry(class_name(instance), as_json(config), type(instance))
    number = sharing.number_of(instance) if isinstance(instance, Layer) else None
    if number is not None:
        entry[sharing.KEY] = number
    build = instance.get_build_config() if isinstance(instance, Layer) else None
    if build is not None:
        entry["build_config"] = as_json(build)
    return entry


def _entry(name: str, config: Any, cls: Any = None) -> dict[str, Any]:
    module = module_of(name, cls)
    own = module is None or (cls is not None and not cls.__module__.startswith("shardtape."))
    if own and cls is not None:
        home = None if cls.__module__ == "__main__" else cls.__module__
        return {"module": home, "class_name": cls.__name__, "config": config,
                "registered_name": get_registered_name(cls)}  # fmt: skip
    registered = name if name == "Functional" or cls in (AddLoss, AddMetric) else None
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


def as_json(value: Any) -> Any:
    """A value of a configuration as plain JSON, objects in it as Keras describes them.

    Raises NoKerasForm where that would lose something.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, TensorShape):
        return None if value.rank is None else list(value)
    if type(value) is tuple:  # JSON makes it a list, what is only described keeps it
        return tuple(as_json(v) for v in value)
    if isinstance(value, (list, tuple)):
        return [as_json(v) for v in value]
    if isinstance(value, dict):
        if set(value) == {"class_name", "config"} and isinstance(value["class_name"], str):
            return _described_again(value)
        return {str(k): as_json(v) for k, v in value.items()}
    if value is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if hasattr(value, "name") and hasattr(value, "numpy_dtype"):
        return value.name
    if isinstance(value, np.ndarray):
        return {"class_name": "__numpy__",
                "config": {"value": value.tolist(), "dtype": value.dtype.name}}  # fmt: skip
    if hasattr(value, "get_config"):
        return described(value)
    if callable(value) and hasattr(value, "__name__") and value.__name__ != "<lambda>":
        return value.__name__
    raise NoKerasForm(f"{value!r} of type {type(value).__name__} has no form in Keras's JSON")


def _described_again(value: dict[str, Any]) -> dict[str, Any]:
    """`{"class_name", "config"}` with the module that Keras names beside it."""
    from shardtape.keras.saving.registry import known

    name = value["class_name"]
    return _entry(name.rpartition(">")[2], as_json(value["config"]), known(name))


def functional_config(network: Network) -> dict[str, Any]:
    """`layers`, `input_layers` and `output_layers` of a network, as Keras has them.

    Raises NoKerasForm for an operation or an argument that Keras's form has no place for.
    """
    return _Writer(network).config()


def _shape_of(first: Any) -> Any:
    if isinstance(first, (list, tuple)):
        return [_shape_of(t) for t in first]
    return as_json(first.shape) if is_keras_tensor(first) else None


def _is_plain(arguments: Any) -> bool:
    """Whether arguments of a function are tensors and what JSON can hold."""
    try:
        for value in nest.flatten(arguments):
            if not is_keras_tensor(value):
                as_json(operation_layers.plain(value))
    except (NoKerasForm, TypeError):
        return False
    return True


def _constant_place(value: Any) -> list[Any]:
    return ["_CONSTANT_VALUE", -1, as_json(value)]


class _Writer:
    def __init__(self, network: Network) -> None:
        self._network = network
        self._places: dict[int, list[Any]] = {}
        self._calls: dict[str, list[Any]] = {}
        self._entries: dict[str, dict[str, Any]] = {}
        self._lists: dict[int, list[Any]] = {}  # what a tensor is a list of
        self._kept: set[int] = set()  # operations that the network runs
        self._whole: dict[int, Whole] = {}  # by call of a function

    def config(self) -> dict[str, Any]:
        network = self._network
        self._kept = {id(node.layer.operation) for node in network.nodes
                      if isinstance(node.layer, OperationCall)}  # fmt: skip
        for layer in network.layers:
            if isinstance(layer, TFOpLambda):
                self._entries[layer.name] = {}  # its place; written with the operation
                continue
            self._entries[layer.name] = {**described(layer), "name": layer.name}
            self._calls[layer.name] = []
        for t in network.flat_inputs:
            self._places[t._id] = [network.producer_name(t), 0, 0]
        self._find_whole_calls()
        for node in network.nodes:
            self._add(node)
        layers = [{**e, "inbound_nodes": self._calls[n]} for n, e in self._entries.items()]
        return {
            "layers": layers,
            "input_layers": self._ends(network.inputs),
            "output_layers": self._ends(network.outputs),
        }

    def _find_whole_calls(self) -> None:
        """Which functions are written as one, and under what names their outputs are found."""
        calls = {}
        used = {t._id: None for t in nest.flatten(self._network.outputs)}
        for node in self._network.nodes:
            call = None
            if isinstance(node.layer, OperationCall):
                operation = node.layer.operation
                call = operation.graph.calls.get(operation)
                if call is not None:
                    calls[id(call)] = call
            for t in node.inputs():
                if call is None or t.op not in call.ops:
                    used[t._id] = None
        for key, call in calls.items():
            kept = [op for op in call.ops if id(op) in self._kept]
            if len(kept) == 1 and operation_layers.function_of(kept[0].type) == call.function:
                continue
            found = whole(call)
            if found is None:
                continue
            needed = {t._id for op in kept for t in op.outputs if t._id in used}
            if needed <= set(found.outputs) and _is_plain([found.first, found.kwargs]):
                self._whole[key] = found
                for i, tensor in enumerate(found.outputs):
                    if tensor is not None:
                        self._places[tensor] = [call.name, 0, i]

    def _ends(self, tensors: Any) -> Any:
        if is_keras_tensor(tensors):
            return [list(self._places[tensors._id])]
        return self._end(tensors)

    def _end(self, tensors: Any) -> Any:
        if isinstance(tensors, dict):
            return {k: self._end(v) for k, v in tensors.items()}
        if isinstance(tensors, (list, tuple)):
            return [self._end(v) for v in tensors]
        return list(self._places[tensors._id])

    def _add(self, node: Node) -> None:
        operation = isinstance(node.layer, OperationCall)
        if operation and self._is_in_whole(node.layer.operation):
            return
        if operation and self._is_list(node.layer.operation):
            self._lists[node.outputs._id] = list(node.args)
            return
        name = self._operation(node) if operation else self._call(node)
        start = 1 if not operation and called_already(node.layer) else 0
        number = start + len(self._calls[name]) - 1
        for i, t in enumerate(nest.flatten(node.outputs)):
            if is_keras_tensor(t):
                self._places[t._id] = [name, number, i]

    def _is_in_whole(self, operation: Any) -> bool:
        """Whether its call is written as one, which the last of its operations does."""
        call = operation.graph.calls.get(operation)
        found = self._whole.get(id(call))
        if found is None:
            return False
        if [op for op in call.ops if id(op) in self._kept][-1] is operation:
            self._write(call.name, call.class_name, call.function, found.first, found.kwargs, call)
        return True

    def _is_list(self, operation: Any) -> bool:
        """Whether it only makes the list that another operation of the same call takes."""
        shown = operation.graph.calls.get(operation)
        if shown is None or operation.type != "Pack" or operation.attrs.get("axis"):
            return False
        return any(operation.outputs[0] is t for op in shown.ops for t in op.inputs)

    def _call(self, node: Node) -> str:
        layer = node.layer
        kwargs = dict(node.kwargs)
        if len(node.args) > 1:
            names = [
                n for n, p in inspect.signature(layer.call).parameters.items()
                if p.kind is p.POSITIONAL_OR_KEYWORD
            ]  # fmt: skip
            if len(names) < len(node.args):
                raise NoKerasForm(f"the layer {layer.name!r} is called with unnamed arguments")
            kwargs.update(zip(names[1:], node.args[1:]))
        first = node.args[0]
        states = kwargs.pop("initial_state", None)
        if states is not None:  # Keras lists the first states of a recurrent layer as inputs
            first = [first, *nest.flatten(states)]
        wrap = not isinstance(layer, InstanceProperty)
        self._calls[layer.name].append(self._node(first, kwargs, wrap=wrap))
        return layer.name

    def _operation(self, node: Node) -> str:
        operation = node.layer.operation
        inputs = [self._constant(t) for t in node.args]
        try:
            made = operation_layers.written(operation.type, inputs, dict(operation.attrs))
        except TypeError as error:
            raise NoKerasForm(f"{operation.name}: {error}") from error
        if made is None:
            raise NoKerasForm(
                f"the operation {operation.type} between layers has no form in Keras's JSON"
            )
        function, first, kwargs = made
        shown = operation.graph.calls.get(operation)
        kept = [] if shown is None else [op for op in shown.ops if id(op) in self._kept]
        kept = [op for op in kept if not self._is_list(op)]
        name, kind = f"tf.{function}", "TFOpLambda"
        if kept and kept[-1] is operation:  # the function's result has its name
            name = shown.name
            if len(kept) == 1 and shown.function in _PARTS:
                spec = operation_layers.slice_spec(inputs, operation.attrs)
                if spec is not None:
                    function, kind = shown.function, "SlicingOpLambda"
                    kwargs = {_PARTS[function]: spec}
        else:
            name = self._operation_name(name)
        if shown is not None and name == shown.name and shown.function in _OPERATORS:
            function = shown.function
        self._write(name, kind, function, first, kwargs, shown)
        return name

    def _write(
        self, name: str, kind: str, function: str, first: Any, kwargs: dict[str, Any], shown: Any
    ) -> None:
        layer = None if shown is None else shown.layer
        dtype = "float32" if layer is None else as_json(layer.get_config()["dtype"])
        self._entries[name] = {
            "module": _OPERATION_MODULE, "class_name": kind,
            "config": {"name": name, "trainable": True, "dtype": dtype, "function": function},
            "registered_name": kind, "build_config": {"input_shape": _shape_of(first)},
            "name": name,
        }  # fmt: skip
        self._calls[name] = [self._node(first, kwargs, wrap=False)]

    def _operation_name(self, base: str) -> str:
        name, copies = base, 0
        while name in self._entries:
            copies += 1
            name = f"{base}_{copies}"
        return name

    def _constant(self, t: Any) -> Any:
        if not is_keras_tensor(t) or t._id in self._places:
            return t
        if t._id in self._lists:
            return [self._constant(x) for x in self._lists[t._id]]
        found = fixed_value(t)
        if found is None or isinstance(found, Variable):
            raise NoKerasForm(f"{t!r} belongs to no layer of the model")
        return np.asarray(getattr(found, "_array", found))

    def _node(self, first: Any, kwargs: dict[str, Any], wrap: bool) -> Any:
        written = {k: self._argument(v) for k, v in kwargs.items()}
        if is_keras_tensor(first):
            leaf = [*self._place(first), written]
            return [leaf] if wrap else leaf
        if isinstance(first, (list, tuple)) and any(is_keras_tensor(t) for t in first):
            return [
                [*self._place(t), written] if is_keras_tensor(t)
                else [*_constant_place(t), written]
                for t in first
            ]  # fmt: skip
        if isinstance(first, dict):
            return {k: [*self._place(t), written] for k, t in first.items()}
        return [*_constant_place(first), written]

    def _place(self, t: Any) -> list[Any]:
        if not is_keras_tensor(t):
            raise NoKerasForm(f"a layer is called on {t!r}, which is no symbolic tensor")
        if t._id not in self._places:
            raise NoKerasForm(f"{t!r} is made by no layer of the model")
        return list(self._places[t._id])

    def _argument(self, value: Any) -> Any:
        if is_keras_tensor(value):
            return self._place(value)
        if isinstance(value, (list, tuple)):
            return [self._argument(v) for v in value]
        if isinstance(value, dict):
            return {k: self._argument(v) for k, v in value.items()}
        try:
            return as_json(operation_layers.plain(value))
        except TypeError as error:
            raise NoKerasForm(str(error)) from error

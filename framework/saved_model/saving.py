"""`tf.saved_model.save`."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Mapping
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors, nest, storage
from shardtape.checkpoint.manifest import write_manifest
from shardtape.checkpoint.object_checkpoint import Checkpoint, collected
from shardtape.checkpoint.object_graph import children_of, nodes_of
from shardtape.checkpoint.part import Piece, write_part
from shardtape.checkpoint.prefix import variables_prefix, write_files
from shardtape.graph.concrete_function import Composite
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.function import ConcreteFunction, Function
from shardtape.keras.saving import values
from shardtape.lookup.saved_tables import has_form
from shardtape.ragged.spec import RaggedTensorSpec
from shardtape.saved_model.functions import RestoredFunction
from shardtape.saved_model.graphs import GraphWriter
from shardtape.saved_model.options import Asset
from shardtape.sparse_tensor import SparseTensorSpec
from shardtape.tensor import SymbolicTensor
from shardtape.variable import Variable
from shardtape.variable_spec import VariableSpec

_log = logging.getLogger("shardtape")
FILE = "saved_model.json"
FORMAT = "shardtape-saved-model"
CONSTANTS = "constants"
ASSETS = "assets"
_FUNCTIONS = (Function, ConcreteFunction, RestoredFunction)


def save(obj: Any, export_dir: Any, signatures: Any = None, options: Any = None) -> None:
    """Writes an object, its Variables and its functions to a folder.

    Functions are saved as their traces: those that exist, and that of an `input_signature`. A
    trace that holds Python code (`tf.py_function`, an optimizer's update) is left out with a
    warning that names the function. Lookup tables are saved with their keys and values, also
    those of layers, and initializers' files are not needed any more.

    Args:
      obj: a module, a Keras model, or another object that holds Variables and functions.
      export_dir: the folder.
      signatures: a traced function, or functions by name, that take and return named tensors;
        default: the only function with an `input_signature`.

    Raises:
      ValueError: a signature that is no traced function, or does not return tensors.
      UnimplementedError: one of `signatures` holds Python code.
    """
    path = storage.text(export_dir).rstrip("/")
    if hasattr(type(obj), "_step_function"):  # a Keras model
        from shardtape.keras.saving.model_files import save_folder

        save_folder(obj, path, signatures, options)
        return
    if isinstance(obj, (Function, ConcreteFunction)):
        raise ValueError(
            "Expected an object that holds functions for export (for example a tf.Module), got "
            f"{obj!r}: make it an attribute of a module"
        )
    storage.make_directory(path)
    write_variables(obj, path)
    write_graphs(obj, path, signatures, options)


def write_variables(obj: Any, path: str) -> None:
    """Writes the checkpoint `variables/variables` into the folder of a saved model."""
    pieces, graph = collected(nodes_of(Checkpoint(root=obj)))
    write_files(variables_prefix(path), pieces, {"object_graph": graph})


def write_graphs(
    obj: Any, path: str, signatures: Any = None, options: Any = None,
    functions: Mapping[str, Any] | None = None,
) -> None:  # fmt: skip
    """Writes functions beside the checkpoint `variables`, which has the Variables' values.

    Args:
      functions: of the root, in place of those that its attributes hold.
    """
    writer = GraphWriter()
    export = _Export(writer)
    root = export.object(obj, functions)
    if functions is not None:  # a Keras model has an order of its own
        for name in ("variables", "trainable_variables"):
            try:
                held = getattr(obj, name)
            except ValueError:  # a Sequential model that was never built
                held = []
            ordered = [writer.variable(v) for v in held]
            export.objects[root].setdefault("ordered", {})[name] = ordered
    chosen = _signatures(obj, signatures, functions)
    described = {}
    for name, function in chosen.items():
        try:
            described[name] = export.signature(function, name)
        except errors.UnimplementedError as error:
            if signatures is not None:
                raise
            _log.warning("The signature %s is not saved: %s", name, error.message)
    files = _copied(writer.assets, path)
    keys = _keys(obj)
    own: list[Piece] = [
        Piece(array, f"constant-{i}") for i, array in enumerate(writer.constants)
    ]  # fmt: skip
    variables = []
    for i, v in enumerate(writer.variables):
        key = keys.get(v._id)
        if key is None:  # used by a function, and reached by no attribute
            own.append(Piece(_host(v), f"variable-{i}"))
        variables.append({
            "key": key, "name": v.name, "dtype": v.dtype.name, "trainable": v.trainable,
            "shape": values.encode(v.shape),
        })  # fmt: skip
    if own:
        folder = storage.join(path, CONSTANTS)
        write_manifest(folder, [write_part(folder, "constants", own, replacing=True)], {},
                       replacing=True)  # fmt: skip
    text = json.dumps({
        "format": FORMAT, "version": 1, "root": root, "objects": export.objects,
        "signatures": described, "variables": variables, "tables": writer.tables,
        "assets": files,
        "constants": len(writer.constants),
    })  # fmt: skip
    target = storage.join(path, FILE)
    with storage.translated("write", target), open(target, "w") as file:
        file.write(text)


def _copied(assets: list[Asset], path: str) -> list[str]:
    """Copies files into the folder ASSETS of a model; returns the name there of each."""
    names: dict[str, str] = {}
    for asset in assets:
        source = asset.asset_path.numpy().decode()
        if source in names:
            continue
        name = base = storage.split(source)[1]
        while name in names.values():  # another file of this name, from another folder
            name = f"{base}_{len(names)}"
        names[source] = name
        folder = storage.join(path, ASSETS)
        storage.make_directory(folder)
        storage.write_whole(storage.join(folder, name), storage.read_bytes(source))
    return [names[asset.asset_path.numpy().decode()] for asset in assets]


def _keys(obj: Any) -> dict[int, str]:
    """The keys of the Variables in the checkpoint, by their id."""
    nodes = nodes_of(Checkpoint(root=obj))
    return {node.value._id: node.path for node in nodes if isinstance(node.value, Variable)}


def _host(variable: Variable) -> Any:
    array = variable._read_array()
    return array.get() if hasattr(array, "get") else array


def functions_held(obj: Any) -> dict[str, Any]:
    """The traced functions that an object holds, by name: its class's first."""
    found: dict[str, Any] = {}
    for cls in reversed(type(obj).__mro__):
        for name, value in vars(cls).items():
            if isinstance(value, Function):
                found[name] = getattr(obj, name)
    held: Any = getattr(obj, "__dict__", {}).items()
    if isinstance(obj, (list, tuple)):
        held = [(str(i), value) for i, value in enumerate(obj)]
    elif isinstance(obj, Mapping):
        held = [(str(name), value) for name, value in obj.items()]
    for name, value in held:
        if _holds_function(value):
            found[name] = value
    return found


def _holds_function(value: Any) -> bool:
    """Whether it is a traced function, or a list or dict of such."""
    if isinstance(value, (list, tuple, Mapping)):
        items = value.values() if isinstance(value, Mapping) else value
        return any(_holds_function(item) for item in items if item is not value)
    return isinstance(value, _FUNCTIONS)


class _Export:
    """The objects as they are written; each once."""

    def __init__(self, writer: GraphWriter) -> None:
        self._writer = writer
        self.objects: list[dict[str, Any]] = []
        self._numbers: dict[int, int] = {}
        self._keep_alive: list[Any] = []  # so that no id is used again

    def object(self, obj: Any, functions: Mapping[str, Any] | None = None, path: str = "") -> int:
        """The number of an object; `path` leads to it from the root."""
        found = self._numbers.get(id(obj))
        if found is not None:
            return found
        number = self._numbers[id(obj)] = len(self.objects)
        self._keep_alive.append(obj)
        entry: dict[str, Any] = {"kind": _kind(obj)}
        self.objects.append(entry)
        if isinstance(obj, Variable):
            entry["variable"] = self._writer.variable(obj)
            return number
        if isinstance(obj, _FUNCTIONS):
            entry.update(self._function(obj, path))
            return number
        if has_form(obj):
            entry["table"] = self._writer.table(obj)
            return number
        if isinstance(obj, Asset):
            entry["asset"] = self._writer.asset(obj)
            return number
        children = dict(children_of(obj))
        if isinstance(obj, (list, tuple)):  # lists in it keep their places, also without Variables
            children.update(
                (str(i), item) for i, item in enumerate(obj)
                if isinstance(item, (list, tuple, Mapping))
            )  # fmt: skip
        children.update(functions if functions is not None else functions_held(obj))
        children.update(
            (name, value) for name, value in getattr(obj, "__dict__", {}).items()
            if not name.startswith("_") and (has_form(value) or isinstance(value, Asset))
        )  # fmt: skip
        entry["children"] = {
            name: self.object(child, path=f"{path}.{name}".lstrip("."))
            for name, child in children.items()
        }
        return number

    def _function(self, function: Any, path: str) -> dict[str, Any]:
        if isinstance(function, ConcreteFunction):
            traces, parameters = [function], [[p.op.name, None] for _, p in function._arguments]
        elif isinstance(function, RestoredFunction):
            traces, parameters = function.concrete_functions, function.parameters
        else:
            if function.input_signature is not None and not function._traces:
                function.get_concrete_function()
            traces = list(function._traces.values())
            parameters = _parameters(function._signature)
        written = []
        left_out = list(getattr(function, "left_out", ()))
        for trace in traces:
            try:
                written.append(self._trace(trace))
            except errors.UnimplementedError as error:
                left_out.append(error.message)
                _log.warning(
                    "A trace of %s is not saved, and the loaded object cannot call it: %s",
                    path or trace.function_name, error.message,
                )  # fmt: skip
        declared = getattr(function, "declared", getattr(function, "input_signature", None))
        name = getattr(function, "function_name", None) or function._name
        return {"name": name,
                "parameters": parameters, "traces": written,
                "declared": bool(declared), "left_out": left_out}  # fmt: skip

    def _trace(self, concrete: ConcreteFunction) -> dict[str, Any]:
        arguments = concrete.bound_arguments or {
            p.op.name: TensorSpec(p.shape, p.dtype) for _, p in concrete._arguments
        }
        outputs: list[Any] = []
        try:
            return {
                "arguments": values.encode(nest.map_structure(_written_argument, arguments)),
                "names": [p.op.name for _, p in concrete._arguments],
                "structure": values.encode(nest.map_structure(
                    lambda x: _written_output(x, outputs), concrete._structure)),
                "graph": self._graph(concrete, outputs),
            }  # fmt: skip
        except TypeError as error:
            raise errors.UnimplementedError(str(error)) from None

    def _graph(self, concrete: ConcreteFunction, outputs: list[Any]) -> dict[str, Any]:
        return self._writer.graph(
            [p for _, p in concrete._arguments], concrete.graph.captures, outputs,
            concrete._segment.effects,
        )  # fmt: skip

    def signature(self, concrete: ConcreteFunction, name: str) -> dict[str, Any]:
        """A function of named tensors as it is written. Raises ValueError for another one."""
        if _takes_variables(concrete):
            raise ValueError(
                f"Unable to serialize concrete_function '{concrete.name.decode()}' with "
                "tf.Variable input. Functions that expect tf.Variable inputs cannot be exported as "
                "signatures."
            )
        outputs = named_outputs(concrete._structure, name)
        specs = [[p.op.name, values.encode(p.shape), p.dtype.name] for _, p in concrete._arguments]
        return {"name": concrete.function_name, "inputs": specs, "outputs": list(outputs),
                "graph": self._graph(concrete, list(outputs.values()))}  # fmt: skip


def _takes_variables(concrete: ConcreteFunction) -> bool:
    return any(p.dtype is dt.resource for _, p in concrete._arguments)


def _kind(obj: Any) -> str:
    if isinstance(obj, Variable):
        return "variable"
    if isinstance(obj, _FUNCTIONS):
        return "function"
    if has_form(obj):
        return "table"
    if isinstance(obj, Asset):
        return "asset"
    if isinstance(obj, (list, tuple)):
        return "list"
    return "dict" if isinstance(obj, Mapping) else "object"


def _parameters(signature: inspect.Signature) -> list[Any]:
    """[name, kind and default] of what a function takes; a default only where JSON has a form."""
    out = []
    for p in signature.parameters.values():
        entry: dict[str, Any] = {"kind": p.kind.name}
        if p.default is not p.empty:
            try:
                entry["default"] = values.encode(p.default)
            except TypeError:
                entry["default"] = None
        out.append([p.name, entry])
    return out


def _written_argument(x: Any) -> Any:
    if isinstance(x, TensorSpec):
        return {"__spec__": [values.encode(x.shape), x.dtype.name, x.name]}
    if isinstance(x, VariableSpec):
        shape = values.encode(x.shape)
        return {"__variable__": [shape, x.dtype.name, x.trainable, x.alias_id]}
    if isinstance(x, RaggedTensorSpec):
        form = [values.encode(x.shape), x.dtype.name, x.ragged_rank, x.row_splits_dtype.name]
        return {"__ragged__": form}
    if isinstance(x, SparseTensorSpec):
        return {"__sparse__": [values.encode(x.shape), x.dtype.name]}
    if x is None or isinstance(x, (bool, int, float, str, bytes, tuple, list)):
        return x
    raise TypeError(f"it was traced for the Python value {x!r}")


def _written_output(x: Any, outputs: list[Any]) -> Any:
    if isinstance(x, SymbolicTensor):
        outputs.append(x)
        return {"__output__": len(outputs) - 1}
    if isinstance(x, Composite) and isinstance(x.spec, (RaggedTensorSpec, SparseTensorSpec)):
        parts = [_written_output(t, outputs) for t in x.components]
        return {"__composite__": [_written_argument(x.spec), parts]}
    if x is None or isinstance(x, (bool, int, float, str, bytes)):
        return x
    raise TypeError(f"it returns {type(x).__name__}, which has no form in a saved model")


def named_outputs(structure: Any, name: str) -> dict[str, Any]:
    """What a signature gives, by name. Raises ValueError for anything but tensors."""
    if isinstance(structure, Mapping):
        named = dict(structure)
    else:
        flat = nest.flatten(structure)
        named = {f"output_{i}": t for i, t in enumerate(flat)}
    if not named or not all(isinstance(t, SymbolicTensor) for t in named.values()):
        raise ValueError(
            f"Got a non-Tensor value for an output of the signature '{name}': a signature returns "
            f"a tensor, a list or a dict of tensors, got {structure}"
        )
    return named


def _signatures(obj: Any, given: Any, functions: Mapping[str, Any] | None) -> dict[str, Any]:
    held = functions_held(obj) if functions is None else dict(functions)
    if given is None:
        if "_default_save_signature" in held:
            return {"serving_default": _concrete(held["_default_save_signature"])}
        fitting = [
            f for f in held.values()
            if isinstance(f, ConcreteFunction) or getattr(f, "input_signature", None) is not None
        ]  # fmt: skip
        try:
            if len(fitting) == 1:
                concrete = _concrete(fitting[0])
                named_outputs(concrete._structure, "serving_default")
                return {} if _takes_variables(concrete) else {"serving_default": concrete}
        except ValueError:
            return {}
        return {}
    if not isinstance(given, Mapping):
        given = {"serving_default": given}
    return {name: _concrete(f) for name, f in given.items()}


def _concrete(function: Any) -> ConcreteFunction:
    if isinstance(function, ConcreteFunction):
        return function
    if isinstance(function, RestoredFunction):
        return function.concrete_functions[0]
    if not isinstance(function, Function):
        raise ValueError(
            "Expected a TensorFlow function for which to generate a signature, but got "
            f"{function!r}. Only `tf.functions` with an input signature or concrete functions can "
            "be used as a signature."
        )
    if function.input_signature is None and len(function._traces) == 1:
        return next(iter(function._traces.values()))
    parameters = function._signature.parameters.values()
    if function.input_signature is None and any(p.default is p.empty for p in parameters):
        raise ValueError(
            "Expected a TensorFlow function for which to generate a signature, but got "
            f"{function!r}: give it an input_signature, or a trace of get_concrete_function"
        )
    return function.get_concrete_function()

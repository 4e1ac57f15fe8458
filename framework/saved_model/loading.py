"""`tf.saved_model.load`."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, storage
from shardtape.checkpoint.containers import ListWrapper, _DictWrapper
from shardtape.checkpoint.prefix import variables_of
from shardtape.checkpoint.reader import read
from shardtape.context import building, recording
from shardtape.graph.arguments import variable_argument
from shardtape.graph.concrete_function import Composite
from shardtape.graph.func_graph import FuncGraph, TensorSpec
from shardtape.graph.function import ConcreteFunction
from shardtape.graph.signatures import python_name
from shardtape.keras.saving import values
from shardtape.keras.saving.foreign_files import refuse_foreign
from shardtape.module import Module
from shardtape.ops import source
from shardtape.ragged.spec import RaggedTensorSpec
from shardtape.saved_model.functions import RestoredFunction, signature_of
from shardtape.saved_model.graphs import GraphReader
from shardtape.saved_model.options import Asset
from shardtape.saved_model.saving import ASSETS, CONSTANTS, FILE, FORMAT
from shardtape.sparse_tensor import SparseTensorSpec
from shardtape.tensor import EagerTensor
from shardtape.type_spec import TypeSpec
from shardtape.variable import Variable
from shardtape.variable_spec import VariableSpec

_SPECS = (TensorSpec, VariableSpec)


class Loaded(Module):
    """An object that was loaded: its attributes are Variables, functions and other objects."""

    signatures: Any = None

    @property
    def variables(self) -> Any:
        """All Variables, in the saved model's own order where it had one."""
        return self.__dict__.get("_ordered", {}).get("variables") or super().variables

    @property
    def trainable_variables(self) -> Any:
        """As `variables`, those that are trainable."""
        found = self.__dict__.get("_ordered", {}).get("trainable_variables")
        return super().trainable_variables if found is None else found

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The saved object's own `__call__`. Raises TypeError where none was saved."""
        function = self.__dict__.get("__call__")
        if function is None:
            raise TypeError("the loaded object cannot be called: it was saved without a traced "
                            "`__call__`")  # fmt: skip
        return function(*args, **kwargs)


class _NoSavedModel(errors.NotFoundError, OSError):
    """What loading from nowhere raises."""


class _Signatures(dict):
    """Functions by name."""

    def __repr__(self) -> str:
        return f"_SignatureMap({dict(self)})"


def contains_saved_model(export_dir: Any) -> bool:
    """Whether a folder holds what `save` wrote."""
    if not isinstance(export_dir, str) and not hasattr(export_dir, "__fspath__"):
        return False
    return storage.size_bytes(storage.join(export_dir, FILE)) is not None


maybe_saved_model_directory = contains_saved_model


def load(export_dir: Any, tags: Any = None, options: Any = None) -> Any:
    """The object that `save` wrote: attributes, functions, and `signatures` by name.

    A function runs what was traced before it was saved; other arguments raise ValueError.

    Raises:
      NotFoundError (an OSError as well): there is no such folder.
      InvalidArgumentError: a SavedModel that TensorFlow wrote, or no saved model.
    """
    path = storage.text(export_dir).rstrip("/")
    try:
        refuse_foreign(path)
    except errors.NotFoundError:
        raise _NoSavedModel(
            f"SavedModel file does not exist at: {path}: there is no file or folder of this name"
        ) from None
    if not contains_saved_model(path):
        raise errors.InvalidArgumentError(
            f"SavedModel file does not exist at: {path}/{FILE}. `tf.saved_model.save` writes one; "
            "a checkpoint is read by `tf.train.Checkpoint`, a Keras file by "
            "`tf.keras.models.load_model`."
        )
    described = json.loads(storage.read_bytes(storage.join(path, FILE)))
    if described.get("format") != FORMAT:
        raise errors.InvalidArgumentError(f"{path}/{FILE} was not written by tf.saved_model.save")
    return _Import(path, described).root()


class _Import:
    def __init__(self, path: str, described: dict[str, Any]) -> None:
        self._described = described
        variables, constants = _values(path, described)
        self._variables = variables
        assets = [
            Asset(storage.join(path, ASSETS, name)) for name in described.get("assets", ())
        ]  # fmt: skip
        self._reader = GraphReader(variables, constants, described.get("tables", ()), assets)
        self._objects: dict[int, Any] = {}

    def root(self) -> Any:
        made = self._object(self._described["root"])
        signatures = {n: self._signature(d) for n, d in self._described["signatures"].items()}
        if isinstance(made, Loaded):
            made.__dict__["signatures"] = _Signatures(signatures)
        return made

    def _object(self, number: int) -> Any:
        if number in self._objects:
            return self._objects[number]
        entry = self._described["objects"][number]
        kind = entry["kind"]
        made: Any
        if kind == "variable":
            made = self._variables[entry["variable"]]
        elif kind == "function":
            made = self._function(entry)
        elif kind == "asset":
            made = self._reader.assets[entry["asset"]]
        elif kind == "table":
            made = self._reader.tables[entry["table"]]
        elif kind == "list":
            made = self._objects[number] = ListWrapper()
            children = entry["children"]
            made.extend([None] * (1 + max(map(int, children), default=-1)))
            for name in sorted(children, key=int):  # what could not be saved leaves its place
                made[int(name)] = self._object(children[name])
        elif kind == "dict":
            made = self._objects[number] = _DictWrapper()
            made.update((name, self._object(n)) for name, n in entry["children"].items())
        else:
            made = self._objects[number] = Loaded()
            for name, child in entry["children"].items():
                made.__dict__[name] = self._object(child)
            if "ordered" in entry:
                made.__dict__["_ordered"] = {
                    name: [self._variables[n] for n in numbers]
                    for name, numbers in entry["ordered"].items()
                }
        self._objects[number] = made
        return made

    def _function(self, entry: dict[str, Any]) -> RestoredFunction:
        traces = []
        for trace in entry["traces"]:
            wanted = _with_specs(values.decode(trace["arguments"]))
            traces.append((wanted, lambda t=trace, w=wanted: self._concrete(entry, t, w)))
        return RestoredFunction(
            entry["name"], entry["parameters"], traces, entry.get("declared", False),
            entry.get("left_out", ()),
        )  # fmt: skip

    def _concrete(self, entry: dict[str, Any], trace: dict[str, Any], wanted: Any) -> Any:
        name = entry["name"]
        specs = _fed_specs(wanted)
        graph, placeholders, outputs = self._graph(name, trace["graph"], trace["names"], specs)
        structure = _with_outputs(values.decode(trace["structure"]), outputs)
        made = ConcreteFunction(
            graph, name, list(zip(specs, placeholders)), structure,
            signature_of(entry["parameters"]),
        )  # fmt: skip
        made.bound_arguments, made.was_loaded = wanted, True
        return made

    def _signature(self, entry: dict[str, Any]) -> ConcreteFunction:
        names = [n for n, _, _ in entry["inputs"]]
        specs = [TensorSpec(values.decode(s), d, n) for n, s, d in entry["inputs"]]
        graph, placeholders, outputs = self._graph(entry["name"], entry["graph"], names, specs)
        structure = dict(zip(entry["outputs"], outputs))
        made = ConcreteFunction(graph, entry["name"], list(zip(specs, placeholders)), structure)
        made.bound_arguments = {python_name(n): s for n, s in zip(names, specs)}
        made.was_loaded = True
        made.structured_outputs = {
            name: TensorSpec(t.shape, t.dtype, name) for name, t in structure.items()
        }
        return made

    def _graph(self, name: str, described: Any, names: list[str], specs: list[Any]) -> Any:
        graph = FuncGraph(name, None)
        with building(graph), recording(()):
            placeholders = [
                variable_argument(graph, s, s, n)[1] if isinstance(s, VariableSpec) else
                graph.add_op(source.placeholder, (), {"dtype": s.dtype, "shape": s.shape}, n)
                for n, s in zip(names, specs)
            ]  # fmt: skip
            outputs = [graph.capture(t) for t in self._reader.add(described, placeholders)]
        return graph, placeholders, outputs


def _values(path: str, described: dict[str, Any]) -> tuple[list[Variable], list[np.ndarray]]:
    """The Variables, and the constants, with their values."""
    count, entries = described["constants"], described["variables"]
    own = None
    if count or any(entry["key"] is None for entry in entries):
        own = read(storage.join(path, CONSTANTS))
    shared = None
    if any(entry["key"] is not None for entry in entries):
        shared = read(variables_of(path))
    try:
        variables = []
        for i, entry in enumerate(entries):
            stored: Any = own if entry["key"] is None else shared
            array = stored.tensor(entry["key"] or f"variable-{i}")
            with building(None):
                variables.append(
                    Variable(
                        EagerTensor(np.array(array)), trainable=entry["trainable"],
                        name=entry["name"].removesuffix(":0"), shape=values.decode(entry["shape"]),
                    )
                )  # fmt: skip
            if variables[-1].dtype is not dt.as_dtype(entry["dtype"]):
                raise errors.DataLossError(f"variable {entry['name']} has another type in {path}")
        constants = [np.array(own.tensor(f"constant-{i}")) for i in range(count)] if own else []
        return variables, constants
    finally:
        for stored in (own, shared):
            if stored is not None:
                stored.close()


def _with_specs(value: Any) -> Any:
    if isinstance(value, dict):
        if "__spec__" in value:
            shape, dtype, name = value["__spec__"]
            return TensorSpec(shape, dtype, name)
        if "__ragged__" in value:
            return RaggedTensorSpec(*value["__ragged__"])
        if "__sparse__" in value:
            return SparseTensorSpec(*value["__sparse__"])
        if "__variable__" in value:
            return VariableSpec(*value["__variable__"])
        return {k: _with_specs(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_with_specs(v) for v in value)
    return value


def _fed_specs(value: Any) -> list[Any]:
    """The specs of what is fed: a Variable that is given twice is fed once."""
    seen: set[int | None] = set()
    out = []
    for spec in _specs(value):
        if isinstance(spec, VariableSpec):
            if spec.alias_id in seen:
                continue
            seen.add(spec.alias_id)
        out.append(spec)
    return out


def _specs(value: Any) -> Any:
    """The specs in the order of the arguments, nested ones by sorted key, those of parts alone."""
    if isinstance(value, _SPECS):
        yield value
    elif isinstance(value, TypeSpec):
        yield from value._component_specs
    elif isinstance(value, dict):
        for v in value.values():
            yield from _nested_specs(v)
    elif isinstance(value, (list, tuple)):
        yield from _nested_specs(value)


def _nested_specs(value: Any) -> Any:
    if isinstance(value, _SPECS):
        yield value
    elif isinstance(value, TypeSpec):
        yield from value._component_specs
    elif isinstance(value, dict):
        for key in sorted(value):
            yield from _nested_specs(value[key])
    elif isinstance(value, (list, tuple)):
        for v in value:
            yield from _nested_specs(v)


def _with_outputs(value: Any, outputs: list[Any]) -> Any:
    if isinstance(value, dict):
        if "__output__" in value:
            return outputs[value["__output__"]]
        if "__composite__" in value:
            spec, parts = value["__composite__"]
            return Composite(_with_specs(spec), [_with_outputs(t, outputs) for t in parts])
        return {k: _with_outputs(v, outputs) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_with_outputs(v, outputs) for v in value)
    return value

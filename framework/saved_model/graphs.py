"""Graphs of functions as plain JSON, and back into a graph that is being built.

A node is `{"op", "name", "inputs", "attrs", "control"}`; a tensor is `[node, output]`. Nodes that
hold branches have those as graphs of their own. Variables, tables and large constants are numbers
into lists that the caller keeps.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import errors
from shardtape.context import state
from shardtape.custom_gradient import identity_op, traced_gradient
from shardtape.graph.control_flow import switch
from shardtape.graph.loops import while_loop
from shardtape.graph.plan import _needed as nodes_needed
from shardtape.graph.time_loop import time_loop
from shardtape.keras.saving import values
from shardtape.lookup.saved_tables import read_table, written_table
from shardtape.lookup.tables import LookupInterface
from shardtape.ops import registry
from shardtape.ops.array import zeros_like
from shardtape.saved_model.options import Asset, asset_of
from shardtape.tensor import EagerTensor, SymbolicTensor

_INLINE_BYTES = 1024  # larger constants are kept as arrays beside the JSON


class GraphWriter:
    """Writes graphs.

    Attributes:
      variables: the Variables that the graphs use, in order of their numbers.
      tables: the lookup tables as they are written, likewise.
      constants: the large constants, likewise.
      assets: the files that functions or attributes name, likewise.
    """

    def __init__(self) -> None:
        self.variables: list[Any] = []
        self.tables: list[dict[str, Any]] = []
        self.constants: list[np.ndarray] = []
        self.assets: list[Asset] = []
        self._numbers: dict[int, int] = {}
        self._table_numbers: dict[int, int] = {}
        self._keep_alive: list[Any] = []  # so that no id is used again

    def variable(self, variable: Any) -> int:
        """The number of a Variable."""
        found = self._numbers.get(variable._id)
        if found is None:
            found = self._numbers[variable._id] = len(self.variables)
            self.variables.append(variable)
        return found

    def asset(self, asset: Asset) -> int:
        """The number of a file that goes along with the model."""
        for number, known in enumerate(self.assets):
            if known is asset:
                return number
        self.assets.append(asset)
        return len(self.assets) - 1

    def table(self, table: LookupInterface) -> int:
        """The number of a table. Raises UnimplementedError for one that has no form in JSON."""
        found = self._table_numbers.get(id(table))
        if found is None:
            written = written_table(table, self.constant)
            found = self._table_numbers[id(table)] = len(self.tables)
            self.tables.append(written)
            self._keep_alive.append(table)
        return found

    def graph(
        self, arguments: Sequence[Any], captures: Sequence[Any], outputs: Sequence[Any],
        effects: Sequence[Any], outer: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """A graph.

        Args:
          arguments: placeholders whose values a call gives.
          captures: (tensor from outside, placeholder) pairs.
          outputs: tensors to compute.
          effects: operations that every run executes.
          outer: function from a tensor from outside to how it is written; without it they are
            written as constants.

        Raises UnimplementedError naming a node that has no form in JSON.
        """
        given = {p._id for p in arguments} | {p._id for _, p in captures}
        places: dict[int, list[int]] = {}
        numbers: dict[int, int] = {}
        nodes: list[dict[str, Any]] = []

        def place(t: Any) -> list[int]:
            return places[t._id]

        def add(entry: dict[str, Any], operation: Any) -> None:
            numbers[operation.index] = len(nodes)
            for t in operation.outputs:
                places[t._id] = [len(nodes), t.value_index]
            nodes.append(entry)

        for p in arguments:
            add({"op": "Argument"}, p.op)
        for value, p in captures:
            written = self.constant(value) if outer is None else outer(value)
            add({"op": "Captured", **written}, p.op)

        def add_needed(tensors: Sequence[Any]) -> None:
            for operation in nodes_needed(tensors, given):
                if operation.index in numbers:
                    continue
                custom = getattr(operation.op_def, "custom", None)
                if custom is None:
                    add(self._node(operation, place, numbers), operation)
                else:
                    call, count = custom
                    add(self._custom(operation, call, count, place, add_needed), operation)

        add_needed([*outputs, *effects])
        return {
            "nodes": nodes,
            "outputs": [place(t) for t in outputs],
            "shapes": [values.encode(t.shape) for t in outputs],  # `set_shape` makes no node
            "arguments": len(arguments),
        }

    def constant(self, value: Any) -> dict[str, Any]:
        """A fixed tensor: its value, or the number of the constant."""
        asset = asset_of(value) if isinstance(value, EagerTensor) else None
        if asset is not None:
            return {"asset": self.asset(asset)}
        array = np.asarray(value._array if isinstance(value, EagerTensor) else value)
        if array.dtype.kind in "OSU" or array.nbytes <= _INLINE_BYTES:
            return {"value": values.encode(array)}
        self.constants.append(array)
        return {"constant": len(self.constants) - 1}

    def _node(self, operation: Any, place: Any, numbers: dict[int, int]) -> dict[str, Any]:
        kind = operation.op_def.type
        if hasattr(operation.op_def, "control"):
            kind = kind.removeprefix("Stateless")
        entry: dict[str, Any] = {"op": kind, "name": operation.name}
        if operation.is_handle:
            return {**entry, "variable": self.variable(operation.attrs["variable"])}
        if operation.type == "Const":
            return {**entry, **self.constant(operation.attrs["value"])}
        control = getattr(operation.op_def, "control", None)
        if control is not None:
            node, settings = control
            return {**entry, **self._branches(operation, node, settings, place)}
        if registry.REGISTRY.get(operation.type) is not operation.op_def:
            raise errors.UnimplementedError(
                f"node '{operation.name}' of type {operation.type} cannot be saved: it holds "
                "Python code"
            )
        attrs = dict(operation.attrs)
        tables = {n: attrs.pop(n) for n, v in operation.attrs.items()
                  if isinstance(v, LookupInterface)}  # fmt: skip
        if tables:
            entry["tables"] = {name: self.table(table) for name, table in tables.items()}
        code = [name for name, value in attrs.items() if inspect.isroutine(value)]
        if code:
            raise errors.UnimplementedError(
                f"node '{operation.name}' of type {operation.type} cannot be saved: its attribute "
                f"{code[0]!r} is Python code"
            )
        try:
            entry["attrs"] = values.encode(attrs)
            _check_plain(entry["attrs"])
        except TypeError as error:
            raise errors.UnimplementedError(
                f"node '{operation.name}' of type {operation.type} cannot be saved: {error}"
            ) from None
        entry["inputs"] = [place(t) for t in operation.inputs]
        controls = [numbers[c.index] for c in operation.control_inputs if c.index in numbers]
        return {**entry, "control": controls} if controls else entry

    def _custom(
        self, operation: Any, call: Any, count: int, place: Any, add_needed: Any
    ) -> dict[str, Any]:
        """A call with a gradient of its own: its inputs, and the gradient's graph."""
        graph, inputs, outputs = traced_gradient(
            call, list(operation.outputs), operation.outputs[0].graph
        )
        captured = [t for t, _ in graph.captures if not isinstance(t, EagerTensor)]
        add_needed(captured)
        where = {t._key(): i for i, t in enumerate(captured)}

        def outside(t: Any) -> dict[str, Any]:
            return self.constant(t) if isinstance(t, EagerTensor) else {"outer": where[t._key()]}

        made = [g for g in outputs if g is not None]
        return {
            "op": "CustomGradient", "name": operation.name, "count": count,
            "inputs": [place(t) for t in operation.inputs],
            "outer": [place(t) for t in captured],
            "differentiable": [g is not None for g in outputs],
            "gradient": self.graph(inputs, graph.captures, made, (), outside),
        }  # fmt: skip

    def _branches(
        self, operation: Any, node: Any, settings: dict[str, Any], place: Any
    ) -> dict[str, Any]:
        leading = len(operation.inputs) - len(node.outer) - len(node.variables)
        graphs = []
        for branch, positions in zip(node.branches, node.positions):
            where = dict(zip([t._key() for t in branch.captured], positions))
            graphs.append(
                self.graph(
                    branch.arguments, branch.graph.captures, branch.outputs,
                    branch.graph.executed(), lambda t, where=where: {"outer": where[t._key()]},
                )
            )  # fmt: skip
        limit = settings.get("limit")
        if limit is not None:
            settings = {**settings, "limit": int(limit)}
        return {
            "inputs": [place(t) for t in operation.inputs[:leading]],
            "outer": [place(t) for t in operation.inputs[leading : leading + len(node.outer)]],
            "branches": graphs, "settings": settings,
        }  # fmt: skip


def _check_plain(attrs: dict[str, Any]) -> None:
    """Raises TypeError for attributes that are objects or functions."""
    for name, value in attrs.items():
        if isinstance(value, dict) and value.get("__kind__") in ("object", "function"):
            raise TypeError(f"its attribute {name!r} is Python code")


class GraphReader:
    """Adds graphs that `GraphWriter` wrote to the graph that is being built.

    Args: the Variables, constants and files, by number, and the tables as they were written.
    """

    def __init__(
        self, variables: Sequence[Any], constants: Sequence[np.ndarray],
        tables: Sequence[dict[str, Any]] = (), assets: Sequence[Asset] = (),
    ) -> None:  # fmt: skip
        self._variables, self._constants = variables, constants
        self.assets = assets
        self.tables = [read_table(t, self._array) for t in tables]

    def add(
        self, graph: dict[str, Any], arguments: Sequence[Any], outer: Sequence[Any] = ()
    ) -> list[Any]:
        """Adds all nodes; returns the outputs.

        Args:
          arguments: tensors in place of the arguments.
          outer: tensors from outside that a branch uses.
        """
        made: list[Any] = []
        given = iter(arguments)
        for entry in graph["nodes"]:
            if entry["op"] == "Argument":
                made.append((next(given),))
            elif entry["op"] == "Captured":
                value = outer[entry["outer"]] if "outer" in entry else self._constant(entry)
                made.append((value,))
            else:
                made.append(self._node(entry, made))
        outputs = [made[node][output] for node, output in graph["outputs"]]
        for t, shape in zip(outputs, graph.get("shapes", ())):
            if isinstance(t, SymbolicTensor):
                t.set_shape(values.decode(shape))
        return outputs

    def _array(self, entry: dict[str, Any]) -> np.ndarray:
        if "constant" in entry:
            return self._constants[entry["constant"]]
        return values.decode(entry["value"])

    def _constant(self, entry: dict[str, Any]) -> Any:
        if "asset" in entry:
            return self.assets[entry["asset"]].asset_path
        return EagerTensor(self._array(entry))

    def _node(self, entry: dict[str, Any], made: list[Any]) -> Any:
        if "variable" in entry:
            return (self._variables[entry["variable"]],)
        if entry["op"] == "Const":
            return (self._constant(entry),)
        inputs = [made[node][output] for node, output in entry["inputs"]]
        if "branches" in entry:
            return self._branches(entry, inputs, made)
        if "gradient" in entry:
            return self._custom(entry, inputs, made)
        name = entry["name"].rsplit("/", 1)[-1]
        attrs = values.decode(entry["attrs"])
        attrs |= {n: self.tables[i] for n, i in entry.get("tables", {}).items()}
        controls = [_operation_of(made[c]) for c in entry.get("control", ())]
        with state.graph.control_dependencies([c for c in controls if c is not None]):
            got = state.graph.add_op(registry.get(entry["op"]), inputs, attrs, name)
        return got if isinstance(got, tuple) else (got,)

    def _custom(self, entry: dict[str, Any], inputs: list[Any], made: list[Any]) -> Any:
        outer = [made[node][output] for node, output in entry["outer"]]
        reader = _GradientReader(self._variables, self._constants)
        reader.tables = self.tables

        def call(grads: Sequence[Any], results: Sequence[Any]) -> list[Any]:
            filled = [zeros_like(y) if g is None else g for g, y in zip(grads, results)]
            got = iter(reader.add(entry["gradient"], filled, outer))
            return [next(got) if there else None for there in entry["differentiable"]]

        custom = identity_op(call, entry["count"])
        got = state.graph.add_op(custom, inputs, {}, entry["name"].rsplit("/", 1)[-1])
        return got if isinstance(got, tuple) else (got,)

    def _branches(self, entry: dict[str, Any], inputs: list[Any], made: list[Any]) -> Any:
        outer = [made[node][output] for node, output in entry["outer"]]
        functions = [
            lambda *arguments, graph=graph: self.add(graph, arguments, outer)
            for graph in entry["branches"]
        ]
        settings = entry["settings"]
        if entry["op"] == "While":
            condition, body = functions
            got = while_loop(
                lambda *a: condition(*a)[0], body, inputs, maximum_iterations=settings["limit"]
            )
            return tuple(got)
        if entry["op"] == "TimeLoop":
            count, step = settings["sequences"], functions[0]

            def run(slices: list[Any], states: list[Any]) -> tuple[list[Any], list[Any]]:
                outputs = step(*slices, *states)
                return outputs[: settings["outputs"]], outputs[settings["outputs"] :]

            outputs, states = time_loop(run, inputs[:count], inputs[count:], settings["backwards"])
            return (*outputs, *states)
        keys = settings["keys"]

        def pick(index: Any) -> int:
            if keys is None:
                return 0 if index else 1
            return keys.index(int(index)) if int(index) in keys else len(keys)

        pick.keys = keys  # type: ignore[attr-defined]
        return tuple(switch(functions, inputs[0], pick, entry["op"], None))


class _GradientReader(GraphReader):
    """Adds the graph of a gradient, whose constants are nodes: nobody feeds them."""

    def _constant(self, entry: dict[str, Any]) -> Any:
        return state.graph.constant(super()._constant(entry)._array)


def _operation_of(outputs: Any) -> Any:
    first = outputs[0] if outputs else None
    return getattr(first, "op", first) if first is not None else None

"""The graph of a traced function: what it takes from outside becomes further inputs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.backend import random
from shardtape.context import building, next_id, state
from shardtape.graph.ir import Graph, Operation
from shardtape.graph.shown import add_shown
from shardtape.ops import source
from shardtape.ops import state as variable_ops
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import IO, PURE, RANDOM, READS, Op
from shardtape.tensor import SymbolicTensor, Tensor
from shardtape.type_spec import TypeSpec
from shardtape.variable_spec import VariableInput, variable_of


class TensorSpec(TypeSpec):
    """Shape, dtype and name of a tensor that a function takes.

    Args:
      shape: None for unknown rank, sizes with None where unknown.
      dtype: the element type.
      name: the argument's name in the graph.
    """

    __slots__ = ("shape", "dtype", "name")

    def __init__(self, shape: Any, dtype: Any = dt.float32, name: str | None = None) -> None:
        self.shape, self.dtype, self.name = shapes.as_shape(shape), dt.as_dtype(dtype), name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        return cls(tensor.shape, tensor.dtype, name)

    @classmethod
    def from_spec(cls, spec: Any, name: str | None = None) -> TensorSpec:
        """The spec under another name."""
        return cls(spec.shape, spec.dtype, name or getattr(spec, "name", None))

    def is_subtype_of(self, other: Any) -> bool:
        if not isinstance(other, TensorSpec) or self.dtype is not other.dtype:
            return False
        if other.shape.rank is None:
            return True
        if self.shape.rank != other.shape.rank:
            return False
        return all(n in (None, m) for m, n in zip(self.shape.as_list(), other.shape.as_list()))

    @property
    def value_type(self) -> type:
        return Tensor

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        return (self,)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        return (convert_to_tensor(value, self.dtype),)

    def _from_components(self, components: Sequence[Any]) -> Any:
        return components[0]

    def most_specific_compatible_type(self, other: TypeSpec) -> TensorSpec:
        if not isinstance(other, TensorSpec) or self.dtype is not other.dtype:
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        shape = self.shape.most_specific_compatible_shape(other.shape)
        return TensorSpec(shape, self.dtype, self.name if self.name == other.name else None)

    def is_compatible_with(self, spec_or_tensor: Any) -> bool:
        other = spec_or_tensor
        if isinstance(other, TypeSpec) and not isinstance(other, TensorSpec):
            return False
        other = other if isinstance(other, TensorSpec) else convert_to_tensor(other)
        return self.dtype is other.dtype and self.shape.is_compatible_with(other.shape)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TensorSpec)
            and self.shape == other.shape
            and self.dtype is other.dtype
            and self.name == other.name
        )

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}, name={self.name!r})"


# A Variable that every run gives: the value of the placeholder is the Variable itself.
_VARIABLE_PLACEHOLDER = Op(
    source.placeholder.kernel, "Placeholder", shape=lambda dtype, shape, variable: shape,
    dtype="dtype", dtypes=dt.ANY, effects=IO, widen=False,
)  # fmt: skip


def _attributes_of(variable: Any) -> dict[str, Any]:
    return {"dtype": dt.resource, "shape": shapes.TensorShape([]), "variable": variable}


class FuncGraph(Graph):
    """See the module's text; `captures` holds (outer tensor, placeholder) pairs.

    Attributes:
      called_anywhere: calls may come from other graphs than the one around it, so a Variable that
        is an input of that one is here the Variable itself.
      takes_any: a copier, which knows what stands for tensors of other graphs.
      home: for such a copier the graph whose inputs Variables may be.
    """

    called_anywhere = False
    made_slots = False  # whether an optimizer made its slots in this trace
    home: Graph | None = None
    takes_resources = True
    shows_copies = True  # nodes that compute nothing are shown as TensorFlow has them

    def __init__(self, name: str, outer: Graph | None) -> None:
        super().__init__()
        self.name, self.outer_graph = name, outer
        self.function_name = f"{name}_{next_id()}"
        self.seed = random.global_seed() if outer is None else outer.seed
        self.captures: list[tuple[Any, SymbolicTensor]] = []
        self.outside: dict[int, Any] = {}  # what captures stand for, by the placeholders' ids
        self.given: dict[int, Any] = {}  # what the call gives that is traced for, by placeholder
        self.inputs: list[SymbolicTensor] = []  # of a trace; known when it is done
        self.outputs: list[SymbolicTensor] = []
        self.structured_outputs: Any = None
        self.results: list[SymbolicTensor] = []  # what is shown of what the function returned
        self.takes_any = False

    def capture(self, value: Any, name: str | None = None) -> SymbolicTensor:
        if not isinstance(value, Tensor):
            return super().capture(value)
        if type(value) is SymbolicTensor:
            if value.op.graph is self:
                return value
            given = value.dtype is dt.resource and "variable" in value.op.attrs
            if given and (value.op.is_handle or not self.takes_any):
                return self.variable_handle(value.op.attrs["variable"])
        key = value._key()  # type: ignore[attr-defined]
        found = self._captured.get(key)
        if found is None:
            if type(value) is SymbolicTensor and not self._reaches(value.op.graph):
                inside = _is_around(self, value.op.graph)  # a loop's or a branch's
                raise value.out_of_scope(errors.InaccessibleTensorError if inside else TypeError)
            attrs = {"dtype": value.dtype, "shape": value.shape}
            with building(self):
                if value.dtype is dt.resource and "variable" in value.op.attrs:
                    found = self._placeholder_of(value.op.attrs["variable"], name)
                elif name is None:
                    found = self.add_op(source.placeholder, (), attrs)
                else:
                    found = add_shown(self, source.placeholder, (), attrs, name)
            self._captured[key] = found
            self.captures.append((value, found))
            self.outside[found._id] = value
        return found

    def add_variable_input(self, variable: VariableInput, name: str) -> SymbolicTensor:
        """A placeholder for a Variable; what the graph does with `variable` is done to that."""
        attrs = _attributes_of(variable)
        found = self.add_op(_VARIABLE_PLACEHOLDER, (), attrs, name)
        self._handles[variable._id] = found
        self.shown.names[found.op.index] = name
        return found

    def _placeholder_of(self, variable: Any, name: str | None = None) -> SymbolicTensor:
        attrs = _attributes_of(variable)
        if name is None:
            return self.add_op(_VARIABLE_PLACEHOLDER, (), attrs)
        return add_shown(self, _VARIABLE_PLACEHOLDER, (), attrs, name)

    def variable_handle(self, variable: Any, name: str | None = None) -> SymbolicTensor:
        """As of any graph; an input of the graph around this one is captured.

        Raises InaccessibleTensorError for an input of a function that is not around this graph.
        """
        found = self._handles.get(variable._id)
        if found is not None:
            return found
        outer = self._input_outside(variable)
        if outer is None:
            variable = variable.actual() if type(variable) is VariableInput else variable
            if type(variable) is VariableInput:
                raise errors.InaccessibleTensorError(
                    f"{variable!r} is an argument of a traced function and is out of scope here: "
                    "use it inside of that function"
                )
            if name is None or not self.takes_resources:
                return super().variable_handle(variable)
            found = add_shown(self, variable_ops.var_handle, (), {"variable": variable}, name)
            self.shown.names[found.op.index] = "resource"
        else:
            found = self._captured.get(outer._id)
            if found is None:
                with building(self):
                    found = self._placeholder_of(outer.op.attrs["variable"], name)
                self._captured[outer._id] = found
                self.captures.append((outer, found))
        self._handles[variable._id] = found
        return found

    def _input_outside(self, variable: Any) -> SymbolicTensor | None:
        """The handle of a Variable that is an input of a graph around this one."""
        if self.home is not None:
            found = self.home._handles.get(variable._id)
            return None if found is None or found.op.is_handle else found
        around = self.outer_graph
        if around is None or (self.called_anywhere and type(variable) is not VariableInput):
            return None
        found = around._handles.get(variable._id)
        if found is not None:
            return None if found.op.is_handle else found
        if not isinstance(around, FuncGraph) or around._input_outside(variable) is None:
            return None
        return around.variable_handle(variable)

    def __str__(self) -> str:
        return f"FuncGraph(name={self.name}, id={id(self)})"

    def _reaches(self, graph: Any) -> bool:
        """Whether `graph` is around this one, or is no function's graph (Keras's, TF1's)."""
        return _is_around(graph, self) or self.takes_any or not isinstance(graph, FuncGraph)

    def executed(self) -> list[Operation]:
        """Operations that every run executes, in the program's order.

        Random ops whose numbers nobody needs are none of them, as in TensorFlow; each draws from a
        stream of its own, so that no other number changes.
        """
        return [n for n in self.effects() if n.op_def.effects != RANDOM]

    def effects(self) -> list[Operation]:
        """Operations that do more than to compute or read, in the program's order."""
        return [
            n
            for n in self.get_operations()
            if n.op_def.effects not in (PURE, READS) and n.type not in ("Placeholder", "NoOp")
        ]


def _is_around(outer: Any, graph: Any) -> bool:
    while graph is not None and graph is not outer:
        graph = getattr(graph, "outer_graph", None)
    return graph is outer


def _scope_name(name: str) -> str:
    """The name of a Python function without what no scope may have ("<lambda>")."""
    return re.sub(r"[^A-Za-z0-9_.]", "", name).lstrip("_") or "call"


def _show_tapes(node: Operation, op: Op, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Shows a copied node to the tapes, with Variables in place of their handles."""
    seen = tuple([variable_of(x) if _is_variable(x) else x for x in inputs])
    for recorder in state.recorders:
        for variable, x in zip(seen, inputs):
            if variable is not x:
                recorder.read(variable)
        recorder.record(op, seen, node.attrs, outputs)


def _is_variable(x: Any) -> bool:
    return type(x) is SymbolicTensor and x.dtype is dt.resource and "variable" in x.op.attrs


def _drawing_apart(op: Op) -> Op:
    """An op with branches that draw from streams of their own."""
    made = Op.__new__(type(op))
    made.__dict__.update(op.__dict__)
    kernel, number = op.kernel, next_id()

    def apart(xp: Any, *inputs: Any, **attrs: Any) -> Any:
        with random.within(number):
            return kernel(xp, *inputs, **attrs)

    made.kernel = apart
    return made


def inline(
    target: Graph,
    fetches: Sequence[Any],
    effects: Sequence[Operation],
    given: dict[int, Any],
    scope: str,
) -> list[Any]:
    """Copies what `fetches` need into another graph.

    Args:
      given: tensors of `target` (or eager ones) by the key of the tensor that they stand for.

    Returns:
      The copies of `fetches`.
    """
    from shardtape.graph.plan import _needed
    from shardtape.graph.scopes import name_scope

    copies: dict[int, Any] = dict(given)
    made: dict[int, Any] = {}
    with building(target), name_scope(_scope_name(scope)):
        for node in _needed([*fetches, *effects], set(given)):
            if node.is_handle:
                copies[node.outputs[0]._id] = target.variable_handle(node.attrs["variable"])
                continue
            op, attrs = node.op_def, node.attrs
            if op.relocate is not None:
                op = op.relocate(copies)
            elif op.draws_inside:
                op = _drawing_apart(op)
            if attrs.get("_stream_id"):
                attrs = {**attrs, "_stream_id": next_id()}  # each call draws as if it were alone
            inputs = [copies[t._id] for t in node.inputs]
            controls = [made[c.index] for c in node.control_inputs if c.index in made]
            with target.control_dependencies(controls):
                got = target.add_op(op, inputs, attrs, node.name.rsplit("/", 1)[-1])
            outputs = got if isinstance(got, tuple) else (got,)
            if state.recorders and node._outputs:
                _show_tapes(node, op, inputs, outputs)
            made[node.index] = outputs[0]
            for t, copy in zip(node.outputs, outputs):
                copies.setdefault(t._id, copy)
    return [copies[f._id] for f in fetches]

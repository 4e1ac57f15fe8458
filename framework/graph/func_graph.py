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
from shardtape.ops.registry import PURE, READS, Op
from shardtape.tensor import SymbolicTensor, Tensor
from shardtape.type_spec import TypeSpec


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

    from_spec = from_tensor

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

    def is_compatible_with(self, other: Any) -> bool:
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


class FuncGraph(Graph):
    """See the module's text; `captures` holds (outer tensor, placeholder) pairs."""

    takes_resources = True
    shows_copies = True  # nodes that compute nothing are shown as TensorFlow has them

    def __init__(self, name: str, outer: Graph | None) -> None:
        super().__init__()
        self.name, self.outer_graph = name, outer
        self.function_name = f"{name}_{next_id()}"
        self.seed = random.global_seed() if outer is None else outer.seed
        self.captures: list[tuple[Any, SymbolicTensor]] = []
        self.results: list[SymbolicTensor] = []  # what is shown of what the function returned
        self.takes_any = False  # a copier, which knows what stands for tensors of other graphs

    def capture(self, value: Any, name: str | None = None) -> SymbolicTensor:
        if not isinstance(value, Tensor):
            return super().capture(value)
        if type(value) is SymbolicTensor and value.op.graph is self:
            return value
        key = value._key()  # type: ignore[attr-defined]
        found = self._captured.get(key)
        if found is None:
            if type(value) is SymbolicTensor and not self._reaches(value.op.graph):
                raise errors.InaccessibleTensorError(
                    f"{value!r} is out of scope and cannot be used here: it was made in the graph "
                    f"of '{getattr(value.op.graph, 'name', 'another graph')}'. Return it from "
                    "that function, or keep it in a tf.Variable or a tf.TensorArray."
                )
            attrs = {"dtype": value.dtype, "shape": value.shape}
            with building(self):
                if name is None:
                    found = self.add_op(source.placeholder, (), attrs)
                else:
                    found = add_shown(self, source.placeholder, (), attrs, name)
            self._captured[key] = found
            self.captures.append((value, found))
        return found

    def variable_handle(self, variable: Any, name: str | None = None) -> SymbolicTensor:
        found = self._handles.get(variable._id)
        if found is None and name is not None and self.takes_resources:
            attrs = {"variable": variable}
            found = add_shown(self, variable_ops.var_handle, (), attrs, name)
            self._handles[variable._id] = found
            self.shown.names[found.op.index] = "resource"
        return super().variable_handle(variable) if found is None else found

    def __str__(self) -> str:
        return f"FuncGraph(name={self.name}, id={id(self)})"

    def _reaches(self, graph: Any) -> bool:
        """Whether `graph` is around this one, or is no function's graph (Keras's, TF1's)."""
        outer: Any = self
        while outer is not None:
            if outer is graph:
                return True
            outer = getattr(outer, "outer_graph", None)
        return self.takes_any or not isinstance(graph, FuncGraph)

    def effects(self) -> list[Operation]:
        """Operations that every run executes, in the program's order."""
        return [
            n
            for n in self.get_operations()
            if n.op_def.effects not in (PURE, READS) and n.type not in ("Placeholder", "NoOp")
        ]


def _scope_name(name: str) -> str:
    """The name of a Python function without what no scope may have ("<lambda>")."""
    return re.sub(r"[^A-Za-z0-9_.]", "", name).lstrip("_") or "call"


def _show_tapes(node: Operation, op: Op, inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    """Shows a copied node to the tapes, with Variables in place of their handles."""
    handles = [t.op.attrs["variable"] if t.op.is_handle else None for t in node.inputs]
    seen = tuple([x if v is None else v for x, v in zip(inputs, handles)])
    for recorder in state.recorders:
        for variable in handles:
            if variable is not None:
                recorder.read(variable)
        recorder.record(op, seen, node.attrs, outputs)


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
            if state.recorders and node.outputs:
                _show_tapes(node, op, inputs, outputs)
            made[node.index] = outputs[0]
            for t, copy in zip(node.outputs, outputs):
                copies.setdefault(t._id, copy)
    return [copies[f._id] for f in fetches]

"""A node that holds traced branches: what it uses from outside, its frame, its gradient's parts.

A node holds traced branches and takes the tensors and Variables that they use as inputs. Its last
output is a *frame*: the values in between that its gradient reads, of the branch or of the
iterations that ran, and what they read or drew, which the gradient's own gradient computes again
from (`graph/replay.py`). A frame stays empty until a gradient was built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.context import building, state
from shardtape.graph.branches import Branch
from shardtape.graph.parts import put_together
from shardtape.graph.plan import Plan, _needed
from shardtape.graph.shown import is_stateless
from shardtape.ops import registry, tensor_list
from shardtape.ops.array import zeros_like
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.node_names import NODE_NAMES
from shardtape.ops.registry import Op
from shardtape.tensor import SymbolicTensor, Tensor
from shardtape.variable_spec import variable_of


class Frame:
    """What a node kept of a run, as a value of type variant; it looks like a scalar object."""

    __slots__ = ("kept",)
    shape: tuple[int, ...] = ()
    ndim, size = 0, 1
    dtype = np.dtype(object)

    def __init__(self, kept: Any) -> None:
        self.kept = kept

    def copy(self) -> Frame:
        """The frame itself: it never changes."""
        return self


class nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *exc: Any) -> None: ...


class BranchNode:
    """What a node's branches use from outside, and where each branch finds it."""

    def __init__(self, branches: Sequence[Branch], graph: Any) -> None:
        self.branches, self.graph = branches, graph
        self.outer: list[Any] = []
        self.variables: list[Any] = []
        places: dict[int, int] = {}
        self.positions: list[list[int]] = []
        for b in branches:
            mine = []
            for t in b.captured:
                key = t._key()
                if key not in places:
                    places[key] = len(self.outer)
                    self.outer.append(t)
                mine.append(places[key])
            self.positions.append(mine)
            for v in b.variables:
                if all(v is not w for w in self.variables):
                    self.variables.append(v)
        self.effects = any(b.has_effects for b in branches)
        self.stateless = is_stateless([b.graph for b in branches])
        self.backwards: list[Any] | None = None

    def kind(self, base: str) -> str:
        """The type of the node: one without effects is of the `Stateless` kind."""
        return f"Stateless{base}" if self.stateless else base

    def order(self) -> list[int]:
        """Places among the tensors and then Variables from outside, as the branches meet them."""
        found: dict[int, None] = {}
        first = len(self.outer)
        for branch, positions in zip(self.branches, self.positions):
            graph = branch.graph
            met = [(p.op.index, i) for (_, p), i in zip(graph.captures, positions)]
            for i, v in enumerate(self.variables):
                if v._id in graph._handles:
                    met.append((graph._handles[v._id].op.index, first + i))
            found |= dict.fromkeys([i for _, i in sorted(met)])
        return list(found)

    def captured_of(self, branch: int, values: Sequence[Any]) -> list[Any]:
        return [values[i] for i in self.positions[branch]]

    def structured(self, outputs: Any, structure: Any) -> Any:
        flat = list(outputs[:-1]) if isinstance(outputs, tuple) else []
        return put_together(structure, flat)

    def want_gradients(self) -> list[Any]:
        """Backward pieces of all branches; from now on the node keeps what they read."""
        if self.backwards is None:
            self.backwards = [DenseBackward(b) for b in self.branches]
        return self.backwards


class DenseBackward:
    """A branch's gradient, dense, by its arguments and captured tensors and by Variable."""

    def __init__(self, branch: Branch) -> None:
        self.branch = branch
        backward = branch.segment.backward()
        self.backward = backward
        with building(branch.graph):
            by_input = [None if g is None else convert_to_tensor(g) for g in backward.by_input]
            by_variable = {
                v: None if g is None else convert_to_tensor(g)
                for v, g in backward.by_variable.items()
            }
        self.by_input, self.by_variable = by_input, by_variable
        # the fetches of `plan` by argument or captured tensor, and by Variable; -1: no gradient
        flat: list[Any] = []
        self.input_places = [_place(g, flat) for g in by_input]
        self.variable_places = {v: _place(g, flat) for v, g in by_variable.items()}
        seeds: list[Any] = [backward.seeds[i] for i in backward.live]
        read = [*backward.kept, *backward.handles]
        self._read = len(read)
        self.plan = Plan(branch.graph, [*read, *seeds], flat)
        # every value that a run keeps: what `plan` reads, then what was read or drawn
        self.kept = [*read, *_read_or_drawn(branch, backward)]
        effects = branch.segment.effects
        self._forward = Plan(
            branch.graph, branch.segment.inputs, [*branch.outputs, *self.kept, *effects]
        )

    def run_forward(self, feeds: Sequence[Any]) -> tuple[list[Any], tuple[Any, ...]]:
        """Outputs, and what the backward run and its own gradient read."""
        count = len(self.branch.outputs)
        got = self._forward.run(feeds)
        return got[:count], tuple(got[count : count + len(self.kept)])

    def run(self, kept: Sequence[Any], seeds: Sequence[Any]) -> list[Any]:
        """Seeds are those of all outputs; the ones of integers are ignored."""
        read = kept[: self._read]
        return self.plan.run([*read, *[seeds[i] for i in self.backward.live]])


def computed_again(node: Any) -> bool:
    """Whether running a node once more gives the same: it reads, draws and changes nothing."""
    kind = node.type
    pure = node.op_def.effects == registry.PURE
    return pure or node.is_handle or kind.startswith("TensorList")


def _read_or_drawn(branch: Branch, backward: Any) -> list[Any]:
    """Tensors of a branch that cannot be computed again, without those that are kept anyway."""
    given = {t._id for t in branch.segment.inputs}
    kept = {t._id for t in backward.kept}
    return [
        t
        for node in _needed([*branch.outputs, *backward.kept], given)
        if not computed_again(node)
        for t in node.outputs
        if t._id not in kept and t._id not in given
    ]


def _place(gradient: Any, flat: list[Any]) -> int:
    if gradient is None:
        return -1
    flat.append(gradient)
    return len(flat) - 1


def add_node(
    graph: Any, made: Op, leading: Sequence[Any], node: BranchNode, name: str | None
) -> Any:
    """Adds the node, and shows it to the tapes with its Variables as inputs."""
    inputs = [*leading, *node.outer]
    new = [i for i, v in enumerate(node.variables) if v._id not in graph._handles]
    if new and graph.takes_resources:
        scope = graph.unique_name(name or NODE_NAMES.get(made.type, made.type))
        name = f"{scope}/"
        first = len(leading) + 2 if made.type == "While" else 0  # a loop has two more in front
        places = {i: first + k for k, i in enumerate(node.order())}
        for i in new:
            called = f"input_{places[len(node.outer) + i]}"
            handle = graph.variable_handle(node.variables[i], f"{scope}/{called}")
            graph.shown.names[handle.op.index] = called
    handles = [graph.variable_handle(v) for v in node.variables]
    outputs = graph.add_op(made, [*inputs, *handles], {}, name)
    if state.recorders:
        seen = [value_of(x) for x in inputs]
        given = [v for v, x in zip(seen, inputs) if v is not x]
        for recorder in state.recorders:
            for v in (*given, *node.variables):
                recorder.read(v)
            recorder.record(made, (*seen, *node.variables), {}, outputs)
    return outputs


def add_gradient_node(made: Op, kind: str, inputs: Sequence[Any]) -> tuple[Any, ...]:
    """Adds the node of a gradient to the graph that is built, and shows it to the tapes.

    Args:
      inputs: tensors, and Variables or their handles.
    """
    graph = state.graph
    got = graph.add_op(made, [readable(x) for x in inputs], {}, kind)
    outputs = got if isinstance(got, tuple) else (got,)
    if state.recorders:
        seen = tuple([value_of(x) for x in inputs])
        for recorder in state.recorders:
            recorder.record(made, seen, {}, outputs)
    return outputs


def node_op(
    kind: str, kernel: Any, dtypes: Sequence[dt.DType], out_shapes: Sequence[Any], effects: bool
) -> Op:
    made = Op(
        kernel,
        kind,
        shape=lambda *args: list(out_shapes),
        dtype=lambda in_dtypes, attrs: tuple(dtypes),
        dtypes=dt.ANY,
        mixed=True,
        outputs=-1,
        effects=registry.WRITES if effects else registry.READS,
        dynamic=True,
    )
    made.draws_inside = effects
    return made


def results(values: list[Any]) -> Any:
    """What a kernel returns: a tuple, or the value itself where there is only one output."""
    return values[0] if len(values) == 1 else tuple(values)


def seeds_of(grads: Any, outputs: Any) -> list[Any]:
    return [_zeros(y) if g is None else g for g, y in zip(grads[:-1], outputs[:-1])]


def _zeros(y: Any) -> Any:
    return tensor_list.zeros(y) if y.dtype is dt.variant else zeros_like(y)


def value_of(x: Any) -> Any:
    """The Variable that a handle stands for; a tensor itself."""
    if isinstance(x, SymbolicTensor) and x.dtype is dt.resource and "variable" in x.op.attrs:
        return variable_of(x)
    return x


def differentiable(inputs: Sequence[Any]) -> list[int]:
    """Places of the inputs that a gradient may flow to: numbers, and lists of them."""
    types = [value_of(x).dtype for x in inputs]
    return [i for i, t in enumerate(types) if t.is_floating or t.is_complex or t is dt.variant]


def readable(x: Any) -> Any:
    return x if isinstance(x, Tensor) else state.graph.variable_handle(x)


def zeros_of_input(original: Any) -> Any:
    if not hasattr(original, "_read_array") and not isinstance(original, (np.ndarray, np.generic)):
        return tensor_list.ListValue([None] * len(tensor_list.members(original)))
    array = original._read_array() if hasattr(original, "_read_array") else original
    return np.zeros_like(array)

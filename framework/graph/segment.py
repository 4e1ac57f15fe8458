"""A differentiable piece of a graph: inputs, outputs, and its backward piece.

A traced function runs as a segment. When a tape watches the call, the segment's outputs are
fetched together with the values in between that its gradient reads, and the call is recorded as
one op whose gradient runs the backward segment. The backward segment is a segment of the same
graph, so gradients of gradients need nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import building, recording, state
from shardtape.gradients import Record, backpropagate
from shardtape.graph.func_graph import inline
from shardtape.graph.ir import Graph, Operation
from shardtape.graph.plan import Plan, _needed
from shardtape.graph.scopes import name_scope
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops import registry, source, tensor_list
from shardtape.ops.array import zeros_like
from shardtape.ops.registry import Op
from shardtape.tensor import EagerTensor, SymbolicTensor

_EFFECTS = (registry.WRITES, registry.IO, registry.BLOCKING, registry.RANDOM)


class Segment:
    """Computes `outputs` of a graph from `inputs`.

    Args:
      inputs: tensors of the graph whose values are given; resource tensors stand for Variables.
      outputs: tensors to compute.
      effects: operations that every run executes, in the program's order.
    """

    def __init__(
        self,
        graph: Graph,
        inputs: Sequence[SymbolicTensor],
        outputs: Sequence[SymbolicTensor],
        effects: Sequence[Operation] = (),
    ) -> None:
        self.graph, self.inputs, self.outputs = graph, tuple(inputs), tuple(outputs)
        self.effects = tuple(effects)
        self._plan: Plan | None = None
        self._backward: _Backward | None = None
        self._full: _Backward | None = None
        self._variables: list[Any] | None = None
        # places of the inputs that are Variables: their values are these
        self._given = [i for i, t in enumerate(self.inputs) if t.dtype is dt.resource]
        self._op = _call_op(self)

    def call(self, values: Sequence[Any], variables: Sequence[Any] = ()) -> list[Any]:
        """Runs eagerly, or copies its nodes into the graph that is being built.

        Args:
          values: eager tensors, one per input; Variables for those of type resource.
          variables: the Variables that the segment reads; tapes that watch them see the call.
        """
        if state.graph is not None:
            given = {p._id: v for p, v in zip(self.inputs, values)}
            return inline(state.graph, self.outputs, self.effects, given, "call")
        if not state.recorders:
            return self._run(values)
        for recorder in state.recorders:
            for v in variables:
                recorder.read(v)
            for i in self._given:
                recorder.read(values[i])
        try:
            backward = self.backward()
        except LookupError:  # it is raised again when somebody asks for the gradient
            outputs = self._run(values)
            for recorder in state.recorders:
                recorder.record(self._op, (*values, *variables), {}, tuple(outputs))
            return outputs
        feeds = self._feeds(values) if self._given else [v._array for v in values]
        got = backward.forward_plan.run(feeds)
        count = len(self.outputs)
        made = tuple([EagerTensor(a) for a in got[: count + len(backward.kept)]])
        inputs = (*values, *variables)
        for recorder in state.recorders:
            recorder.record(self._op, inputs, {}, made)
        return list(made[:count])

    def _run(self, values: Sequence[Any]) -> list[EagerTensor]:
        if self._plan is None:
            self._plan = Plan(self.graph, self.inputs, [*self.outputs, *self.effects])
        feeds = self._feeds(values) if self._given else [v._array for v in values]
        got = self._plan.run(feeds)
        return [EagerTensor(a) for a in got[: len(self.outputs)]]

    def _feeds(self, values: Sequence[Any]) -> list[Any]:
        """Arrays, and Variables as they are."""
        return [v if i in self._given else v._array for i, v in enumerate(values)]

    def gradient(self, grads: Any, outputs: Any, inputs: Any) -> list[Any]:
        """Gradients of a recorded call with respect to its inputs and Variables.

        Args:
          grads: of the outputs and of the values in between; None where there is none.
          outputs: those outputs and values.
          inputs: of the call, then its Variables.
        """
        count = len(self.outputs)
        backward = self.backward()
        kept = outputs[count:]
        if all(g is None for g in grads[count:]):
            values = list(kept)
        else:
            # a tape watched the backward run: the values in between are targets themselves. Their
            # own gradients start again at the inputs, with what was read or drawn held fixed.
            if self._full is None:
                self._full = _Backward(self, extra=backward.kept)
                pinned = [backward.kept[i] for i in backward.pinned]
                seeds: list[Any] = [self._full.seeds[i] for i in self._full.live]
                self._full.segment = Segment(
                    self.graph, [*self.inputs, *pinned, *seeds], self._full.flat
                )
            values = [*inputs[: len(self.inputs)], *[kept[i] for i in backward.pinned]]
            backward = self._full
        seeds = [_zeros(outputs[i]) if grads[i] is None else grads[i] for i in backward.live]
        got: Any = iter(())
        if backward.flat:
            segment = backward.segment
            if backward is not self._full:
                values += [inputs[i] for i in backward.given_variables]
            got = iter(segment.call([*values, *seeds], segment.variables_read()))

        def take(g: Any) -> Any:
            if g is None:
                return None
            if isinstance(g, IndexedSlices):
                parts = [next(got) for _ in parts_of(g)]
                return IndexedSlices(*parts, *([g.shape_anywhere()] if len(parts) == 2 else []))
            return next(got)

        by_input = [take(g) for g in backward.by_input]
        by_variable = {v: take(g) for v, g in backward.by_variable.items()}
        return [*by_input, *[by_variable.get(v._id) for v in inputs[len(self.inputs) :]]]

    def variables_read(self) -> list[Any]:
        """The Variables that are read when the inputs are given."""
        if self._variables is None:
            given = {t._id for t in self.inputs}
            nodes = _needed([*self.outputs, *self.effects], given)
            self._variables = [n.attrs["variable"] for n in nodes if n.is_handle]
        return self._variables

    def backward(self) -> _Backward:
        """The gradient of this segment; built once."""
        with self.graph.lock:
            if self._backward is None:
                self._backward = _Backward(self)
            return self._backward


class _Backward:
    """Gradients of a segment's outputs with respect to its inputs and Variables.

    Args:
      extra: values in between that are targets too (when a tape watched the backward run).
    """

    def __init__(self, segment: Segment, extra: Sequence[SymbolicTensor] = ()) -> None:
        graph = segment.graph
        boundary = len(graph.get_operations())
        handles = {h.op.attrs["variable"]._id: h for h in graph._handles.values() if h.op.is_handle}
        self.targets = (*segment.outputs, *extra)
        with building(graph), recording(()), name_scope("gradients"):
            self.seeds = [
                graph.add_op(source.placeholder, (), {"dtype": t.dtype, "shape": t.shape})
                if t.dtype.is_floating or t.dtype.is_complex or _is_list(t)
                else None
                for t in self.targets
            ]
            seeds: dict[int, Any] = {}
            for t, s in zip(self.targets, self.seeds):
                if s is not None:
                    seeds[t._id] = s if t._id not in seeds else seeds[t._id] + s
            wanted = {t._id for t in segment.inputs} | {h._id for h in handles.values()}
            leads = _leads_to(graph, boundary, wanted)
            given = {t._id for t in segment.inputs}
            records = [
                Record(n.op_def, n.inputs, n.attrs, n.outputs)
                for n in reversed(graph.get_operations()[:boundary])
                if any(t._id in leads for t in n.inputs)
                and not any(t._id in given for t in n.outputs)
            ]
            grads = backpropagate(records, seeds, wanted, leads.__contains__)
        self.by_input = [grads.get(t._id) for t in segment.inputs]
        self.by_variable = {v: grads.get(h._id) for v, h in handles.items()}
        self.flat: list[Any] = []
        for g in [*self.by_input, *self.by_variable.values()]:
            if isinstance(g, IndexedSlices):
                self.flat.extend(parts_of(g))
            elif g is not None:
                self.flat.append(g)
        frontier = _frontier(self.flat, boundary, given)
        self.kept = [t for t in frontier if t.dtype is not dt.resource]
        # Variables among the inputs that the gradient reads, and their places
        self.handles = [t for t in frontier if t.dtype is dt.resource]
        places = {t._id: i for i, t in enumerate(segment.inputs)}
        self.given_variables = [places[t._id] for t in self.handles]
        # what was read or drawn cannot be computed again from the inputs
        self.pinned = [
            i
            for i, t in enumerate(self.kept)
            if t.op.op_def.effects != registry.PURE and t._id not in given
        ]
        self.live = [i for i, s in enumerate(self.seeds) if s is not None]
        seeds_in: list[Any] = [self.seeds[i] for i in self.live]
        self.segment = Segment(graph, [*self.kept, *self.handles, *seeds_in], self.flat)
        self.forward_plan = Plan(
            graph, segment.inputs, [*segment.outputs, *self.kept, *segment.effects]
        )


def parts_of(slices: IndexedSlices) -> list[Any]:
    """The tensors that are computed; a shape that is known is made again by each call."""
    parts = [slices.values, slices.indices]
    unknown = slices.dense_shape is not None and slices.shape_anywhere() is None
    return [*parts, slices.dense_shape] if unknown else parts


def _is_list(t: SymbolicTensor) -> bool:
    """Whether it is a list of numbers, what a TensorArray holds, and not a node's frame."""
    is_frame = hasattr(t.op.op_def, "control") and t is t.op.outputs[-1]
    return t.dtype is dt.variant and not is_frame


def _zeros(output: Any) -> Any:
    if isinstance(output, SymbolicTensor):
        is_list = output.dtype is dt.variant
    else:  # objects that are no arrays stand for values of type variant
        is_list = output._array.dtype == object and not isinstance(output._array, np.ndarray)
    return tensor_list.zeros(output) if is_list else zeros_like(output)


def _leads_to(graph: Graph, boundary: int, wanted: set[int]) -> set[int]:
    """Keys of the tensors that depend on `wanted`, up to the boundary."""
    found = set(wanted)
    for node in graph.get_operations()[:boundary]:
        if any(t._id in found for t in node.inputs):
            found.update(t._id for t in node.outputs)
    return found


def _frontier(
    outputs: Sequence[SymbolicTensor], boundary: int, given: set[int]
) -> list[SymbolicTensor]:
    """Tensors made before the boundary that nodes after it read."""
    kept: dict[int, SymbolicTensor] = {}
    seen: set[int] = set()
    waiting = list(outputs)
    while waiting:
        t = waiting.pop()
        if t._id in seen:
            continue
        seen.add(t._id)
        node = t.op
        if t._id in given or node.index < boundary:
            if node.type != "Const" and not node.is_handle:
                kept[t._id] = t
        else:
            waiting.extend(node.inputs)
    return [kept[k] for k in sorted(kept)]


def _call_op(segment: Segment) -> Op:
    """An op object for the call's record; it is never applied."""

    def never(xp: Any, *inputs: Any) -> Any:
        raise errors.InternalError("a traced function runs its plan, not a kernel")

    made = Op(
        never, "PartitionedCall", shape=registry.unknown, dtypes=dt.ANY, mixed=True, outputs=-1
    )

    @made.gradient
    def _(grads: Any, outputs: Any, *inputs: Any) -> Any:
        return segment.gradient(grads, outputs, inputs)

    return made

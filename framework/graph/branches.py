"""Traced pieces of Python that a control flow op holds: branches, conditions, loop bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.context import building, recording, state
from shardtape.graph.func_graph import FuncGraph
from shardtape.graph.parts import taken_apart, tensors_of
from shardtape.graph.plan import Plan
from shardtape.graph.segment import Segment
from shardtape.ops import source
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.tensor_list import ListValue
from shardtape.tensor import SymbolicTensor


class Branch:
    """A function traced on placeholders of given types.

    Args:
      function: takes tensors, returns a nested structure of tensors.
      arguments: (dtype, shape) of each tensor that it takes.
    """

    def __init__(
        self, function: Callable[..., Any], arguments: Sequence[tuple[Any, Any]], name: str
    ) -> None:
        self.graph = FuncGraph(name, state.graph)
        with building(self.graph), recording(()):
            self.arguments = [
                self.graph.add_op(source.placeholder, (), {"dtype": d, "shape": s}, "arg")
                for d, s in arguments
            ]
            result = function(*self.arguments)
            self.structure = taken_apart(result, _captured_tensor)
        self.outputs = tensors_of(self.structure)
        self.variables = list(self.graph.variables)
        self._segment: Segment | None = None

    @property
    def captured(self) -> list[Any]:
        """Outer tensors that the function used."""
        return [outer for outer, _ in self.graph.captures]

    @property
    def has_effects(self) -> bool:
        return bool(self.graph.effects())

    @property
    def segment(self) -> Segment:
        """From (arguments, captured tensors) to outputs."""
        if self._segment is None:
            inputs = [*self.arguments, *[p for _, p in self.graph.captures]]
            self._segment = Segment(self.graph, inputs, self.outputs, self.graph.executed())
        return self._segment

    def plan(self) -> Plan:
        segment = self.segment
        if segment._plan is None:
            segment._plan = Plan(self.graph, segment.inputs, [*segment.outputs, *segment.effects])
        return segment._plan


def _captured_tensor(x: Any) -> Any:
    if isinstance(x, SymbolicTensor) and x.op.graph is state.graph:
        return x
    return state.graph.capture(convert_to_tensor(x))


def common_shape(a: Any, b: Any) -> shapes.TensorShape:
    """What is known of a value that comes from either of two places."""
    return a.shape.most_specific_compatible_shape(b.shape)


def zeros_of(shape: Any, dtype: dt.DType) -> Any:
    if dtype is dt.variant:
        return ListValue([])
    return np.zeros(shape, dtype.numpy_dtype)

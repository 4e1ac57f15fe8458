"""Steps of a model as traced functions, one for each kind of batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import nest
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.function import Function, functions_run_eagerly
from shardtape.shapes import TensorShape
from shardtape.tensor import EagerTensor

_MAX_KINDS = 64


class TracedSteps:
    """Calls a step function of one batch as a plan.

    The traces are those that Keras makes, because random ops of each have a stream of their own:
    the first batches of a fixed number of examples have a trace for this number; others, and
    those of any number, share one for an unknown first dimension.

    Args:
      step: takes a batch, returns a nested structure of tensors.
      eager: run the Python code for each batch.
    """

    def __init__(self, step: Callable[[Any], Any], eager: bool = False) -> None:
        self._step, self._eager = step, eager
        self._traces: dict[Any, Any] = {}

    def __call__(self, data: Any, sized: bool = False) -> Any:
        """Runs the step on a batch (nested tensors).

        Args:
          sized: the number of examples is known beforehand: that of all batches.
        """
        if self._eager or functions_run_eagerly():
            return self._step(data)
        leaves = nest.flatten(data)
        tensors = [t for t in leaves if t is not None]
        if not all(type(t) is EagerTensor for t in tensors):
            return self._function(("composite",))(data)
        kind = (_structure(data), *[(t._array.dtype.num, t._array.shape[1:],
                                     t._array.ndim > 0) for t in tensors])  # fmt: skip
        sizes = tuple([t._array.shape[:1] for t in tensors]) if sized else None
        found = self._traces.get((kind, sizes)) or self._traces.get((kind, None))
        if found is None:
            if any(known[0] == kind for known in self._traces):
                sizes = None
            specs = nest.map_structure(lambda t: _spec(t, sizes is not None), data)
            made = self._new_function().get_concrete_function(specs)
            found = self._remember((kind, sizes), made)
        return found.call_flat(tensors)

    def _function(self, kind: Any) -> Any:
        found = self._traces.get(kind)
        return self._remember(kind, self._new_function()) if found is None else found

    def _new_function(self) -> Function:
        # A function of its own for each kind: another kind of batch may make Variables too.
        return Function(self._step, getattr(self._step, "__name__", "step"))

    def _remember(self, kind: Any, made: Any) -> Any:
        if len(self._traces) >= _MAX_KINDS:
            self._traces.pop(next(iter(self._traces)))
        self._traces[kind] = made
        return made

    def concrete(self) -> Any:
        """The latest trace; None before the first batch."""
        traces = [t for t in self._traces.values() if hasattr(t, "graph")]
        return traces[-1] if traces else None


def _spec(tensor: Any, sized: bool) -> Any:
    if tensor is None:
        return None
    shape = tensor.shape
    if shape.rank and not sized:
        shape = TensorShape([None, *shape[1:]])
    return TensorSpec(shape, tensor.dtype)


def _structure(data: Any) -> Any:
    if isinstance(data, dict):
        return tuple((k, _structure(v)) for k, v in data.items())
    if nest.is_nested(data):
        return (type(data), *[_structure(v) for v in nest._children(data)])
    return data is None

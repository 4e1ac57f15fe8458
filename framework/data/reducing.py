"""Functions of a state and each element: `reduce` and `scan`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shardtape import errors
from shardtape.context import state
from shardtape.data import structure
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import Dataset, OneInput
from shardtape.data.run import Run
from shardtape.data.structure import ElementType
from shardtape.data.tracing import TracedFunction
from shardtape.tensor import SymbolicTensor, Tensor


def _traced(
    function: Callable[..., Any], state_spec: Any, element_spec: Any, name: str, new_state: Any
) -> tuple[TracedFunction, Any]:
    """The function traced on a state that is as little known as the states that it returns.

    Args:
      new_state: takes the new state's spec out of what the function returns.
    """
    while True:
        traced = TracedFunction(function, (state_spec, element_spec), name)
        found = new_state(traced.output.spec)
        try:
            structure.assert_same(state_spec, found, name)
        except (TypeError, ValueError) as error:
            raise TypeError(
                f"The structure of the new state must match that of the initial state: {error}"
            ) from None
        general = []
        for old, new in zip(structure.flatten(state_spec), structure.flatten(found)):
            try:
                general.append(old.most_specific_compatible_type(new))
            except ValueError:
                raise TypeError(
                    "The element types for the new state must match the initial state. Expected "
                    f"{state_spec}; got {found}."
                ) from None
        relaxed = structure.pack(state_spec, general)
        if general == structure.flatten(state_spec):
            return traced, relaxed
        state_spec = relaxed


def reduce_dataset(dataset: Dataset, initial_state: Any, function: Callable[..., Any]) -> Any:
    """See `Dataset.reduce`."""
    from shardtape.data.graph_ops import reduce_in_graph, reduce_leaves

    value = structure.normalize(initial_state)
    spec = structure.spec_of(value)
    traced, spec = _traced(function, spec, dataset.element_spec, "reduce_func", lambda s: s)
    element = ElementType(spec)
    symbolic = any(isinstance(x, SymbolicTensor) for x in structure.flatten(value))
    if state.graph is not None or symbolic:
        return reduce_in_graph(dataset, value, element, traced)
    run = Run(deterministic=dataset.options().deterministic)
    return element.wrap(reduce_leaves(dataset, run, element.unwrap(value), traced))


class ScanDataset(OneInput):
    """The second results of a function of (state, element), whose first result is the new state."""

    def __init__(self, input: Dataset, initial_state: Any, function: Callable[..., Any]) -> None:
        self._initial = structure.normalize(initial_state)
        spec = structure.spec_of(self._initial)
        self._function, spec = _traced(
            function, spec, input.element_spec, "scan_func", self._state_of
        )
        self._state_type = ElementType(spec)
        super().__init__(input, self._function.output.spec[1])

    @staticmethod
    def _state_of(output: Any) -> Any:
        if type(output) is not tuple or len(output) != 2:
            raise TypeError(
                "Invalid `scan_func`. `scan_func` should return a pair consisting of new state "
                f"and the output value. Got {output}"
            )
        return output[0]

    def _parameters(self) -> Sequence[Any]:
        values = [v for v in structure.flatten(self._initial) if isinstance(v, Tensor)]
        return (*self._function.parameters(), *values)

    def _cardinality(self, run: Run) -> int:
        return self._input._cardinality(run)

    def _make_cursor(self, run: Run) -> Cursor:
        leaves = tuple(
            run.value(v) if isinstance(v, Tensor) else structure.unwrap_leaf(s, v)
            for s, v in zip(self._state_type.specs, structure.flatten(self._initial))
        )
        return ScanCursor(self._input._cursor(run), self._function.bind(run), leaves)


class ScanCursor(Cursor):
    """Keeps the state between elements."""

    def __init__(self, input: Cursor, call: Callable[[Leaves], Leaves], leaves: Leaves) -> None:
        super().__init__(input)
        self._next, self._call, self._state = input.__next__, call, leaves

    def __next__(self) -> Leaves:
        found = self._next()
        try:
            got = self._call((*self._state, *found))
        except errors.OutOfRangeError:
            raise StopIteration from None
        count = len(self._state)
        self._state = got[:count]
        return got[count:]

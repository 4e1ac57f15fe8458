"""`reduce_retracing`: shapes that have changed once are traced as unknown ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape.graph.arguments import Declared, composite_of, declared_type, is_tensor_like, key_of
from shardtape.graph.concrete_function import ConcreteFunction
from shardtape.graph.func_graph import TensorSpec

# Of one function; the oldest are forgotten.
MAX_TRACES = 512


class Relaxed:
    """The traces of a function that lets shapes be unknown once they have changed."""

    def __init__(self) -> None:
        self._known: list[tuple[Any, list[Any], ConcreteFunction]] = []

    def find(self, context: Any, leaves: Sequence[Any]) -> ConcreteFunction | None:
        """The trace that takes these arguments, if there is one."""
        for other, types, concrete in self._known:
            if other == context and _fit(types, [type_of(x) for x in leaves]):
                return concrete
        return None

    def widened(self, context: Any, leaves: Sequence[Any]) -> list[Any]:
        """The arguments, declared with what they have in common with those of the traces."""
        types = [type_of(x) for x in leaves]
        for other, known, _ in self._known:
            if other == context and len(known) == len(types):
                pairs = [_common(a, b) for a, b in zip(types, known)]
                if None not in pairs:
                    types = pairs
        return [
            Declared(x, t) if isinstance(t, TensorSpec) and type_of(x) != t else x
            for x, t in zip(leaves, types)
        ]

    def add(self, context: Any, leaves: Sequence[Any], concrete: ConcreteFunction) -> None:
        self._known.append((context, [type_of(x) for x in leaves], concrete))
        if len(self._known) > MAX_TRACES:
            del self._known[0]


def type_of(x: Any) -> Any:
    """A TensorSpec for a tensor, something that can be compared for any other argument."""
    if is_tensor_like(x) and composite_of(x) is None:
        dtype, shape = declared_type(x)
        return TensorSpec(shape, dtype)
    return ("value", key_of(x))


def _fit(wanted: Sequence[Any], given: Sequence[Any]) -> bool:
    return len(wanted) == len(given) and all(_common(w, g) == w for w, g in zip(wanted, given))


def _common(a: Any, b: Any) -> Any:
    """The type of both; None where they have none."""
    if a == b:
        return a
    if not isinstance(a, TensorSpec) or not isinstance(b, TensorSpec) or a.dtype is not b.dtype:
        return None
    return a.most_specific_compatible_type(b)

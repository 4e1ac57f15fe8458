"""Which trace takes other arguments than its own, and what `reduce_retracing` widens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape.graph.arguments import (
    VARIABLES,
    Declared,
    composite_of,
    declared_type,
    is_tensor_like,
    key_of,
    variable_type,
)
from shardtape.graph.concrete_function import ConcreteFunction
from shardtape.graph.func_graph import TensorSpec
from shardtape.variable_spec import VariableSpec

# Of one function; the oldest are forgotten.
MAX_TRACES = 512


class KnownTraces:
    """The traces of a function with the types of the arguments that they take."""

    def __init__(self) -> None:
        self._known: list[tuple[Any, list[Any], ConcreteFunction, tuple[str | None, ...]]] = []

    def find(
        self, context: Any, leaves: Sequence[Any], called: tuple[str | None, ...] = ()
    ) -> ConcreteFunction | None:
        """The trace that takes these arguments, if there is one: that of the narrowest types.

        Args:
          called: what `names_of_specs` gives: a trace is for a named spec if it has its name.
        """
        types = None
        best: tuple[list[Any], ConcreteFunction] | None = None
        for other, wanted, concrete, names in self._known:
            if other != context or not _are_called(names, called):
                continue
            types = [type_of(x) for x in leaves] if types is None else types
            if _fit(wanted, types) and (best is None or _fit(best[0], wanted)):
                best = wanted, concrete
        return None if best is None else best[1]

    def widened(self, context: Any, leaves: Sequence[Any]) -> list[Any]:
        """The arguments, declared with what they have in common with those of the traces."""
        types = [type_of(x) for x in leaves]
        for other, known, *_ in self._known:
            if other == context and len(known) == len(types):
                pairs = [_common(a, b) for a, b in zip(types, known)]
                if None not in pairs:
                    types = pairs
        return [
            Declared(x, t) if isinstance(t, (TensorSpec, VariableSpec)) and type_of(x) != t else x
            for x, t in zip(leaves, types)
        ]

    def add(
        self, context: Any, leaves: Sequence[Any], concrete: ConcreteFunction,
        called: tuple[str | None, ...] = (),
    ) -> None:  # fmt: skip
        self._known.append((context, [type_of(x) for x in leaves], concrete, called))
        if len(self._known) > MAX_TRACES:
            del self._known[0]

    def forget(self, concrete: ConcreteFunction) -> None:
        self._known = [entry for entry in self._known if entry[2] is not concrete]


def names_of_specs(leaves: Sequence[Any]) -> tuple[str | None, ...]:
    """The names of named TensorSpecs, None for all else; () where there are none."""
    names = tuple([x.name if type(x) is TensorSpec else None for x in leaves])
    return names if any(names) else ()


def _are_called(names: tuple[str | None, ...], wanted: tuple[str | None, ...]) -> bool:
    """Whether all that has to have a name has it."""
    if not wanted:
        return True
    return bool(names) and all(w is None or w == n for n, w in zip(names, wanted))


def type_of(x: Any) -> Any:
    """A spec for a tensor or a Variable, something that can be compared for other arguments."""
    if isinstance(x, (*VARIABLES, Declared)):
        spec = variable_type(x)
        if spec is not None and not hasattr(x, "read_dtype"):
            return VariableSpec(spec.shape, spec.dtype, spec.trainable)
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
    of_variables = isinstance(a, VariableSpec) and isinstance(b, VariableSpec)
    if of_variables or (isinstance(a, TensorSpec) and isinstance(b, TensorSpec)):
        try:
            return a.most_specific_compatible_type(b)
        except ValueError:
            return None
    return None

"""Values that differ between replicas, and results of replicas put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shardtape import nest
from shardtape.graph.func_graph import TensorSpec
from shardtape.type_spec import TypeSpec, register_spec_maker, type_spec_from_value
from shardtape.variable import Variable


class DistributedValues:
    """One value for each replica, by number.

    Args:
      values: in the order of the replicas.
    """

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = tuple(values)

    @property
    def values(self) -> tuple[Any, ...]:
        """The values in the order of the replicas."""
        return self._values

    @property
    def _type_spec(self) -> TypeSpec | None:
        try:
            return PerReplicaSpec(*[_spec_of(v) for v in self._values])
        except TypeError:  # objects that no tensor can be made of stay outside functions
            return None

    def __repr__(self) -> str:
        return shown(type(self).__name__, self._values, repr)

    def __str__(self) -> str:
        return shown(type(self).__name__, self._values, str)


def shown(name: str, values: Sequence[Any], text: Callable[[Any], str]) -> str:
    """`PerReplica:{ 0: ..., 1: ... }`, a line each."""
    lines = ",\n".join(f"  {i}: {text(v)}" for i, v in enumerate(values))
    return f"{name}:{{\n{lines}\n}}"


class PerReplica(DistributedValues):
    """Values of which each replica has its own; it may be an argument of a `tf.function`."""


def _spec_of(value: Any) -> TypeSpec:
    """The spec under which a value leaves a function: a Variable as its value."""
    if isinstance(value, Variable):
        return TensorSpec(value.shape, value.dtype)
    return type_spec_from_value(value)


class Mirrored(DistributedValues):
    """The same value for each replica, where each has a copy."""

    def _as_tensor(self, dtype: Any = None) -> Any:
        from shardtape.ops.convert import convert_to_tensor

        return convert_to_tensor(self._values[0], dtype)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._values[0], name)


class PerReplicaSpec(TypeSpec):
    """The spec of a PerReplica.

    Args:
      value_specs: the spec of each replica's value.
    """

    __slots__ = ("_value_specs",)

    def __init__(self, *value_specs: TypeSpec) -> None:
        self._value_specs = value_specs

    @property
    def value_type(self) -> type:
        return PerReplica

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        return tuple(part for spec in self._value_specs for part in spec._component_specs)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        return tuple(
            part
            for spec, v in zip(self._value_specs, value.values)
            for part in spec._to_components(v)
        )

    def _from_components(self, components: Sequence[Any]) -> PerReplica:
        rest = iter(components)
        return PerReplica(
            [s._from_components([next(rest) for _ in s._component_specs])
             for s in self._value_specs]
        )  # fmt: skip

    def _serialize(self) -> tuple[Any, ...]:
        return self._value_specs

    def most_specific_compatible_type(self, other: TypeSpec) -> TypeSpec:
        if not isinstance(other, PerReplicaSpec):
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        pairs = zip(self._value_specs, other._value_specs)
        return PerReplicaSpec(*[a.most_specific_compatible_type(b) for a, b in pairs])

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        other = spec_or_value
        if isinstance(other, DistributedValues):
            other = other._type_spec
        return isinstance(other, PerReplicaSpec) and all(
            a.is_compatible_with(b) for a, b in zip(self._value_specs, other._value_specs)
        )

    def __repr__(self) -> str:
        return f"PerReplicaSpec({', '.join(map(repr, self._value_specs))})"


register_spec_maker(PerReplica, lambda value: value._type_spec)


def select(index: int, structure: Any) -> Any:
    """What one replica sees of a structure: its own of values that differ."""

    def own(value: Any) -> Any:
        return value.values[index] if isinstance(value, DistributedValues) else value

    return nest.map_structure(own, structure)


def regroup(values: Sequence[Any], always: bool = False) -> Any:
    """One structure of what replicas gave, each in the same structure.

    What all gave alike, the same object, stays itself (but not `always`); the components of a
    Variable become the Variable.

    Raises ValueError where the structures differ.
    """
    first = values[0]
    if nest.is_nested(first) and not isinstance(first, DistributedValues):
        try:
            for other in values[1:]:
                nest.assert_same_structure(first, other)
        except (TypeError, ValueError) as error:
            raise ValueError(f"replicas returned different structures: {error}") from error
        flat = zip(*[nest.flatten(v) for v in values])
        return nest.pack_sequence_as(first, [regroup(leaves, always) for leaves in flat])
    if not always and all(v is first for v in values[1:]):
        return first
    holder = holder_of(first)
    if holder is not None and all(holder_of(v) is holder for v in values[1:]):
        return holder
    return PerReplica(values)


def holder_of(value: Any) -> Any:
    """The distributed Variable that a Variable is a component of; None where there is none."""
    if not isinstance(value, Variable) or value._holder is None or hasattr(value, "_origin"):
        return None
    return value._holder()

"""Type specs: what is known of a value before it is there, and how it is made of tensors.

A tensor's spec is `TensorSpec`. Values that are made of several tensors (sparse, ragged, datasets,
iterators) have specs of their own that take them apart into tensors at the boundaries of
functions, loops and graphs, and put them together again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class TypeSpec:
    """Base of all specs. A spec of a composite value defines the methods with a leading `_`."""

    __slots__ = ()

    @property
    def value_type(self) -> type:
        """The Python type of the values."""
        raise NotImplementedError(f"{type(self).__name__} does not say its value_type")

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        """Specs of the tensors that a value is made of, in order."""
        raise NotImplementedError(f"{type(self).__name__} has no components")

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        """The tensors that a value is made of."""
        raise NotImplementedError(f"{type(self).__name__} has no components")

    def _from_components(self, components: Sequence[Any]) -> Any:
        """The value that is made of these tensors (eager or symbolic ones)."""
        raise NotImplementedError(f"{type(self).__name__} has no components")

    def _serialize(self) -> tuple[Any, ...]:
        """What two equal specs have in common; it can be hashed."""
        raise NotImplementedError(f"{type(self).__name__} cannot be compared")

    def most_specific_compatible_type(self, other: TypeSpec) -> TypeSpec:
        """A spec of the values of both. Raises ValueError where there is none."""
        if self == other:
            return self
        raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")

    def is_subtype_of(self, other: Any) -> bool:
        """Whether each value of this spec is one of `other`."""
        return self == other

    def most_specific_common_supertype(self, others: Sequence[Any]) -> TypeSpec | None:
        """The narrowest spec of the values of all; None where there is none."""
        found: TypeSpec = self
        for other in others:
            try:
                found = found.most_specific_compatible_type(other)
            except ValueError:
                return None
        return found

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        """Whether a value, or the values of a spec, fit this spec."""
        other = spec_or_value
        if not isinstance(other, TypeSpec):
            try:
                other = type_spec_from_value(other)
            except TypeError:
                return False
        return self == other

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self._serialize() == other._serialize()  # type: ignore

    def __hash__(self) -> int:
        return hash((type(self), self._serialize()))


def composite_spec(value: Any) -> TypeSpec | None:
    """The spec of a value that is made of several tensors; None for tensors and all else."""
    spec = getattr(value, "_type_spec", None)
    return spec if isinstance(spec, TypeSpec) else None


_makers: list[tuple[type, Any]] = []


def register_spec_maker(value_type: type, maker: Any) -> None:
    """`maker(value) -> TypeSpec` makes the spec of instances of `value_type`."""
    _makers.insert(0, (value_type, maker))


def type_spec_from_value(value: Any) -> TypeSpec:
    """The spec of a value: `TensorSpec` for tensors and what converts to them.

    Raises TypeError for a value without a spec.
    """
    spec = composite_spec(value)
    if spec is not None:
        return spec
    for value_type, maker in _makers:
        if isinstance(value, value_type):
            return maker(value)
    from shardtape.graph.func_graph import TensorSpec
    from shardtape.ops.convert import convert_to_tensor
    from shardtape.tensor import Tensor

    if isinstance(value, Tensor):
        return TensorSpec(value.shape, value.dtype)
    try:
        tensor = convert_to_tensor(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"Could not build a TypeSpec for {value!r}: {error}") from None
    return TensorSpec(tensor.shape, tensor.dtype)

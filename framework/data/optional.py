"""`tf.experimental.Optional`: a value that may be missing."""

from __future__ import annotations

from typing import Any

from shardtape import errors
from shardtape.context import state
from shardtape.data import structure
from shardtape.data.run import GraphValue
from shardtape.data.specs import OptionalSpec
from shardtape.data.structure import ElementType
from shardtape.tensor import EagerTensor
from shardtape.type_spec import TypeSpec


class OptionalValue(GraphValue):
    """The leaves of a value, or None, as one tensor of type variant."""

    __slots__ = ("leaves",)

    def __init__(self, leaves: tuple[Any, ...] | None) -> None:
        self.leaves = leaves


optional_of = OptionalValue


class Optional:
    """A value that may be missing; `from_value` and `empty` make one."""

    def __init__(self, variant: Any, element_spec: Any) -> None:
        self._variant = variant
        self._type = ElementType(element_spec)

    @staticmethod
    def from_value(value: Any) -> Optional:
        """An Optional that has `value`, a structure of tensors."""
        value = structure.normalize(value)
        spec = structure.spec_of(value)
        if state.graph is None:
            return Optional(EagerTensor(OptionalValue(ElementType(spec).unwrap(value))), spec)
        from shardtape.data.graph_ops import optional_from_value

        return Optional(optional_from_value(value, ElementType(spec)), spec)

    @staticmethod
    def empty(element_spec: Any) -> Optional:
        """An Optional without a value."""
        if state.graph is None:
            return Optional(EagerTensor(OptionalValue(None)), element_spec)
        from shardtape.data.graph_ops import optional_none

        return Optional(optional_none(), element_spec)

    @property
    def element_spec(self) -> Any:
        """The structure of TypeSpecs of the value."""
        return self._type.spec

    @property
    def _type_spec(self) -> TypeSpec:
        return OptionalSpec(self.element_spec)

    def _as_variant(self) -> Any:
        return self._variant

    def has_value(self, name: str | None = None) -> Any:
        """bool scalar."""
        if type(self._variant) is EagerTensor and state.graph is None:
            from shardtape.ops.convert import convert_to_tensor

            return convert_to_tensor(self._variant._array.leaves is not None)
        from shardtape.data.graph_ops import optional_has_value

        return optional_has_value(self._variant)

    def get_value(self, name: str | None = None) -> Any:
        """The value. Raises InvalidArgumentError where there is none."""
        if type(self._variant) is EagerTensor and state.graph is None:
            if self._variant._array.leaves is None:
                raise errors.InvalidArgumentError("The given optional does not have a value.")
            return self._type.wrap(self._variant._array.leaves)
        from shardtape.data.graph_ops import optional_get_value

        return optional_get_value(self._variant, self._type)

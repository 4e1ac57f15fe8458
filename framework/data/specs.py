"""Specs of what is no tensor in a dataset: datasets, iterators, optionals, None."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.type_spec import TypeSpec, register_spec_maker


class NoneTensorSpec(TypeSpec):
    """The spec of None."""

    __slots__ = ()

    @property
    def value_type(self) -> type:
        return type(None)

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        return ()

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        return ()

    def _from_components(self, components: Sequence[Any]) -> Any:
        return None

    def _serialize(self) -> tuple[Any, ...]:
        return ()

    def _wrap(self, leaf: Any) -> None:
        return None

    _unwrap = _wrap

    def _batch(self, size: int | None) -> NoneTensorSpec:
        return self

    def _unbatch(self) -> NoneTensorSpec:
        return self

    def __repr__(self) -> str:
        return "NoneTensorSpec()"


register_spec_maker(type(None), lambda value: NoneTensorSpec())


class _VariantSpec(TypeSpec):
    """Base of specs of values that travel in graphs as one tensor of type variant."""

    __slots__ = ("_element_spec",)

    def __init__(self, element_spec: Any) -> None:
        self._element_spec = element_spec

    @property
    def element_spec(self) -> Any:
        """The structure of TypeSpecs of the elements."""
        return self._element_spec

    @property
    def dtype(self) -> dt.DType:
        return dt.variant

    @property
    def shape(self) -> shapes.TensorShape:
        return shapes.TensorShape([])

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        from shardtape.graph.func_graph import TensorSpec

        return (TensorSpec([], dt.variant),)

    def _serialize(self) -> tuple[Any, ...]:
        from shardtape.data import structure

        return (_form(self._element_spec), tuple(structure.flatten(self._element_spec)))


def _form(spec: Any) -> Any:
    """The nesting of a structure, as something that can be compared and hashed."""
    from shardtape import nest
    from shardtape.data.structure import is_nested

    if not is_nested(spec):
        return None
    keys = tuple(sorted(spec)) if hasattr(spec, "keys") else ()
    return (type(spec).__name__, keys, tuple(_form(c) for c in nest._children(spec)))


class DatasetSpec(_VariantSpec):
    """The spec of a Dataset.

    Args:
      element_spec: structure of TypeSpecs of its elements.
    """

    __slots__ = ()

    def __init__(self, element_spec: Any, dataset_shape: Any = ()) -> None:
        super().__init__(element_spec)

    @property
    def value_type(self) -> type:
        from shardtape.data.dataset import Dataset

        return Dataset

    @classmethod
    def from_value(cls, value: Any) -> DatasetSpec:
        """The spec of a dataset."""
        return cls(value.element_spec)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        from shardtape.data.graph_ops import to_variant

        return (to_variant(value),)

    def _from_components(self, components: Sequence[Any]) -> Any:
        from shardtape.data.dataset import VariantDataset

        return VariantDataset(components[0], self._element_spec)

    def _wrap(self, leaf: Any) -> Any:
        from shardtape.data.dataset import VariantDataset
        from shardtape.tensor import EagerTensor

        if not leaf.values:
            return leaf.dataset
        return VariantDataset(EagerTensor(leaf), self._element_spec)

    def _unwrap(self, value: Any) -> Any:
        from shardtape.data.run import BoundDataset

        return BoundDataset(value, {})

    def __repr__(self) -> str:
        return f"DatasetSpec({self._element_spec!r}, TensorShape([]))"


class IteratorSpec(_VariantSpec):
    """The spec of an iterator over a dataset.

    Args:
      element_spec: structure of TypeSpecs of what it gives.
    """

    __slots__ = ()

    @property
    def value_type(self) -> type:
        from shardtape.data.iterator import OwnedIterator

        return OwnedIterator

    @classmethod
    def from_value(cls, value: Any) -> IteratorSpec:
        """The spec of an iterator."""
        return cls(value.element_spec)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        return (value._as_handle(),)

    def _from_components(self, components: Sequence[Any]) -> Any:
        from shardtape.data.iterator import OwnedIterator

        return OwnedIterator(components=components, element_spec=self._element_spec)

    def __repr__(self) -> str:
        return f"IteratorSpec({self._element_spec!r}, TensorShape([]))"


class OptionalSpec(_VariantSpec):
    """The spec of an optional value.

    Args:
      element_spec: structure of TypeSpecs of the value.
    """

    __slots__ = ()

    @property
    def value_type(self) -> type:
        from shardtape.data.optional import Optional

        return Optional

    @classmethod
    def from_value(cls, value: Any) -> OptionalSpec:
        """The spec of an Optional."""
        return cls(value.element_spec)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        return (value._as_variant(),)

    def _from_components(self, components: Sequence[Any]) -> Any:
        from shardtape.data.optional import Optional

        return Optional(components[0], self._element_spec)

    def _wrap(self, leaf: Any) -> Any:
        from shardtape.data.optional import Optional
        from shardtape.tensor import EagerTensor

        return Optional(EagerTensor(leaf), self._element_spec)

    def _unwrap(self, value: Any) -> Any:
        return value._as_variant()._array

    def __repr__(self) -> str:
        return f"OptionalSpec({self._element_spec!r}, TensorShape([]))"

"""`tf.IndexedSlicesSpec`: what is known of sparse gradients at the boundaries of functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.graph.func_graph import TensorSpec
from shardtape.indexed_slices import IndexedSlices
from shardtape.type_spec import TypeSpec


class IndexedSlicesSpec(TypeSpec):
    """The spec of IndexedSlices.

    Args:
      shape: of the whole tensor.
      dtype: of the values.
      indices_dtype: int32 or int64.
      dense_shape_dtype: of `dense_shape`; None where there is none.
      indices_shape: (n,), how many rows there are.
    """

    __slots__ = ("_shape", "_values_dtype", "_indices_dtype", "_dense_shape_dtype",
                 "_indices_shape")  # fmt: skip

    def __init__(
        self, shape: Any = None, dtype: Any = dt.float32, indices_dtype: Any = dt.int64,
        dense_shape_dtype: Any = None, indices_shape: Any = None,
    ) -> None:  # fmt: skip
        self._shape = shapes.as_shape(shape)
        self._values_dtype, self._indices_dtype = dt.as_dtype(dtype), dt.as_dtype(indices_dtype)
        has_none = dense_shape_dtype is None
        self._dense_shape_dtype = None if has_none else dt.as_dtype(dense_shape_dtype)
        self._indices_shape = shapes.as_shape(indices_shape).with_rank(1)

    @classmethod
    def from_value(cls, value: IndexedSlices) -> IndexedSlicesSpec:
        """The spec of IndexedSlices."""
        whole = None if value.dense_shape is None else value.dense_shape.dtype
        indices = value.indices
        return cls(value.shape, value.values.dtype, indices.dtype, whole, indices.shape)

    @property
    def value_type(self) -> type:
        return IndexedSlices

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        rows = self._indices_shape.concatenate(self._shape[1:])
        specs = [TensorSpec(rows, self._values_dtype)]
        specs.append(TensorSpec(self._indices_shape, self._indices_dtype))
        if self._dense_shape_dtype is not None:
            specs.append(TensorSpec([self._shape.rank], self._dense_shape_dtype))
        return tuple(specs)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        if self._dense_shape_dtype is None:
            return value.values, value.indices
        return value.values, value.indices, value.dense_shape

    def _from_components(self, components: Sequence[Any]) -> IndexedSlices:
        return IndexedSlices(*components)

    def _serialize(self) -> tuple[Any, ...]:
        return (self._shape, self._values_dtype, self._indices_dtype, self._dense_shape_dtype,
                self._indices_shape)  # fmt: skip

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        other = getattr(spec_or_value, "_type_spec", spec_or_value)
        return (
            isinstance(other, IndexedSlicesSpec)
            and self._serialize()[1:4] == other._serialize()[1:4]
            and self._shape.is_compatible_with(other._shape)
            and self._indices_shape.is_compatible_with(other._indices_shape)
        )

    def most_specific_compatible_type(self, other: TypeSpec) -> IndexedSlicesSpec:
        if (
            not isinstance(other, IndexedSlicesSpec)
            or self._serialize()[1:4] != other._serialize()[1:4]
        ):
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        return IndexedSlicesSpec(
            self._shape.most_specific_compatible_shape(other._shape), self._values_dtype,
            self._indices_dtype, self._dense_shape_dtype,
            self._indices_shape.most_specific_compatible_shape(other._indices_shape),
        )  # fmt: skip

    def __repr__(self) -> str:
        return (
            f"IndexedSlicesSpec({self._shape!r}, {self._values_dtype!r}, {self._indices_dtype!r}, "
            f"{self._dense_shape_dtype!r}, {self._indices_shape!r})"
        )

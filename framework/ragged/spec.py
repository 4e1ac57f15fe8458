"""`tf.RaggedTensorSpec`, and RaggedTensors as elements of datasets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.context import building
from shardtape.graph.func_graph import TensorSpec
from shardtape.ragged.joining import stack
from shardtape.ragged.tensor import RaggedTensor, convert
from shardtape.tensor import Tensor
from shardtape.type_spec import TypeSpec


class RaggedTensorSpec(TypeSpec):
    """The spec of a RaggedTensor.

    Args:
      shape: with None for ragged dimensions.
      dtype: of the values.
      ragged_rank: number of dimensions with splits; those up to the last None by default.
      row_splits_dtype: int32 or int64.
    """

    __slots__ = ("_shape", "_dtype", "_ragged_rank", "_row_splits_dtype")

    def __init__(
        self, shape: Any = None, dtype: Any = dt.float32, ragged_rank: int | None = None,
        row_splits_dtype: Any = dt.int64, flat_values_spec: Any = None,
    ) -> None:  # fmt: skip
        self._shape = shapes.as_shape(shape)
        self._dtype = dt.as_dtype(dtype if flat_values_spec is None else flat_values_spec.dtype)
        self._row_splits_dtype = dt.as_dtype(row_splits_dtype)
        rank = self._shape.rank
        if ragged_rank is None:
            if rank is None:
                raise ValueError(
                    "Must specify ragged_rank or a shape with a known rank in RaggedTensorSpec."
                )
            ragged_rank = rank - 1
        self._ragged_rank = ragged_rank
        if rank is not None and ragged_rank >= max(rank, 1):
            raise ValueError(
                f"Argument `ragged_rank` ({ragged_rank}) must be less than rank ({rank})."
            )

    @classmethod
    def from_value(cls, value: Any) -> RaggedTensorSpec:
        """The spec of a RaggedTensor (of a Tensor, with ragged_rank 0)."""
        if not isinstance(value, RaggedTensor):
            return cls(value.shape, value.dtype, 0)
        return cls(value.shape, value.dtype, value.ragged_rank, value.row_splits.dtype)

    @property
    def value_type(self) -> type:
        return RaggedTensor if self._ragged_rank else Tensor

    @property
    def shape(self) -> shapes.TensorShape:
        return self._shape

    @property
    def dtype(self) -> dt.DType:
        return self._dtype

    @property
    def ragged_rank(self) -> int:
        return self._ragged_rank

    @property
    def row_splits_dtype(self) -> dt.DType:
        return self._row_splits_dtype

    @property
    def flat_values_spec(self) -> TensorSpec:
        """The spec of the innermost values."""
        if self._shape.rank is None:
            return TensorSpec(None, self._dtype)
        if not self._ragged_rank:
            return TensorSpec(self._shape, self._dtype)
        inner = self._shape[self._ragged_rank + 1 :]
        return TensorSpec(shapes.TensorShape([None]).concatenate(inner), self._dtype)

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        rows = None if self._shape.rank is None else self._shape[0]
        outer = TensorSpec([None if rows is None else rows + 1], self._row_splits_dtype)
        rest = [TensorSpec([None], self._row_splits_dtype)] * (self._ragged_rank - 1)
        return (self.flat_values_spec, *([outer, *rest] if self._ragged_rank else []))

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        if not self._ragged_rank:
            return (convert(value, self._dtype),)
        if not isinstance(value, RaggedTensor):
            value = RaggedTensor.from_tensor(value, ragged_rank=self._ragged_rank)
        return (value.flat_values, *value.nested_row_splits)

    def _from_components(self, components: Sequence[Any]) -> Any:
        result = components[0]
        sizes = [None] * len(components) if self._shape.rank is None else self._shape.as_list()
        for i in range(len(components) - 1, 0, -1):
            result = RaggedTensor(result, components[i], sizes[i])
        return result

    def _serialize(self) -> tuple[Any, ...]:
        return self._shape, self._dtype, self._ragged_rank, self._row_splits_dtype

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        other = spec_or_value
        if not isinstance(other, TypeSpec):
            other = getattr(other, "_type_spec", None)
        return (
            isinstance(other, RaggedTensorSpec)
            and other._serialize()[1:] == self._serialize()[1:]
            and self._shape.is_compatible_with(other._shape)
        )

    def most_specific_compatible_type(self, other: TypeSpec) -> RaggedTensorSpec:
        if not isinstance(other, RaggedTensorSpec) or (
            other._serialize()[1:] != self._serialize()[1:]
        ):
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        shape = self._shape.most_specific_compatible_shape(other._shape)
        return RaggedTensorSpec(shape, self._dtype, self._ragged_rank, self._row_splits_dtype)

    def __repr__(self) -> str:
        return (
            f"RaggedTensorSpec({self._shape!r}, {self._dtype!r}, {self._ragged_rank!r}, "
            f"{self._row_splits_dtype!r})"
        )

    # ---- elements of datasets: leaves are eager RaggedTensors (Tensors for ragged_rank 0) ----
    def _batch(self, size: int | None) -> RaggedTensorSpec:
        shape = shapes.TensorShape([size]).concatenate(self._shape)
        return RaggedTensorSpec(shape, self._dtype, self._ragged_rank + 1, self._row_splits_dtype)

    def _unbatch(self) -> RaggedTensorSpec:
        rank = max(0, self._ragged_rank - 1)
        return RaggedTensorSpec(self._shape[1:], self._dtype, rank, self._row_splits_dtype)

    def _unwrap(self, value: Any) -> Any:
        with building(None):
            return value if isinstance(value, RaggedTensor) else convert(value, self._dtype)

    def _row_count(self, leaf: Any) -> int:
        return int(leaf.nrows()) if isinstance(leaf, RaggedTensor) else len(leaf)

    def _stack(self, leaves: Sequence[Any]) -> Any:
        """Leaves as the rows of one RaggedTensor."""
        with building(None):
            if self._ragged_rank:
                made = stack(list(leaves))
            else:
                from shardtape.ops.array import concat

                lengths = [len(leaf) for leaf in leaves]
                made = RaggedTensor.from_row_lengths(concat(list(leaves), 0), lengths)
            return made.with_row_splits_dtype(self._row_splits_dtype)

    def _slices(self, leaf: Any) -> Iterator[Any]:
        for i in range(self._row_count(leaf)):
            with building(None):
                yield leaf[i]

    def _cut(self, leaf: Any, start: int, stop: int) -> Any:
        with building(None):
            return leaf[start:stop]

    def _join(self, leaves: Sequence[Any]) -> Any:
        from shardtape.ops.array import concat

        with building(None):
            return concat(list(leaves), 0)

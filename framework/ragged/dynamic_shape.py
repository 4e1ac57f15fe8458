"""`tf.experimental.DynamicRaggedShape`: the shape of a tensor whose rows may differ in length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.static import constant_value
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.compare import equal
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.reduce import reduce_all
from shardtape.ragged import partitions
from shardtape.ragged.row_partition import RowPartition, RowPartitionSpec
from shardtape.ragged.tensor import RaggedTensor, convert
from shardtape.tensor import Tensor
from shardtape.type_spec import TypeSpec


class DynamicRaggedShape:
    """Row partitions for the outer dimensions and a plain shape of the flat values behind them.

    What `tf.shape` gives for a RaggedTensor. `tf.zeros`, `tf.ones`, `tf.fill`, `tf.broadcast_to`
    and `tf.reshape` take it as a shape.

    Args:
      row_partitions: RowPartitions, the outermost first; one for each dimension with rows.
      inner_shape: the shape of the values that the last partition cuts.
      dtype: of the sizes, int32 or int64; by default that of the partitions.
      validate: check that the partitions fit each other and the inner shape.
      static_inner_shape: what is known of the inner shape, where more than can be seen.

    Raises:
      TypeError: something else than RowPartitions.
      InvalidArgumentError: `validate`, and they do not fit.
    """

    def __init__(
        self, row_partitions: Sequence[RowPartition], inner_shape: Any, dtype: Any = None,
        validate: bool = False, static_inner_shape: Any = ...,
    ) -> None:  # fmt: skip
        parts = tuple(row_partitions)
        for part in parts:
            if not isinstance(part, RowPartition):
                raise TypeError(f"row_partitions should be RowPartitions, got {part!r}")
        if dtype is not None:
            kind = dt.as_dtype(dtype)
        elif parts:
            kinds = {part.dtype for part in parts}
            kind = parts[0].dtype if len(kinds) == 1 else dt.int64
        else:
            given = getattr(inner_shape, "dtype", None)
            kind = dt.int64 if given is None else dt.as_dtype(given)
        if kind not in partitions.ROW_TYPES:
            raise ValueError(f"dtype must be tf.int32 or tf.int64, got {kind.name}")
        self._parts = tuple(part.with_dtype(kind) for part in parts)
        inner = convert_to_tensor(inner_shape, dtype_hint=kind)
        self._inner = cast(inner, kind)
        if static_inner_shape is ... or static_inner_shape is None:
            self._static = _static_shape(inner)
        else:
            self._static = shapes.as_shape(static_inner_shape)
        if self._parts and self._static.rank == 0:
            raise ValueError("the inner shape behind row partitions has one dimension at least")
        if validate:
            self._check()

    def _check(self) -> None:
        for outer, inner in zip(self._parts, self._parts[1:]):
            have, rows = partitions.known_scalar(outer.nvals()), inner.static_nrows
            if None not in (have, rows) and have != rows:
                raise errors.InvalidArgumentError(
                    f"Row partitions do not fit: one has {have} values, the next one {rows} rows"
                )
        if self._parts and self._static.rank is not None:
            have, rows = partitions.known_scalar(self._parts[-1].nvals()), self._static[0]
            if None not in (have, rows) and have != rows:
                raise errors.InvalidArgumentError(
                    f"Last row partition does not match inner_shape: it has {have} values, the "
                    f"inner shape {rows} rows"
                )

    # ---- making ---------------------------------------------------------------------------
    @classmethod
    def from_lengths(
        cls, lengths: Sequence[Any], num_row_partitions: int | None = None, dtype: Any = dt.int64
    ) -> DynamicRaggedShape:
        """The shape of known lengths.

        Args:
          lengths: for each dimension an int, or for a ragged one the lengths of all its rows.
          num_row_partitions: how many dimensions behind the first have partitions; by default
            those up to the last ragged one.

        Raises ValueError for anything else, and for lengths that do not fit.

        Example:
          >>> tf.ones(tf.experimental.DynamicRaggedShape.from_lengths([2, (2, 1)]))
          <tf.RaggedTensor [[1.0, 1.0], [1.0]]>
        """
        if not isinstance(lengths, (list, tuple)):
            raise ValueError("lengths should be a list")
        for length in lengths:
            sizes = length if isinstance(length, (list, tuple)) else (length,)
            if not all(isinstance(n, (int, np.integer)) and n >= 0 for n in sizes):
                raise ValueError(
                    f"element of lengths should be int or tuple of ints: instead {length!r}"
                )
        uneven = [i for i, n in enumerate(lengths) if isinstance(n, (list, tuple))]
        needed = uneven[-1] if uneven else 0
        if uneven and uneven[0] == 0:
            raise ValueError("the first of lengths should be an int, the number of rows")
        count = needed if num_row_partitions is None else num_row_partitions
        if not needed <= count <= max(0, len(lengths) - 1):
            raise ValueError(
                f"num_row_partitions={count} should be between {needed}, the last ragged "
                f"dimension, and {max(0, len(lengths) - 1)}"
            )
        kind = dt.as_dtype(dtype)
        parts: list[RowPartition] = []
        rows: Any = int(lengths[0]) if lengths else 0
        for length in lengths[1 : count + 1]:
            if isinstance(length, (list, tuple)):
                if len(length) != rows:
                    raise ValueError("Shape not consistent.")
                part = RowPartition.from_row_lengths(list(length), dtype=kind)
                rows = sum(length)
                parts.append(RowPartition._of(part.row_splits(), nvals=rows))
            else:
                parts.append(RowPartition.from_uniform_row_length(length, nrows=rows, dtype=kind))
                rows *= length
        inner = [rows, *lengths[count + 1 :]] if lengths else []
        return cls(parts, np.array(inner, kind.numpy_dtype), kind)

    @classmethod
    def from_row_partitions(
        cls, row_partitions: Sequence[RowPartition], dtype: Any = None
    ) -> DynamicRaggedShape:
        """The shape of a RaggedTensor with these partitions and scalars in its rows."""
        parts = list(row_partitions)
        if not parts:
            raise ValueError("row_partitions cannot be empty")
        return cls(parts, array.reshape(parts[-1].nvals(), [1]), dtype)

    @classmethod
    def from_tensor(cls, t: Any, dtype: Any = None) -> DynamicRaggedShape:
        """The shape of a RaggedTensor or Tensor."""
        value = convert(t)
        if not isinstance(value, RaggedTensor):
            kind = dt.int64 if dtype is None else dt.as_dtype(dtype)
            sizes = array.shape(value, out_type=kind)
            return cls([], sizes, kind, static_inner_shape=value.shape)
        kind = value.row_splits.dtype if dtype is None else dt.as_dtype(dtype)
        parts: list[RowPartition] = []
        at = value
        while isinstance(at, RaggedTensor):
            length = at._uniform
            rows = at.values.shape[0] if at.values.shape.rank else None
            parts.append(
                RowPartition._of(
                    at.row_splits,
                    None if length is None else convert_to_tensor(length, at.row_splits.dtype),
                    rows,
                )
            )
            at = at.values
        return cls(parts, array.shape(at, out_type=kind), kind, static_inner_shape=at.shape)

    # ---- what it is -----------------------------------------------------------------------
    @property
    def dtype(self) -> dt.DType:
        """Of the sizes, int32 or int64."""
        return self._inner.dtype

    @property
    def row_partitions(self) -> tuple[RowPartition, ...]:
        return self._parts

    @property
    def num_row_partitions(self) -> int:
        return len(self._parts)

    @property
    def inner_shape(self) -> Any:
        """The shape of the flat values, an int vector."""
        return self._inner

    @property
    def inner_rank(self) -> int | None:
        """The number of dimensions of the flat values."""
        return self._static.rank

    @property
    def rank(self) -> int | None:
        """The number of dimensions; None where it is not known."""
        inner = self._static.rank
        return None if inner is None else inner + len(self._parts)

    def is_uniform(self, axis: int) -> bool:
        """Whether a dimension has one length."""
        rank = self.rank
        if axis < 0 or (rank is not None and axis >= rank):
            raise IndexError(f"axis {axis} out of bounds of a shape of rank {rank}")
        return not 1 <= axis <= len(self._parts) or self._parts[axis - 1].is_uniform()

    def static_lengths(self, ragged_lengths: bool = True) -> list[Any]:
        """For each dimension its length, None where it is not known.

        Args:
          ragged_lengths: give the lengths of all rows, a tuple, for ragged dimensions.
        """
        count = len(self._parts)
        out: list[Any] = [self._parts[0].static_nrows] if count else []
        for part in self._parts:
            if part.is_uniform():
                out.append(part.static_uniform_row_length)
            else:
                splits = constant_value(part.row_splits()) if ragged_lengths else None
                out.append(None if splits is None else tuple(np.diff(splits).tolist()))
        if self._static.rank is None:
            return [*out, ...]
        return [*out, *self._static.as_list()[1 if count else 0 :]]

    def with_dtype(self, dtype: Any) -> DynamicRaggedShape:
        """The same in int32 or int64."""
        kind = dt.as_dtype(dtype)
        return DynamicRaggedShape(
            self._parts, cast(self._inner, kind), kind, static_inner_shape=self._static
        )

    def _to_tensor_shape(self) -> shapes.TensorShape:
        """What a TensorShape can say of it."""
        known = self.static_lengths(ragged_lengths=False)
        return shapes.UNKNOWN if known[-1:] == [...] else shapes.TensorShape(known)

    def nested(self, flat_values: Any) -> Any:
        """A value of this shape of its flat values."""
        result = flat_values
        for part in reversed(self._parts):
            result = RaggedTensor(result, part.row_splits(), part.static_uniform_row_length)
        return result

    # ---- its parts ------------------------------------------------------------------------
    def _length(self, axis: int) -> Any:
        count = len(self._parts)
        if axis == 0 and count:
            return self._parts[0].nrows()
        if 1 <= axis <= count:
            return self._parts[axis - 1].uniform_row_length()
        return self._inner[axis - count]

    def __getitem__(self, index: Any) -> Any:
        """The length of a uniform dimension (a scalar), or the shape of some outer dimensions.

        Raises:
          ValueError: the length of a ragged dimension, a slice behind one.
          IndexError: an index out of bounds, a slice with a step.
        """
        rank = self.rank
        if isinstance(index, slice):
            return self._slice(index)
        if isinstance(index, Tensor):
            index = partitions.known_integers(index, "index")[0]
        if not isinstance(index, (int, np.integer)) or isinstance(index, bool):
            raise TypeError("Argument is not an int or a slice")
        at = int(index)
        if at < 0:
            if rank is None:
                raise ValueError("Rank must be known to use a negative index.")
            if at < -rank:
                raise IndexError(f"Index must be non-negative after adding the rank: {at}+{rank}")
            at += rank
        if rank is not None and at >= rank:
            raise IndexError(f"Index is too big: {at}>={rank}")
        if not self.is_uniform(at):
            raise ValueError(f"Index {at} is not uniform")
        return self._length(at)

    def _slice(self, key: slice) -> DynamicRaggedShape:
        if key.step not in (None, 1):
            raise IndexError("Cannot stride through a shape")
        rank = self.rank
        if rank is None:
            raise ValueError("Rank must be known to slice a shape.")
        start, stop, _ = key.indices(rank)
        if start > 0:
            if not all(self.is_uniform(axis) for axis in range(stop)):
                raise ValueError("All relevant dimensions must be uniform")
            sizes = [self._length(axis) for axis in range(start, stop)]
            inner: Any = array.stack(sizes) if sizes else array.zeros([0], self.dtype)
            return DynamicRaggedShape([], inner, self.dtype)
        count = len(self._parts)
        if stop > count:
            return DynamicRaggedShape(
                self._parts, self._inner[: stop - count], self.dtype,
                static_inner_shape=self._static[: stop - count],
            )  # fmt: skip
        if stop == 0:
            return DynamicRaggedShape([], array.zeros([0], self.dtype), self.dtype)
        size = self._parts[0].nrows() if stop == 1 else self._parts[stop - 2].nvals()
        return DynamicRaggedShape(self._parts[: stop - 1], array.reshape(size, [1]), self.dtype)

    def __iter__(self) -> Any:
        if self.rank is None:
            raise ValueError("Rank must be known to go through a shape.")
        return (self[axis] for axis in range(self.rank))

    # ---- Python ---------------------------------------------------------------------------
    @property
    def _type_spec(self) -> DynamicRaggedShapeSpec:
        return DynamicRaggedShapeSpec(
            tuple(part._type_spec for part in self._parts), self._static, self.dtype
        )

    def _as_tensor(self, dtype: Any = None) -> Any:
        raise ValueError(
            f"{self!r} cannot be converted to a Tensor: use its inner_shape or row_partitions"
        )

    def __eq__(self, other: Any) -> Any:
        """Bool scalar: the same lengths, cut the same way."""
        if not isinstance(other, DynamicRaggedShape):
            return NotImplemented
        mine, theirs = self._type_spec, other._type_spec
        if mine._form() != theirs._form() or not self._static.is_compatible_with(other._static):
            return False
        found = reduce_all(equal(self._inner, other._inner))
        for a, b in zip(self._parts, other._parts):
            if a.static_nrows != b.static_nrows:
                return False
            found = found & reduce_all(equal(a.row_splits(), b.row_splits()))
        return found

    def __ne__(self, other: Any) -> Any:
        same = self == other
        return not same if isinstance(same, bool) else ~same

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        lengths = ["..." if n is ... else repr(n) for n in self.static_lengths()]
        return (
            f"<DynamicRaggedShape lengths=[{', '.join(lengths)}] "
            f"num_row_partitions={len(self._parts)}>"
        )


def _static_shape(sizes: Any) -> shapes.TensorShape:
    """What a graph knows of a shape that is a tensor."""
    known = constant_value(sizes)
    if known is not None:
        return shapes.TensorShape([int(n) for n in known])
    count = sizes.shape[0] if sizes.shape.rank == 1 else None
    return shapes.UNKNOWN if count is None else shapes.TensorShape([None] * count)


class DynamicRaggedShapeSpec(TypeSpec):
    """The spec of a DynamicRaggedShape: those of its partitions, and the known inner shape."""

    __slots__ = ("_parts", "_static", "_dtype")

    def __init__(
        self, row_partitions: tuple[RowPartitionSpec, ...], static_inner_shape: Any, dtype: Any
    ) -> None:
        self._parts = tuple(row_partitions)
        self._static = shapes.as_shape(static_inner_shape)
        self._dtype = dt.as_dtype(dtype)

    @property
    def value_type(self) -> type:
        return DynamicRaggedShape

    @property
    def dtype(self) -> dt.DType:
        return self._dtype

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        inner: TypeSpec = TensorSpec([self._static.rank], self._dtype)
        return (inner, *[spec for part in self._parts for spec in part._component_specs])

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        return (value.inner_shape, *[part.row_splits() for part in value.row_partitions])

    def _from_components(self, components: Sequence[Any]) -> DynamicRaggedShape:
        inner, *splits = components
        parts = [spec._from_components([s]) for spec, s in zip(self._parts, splits)]
        return DynamicRaggedShape(parts, inner, self._dtype, static_inner_shape=self._static)

    def _form(self) -> tuple[Any, ...]:
        """What has to agree for two shapes to be the same at all."""
        uniform = [part._serialize()[2] for part in self._parts]
        return uniform, self._static.rank, self._dtype

    def _serialize(self) -> tuple[Any, ...]:
        dims = None if self._static.rank is None else tuple(self._static.as_list())
        return self._parts, dims, self._dtype

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        other = spec_or_value
        if not isinstance(other, TypeSpec):
            other = getattr(other, "_type_spec", None)
        return (
            isinstance(other, DynamicRaggedShapeSpec)
            and other._dtype is self._dtype
            and len(other._parts) == len(self._parts)
            and self._static.is_compatible_with(other._static)
            and all(a.is_compatible_with(b) for a, b in zip(self._parts, other._parts))
        )

    def most_specific_compatible_type(self, other: TypeSpec) -> DynamicRaggedShapeSpec:
        if not isinstance(other, DynamicRaggedShapeSpec) or (
            len(other._parts) != len(self._parts) or other._dtype is not self._dtype
        ):
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        parts = [a.most_specific_compatible_type(b) for a, b in zip(self._parts, other._parts)]
        inner = self._static.most_specific_compatible_shape(other._static)
        return DynamicRaggedShapeSpec(tuple(parts), inner, self._dtype)

    def __repr__(self) -> str:
        return (
            f"DynamicRaggedShape.Spec(row_partitions={self._parts!r}, "
            f"static_inner_shape={self._static!r}, dtype={self._dtype!r})"
        )


DynamicRaggedShape.Spec = DynamicRaggedShapeSpec  # type: ignore[attr-defined]

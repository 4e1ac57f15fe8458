"""`tf.experimental.RowPartition`: which of a sequence of values belong to which row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.static import constant_value
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ragged import partitions
from shardtape.type_spec import TypeSpec


class RowPartition:
    """Values cut into rows; made by one of the `from_...` methods.

    Example:
      >>> tf.experimental.RowPartition.from_row_lengths([2, 1]).value_rowids().numpy()
      array([0, 0, 1])
    """

    _splits: Any
    _length: Any  # of all rows, None where they may differ
    _nvals: int | None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise ValueError(
            "a RowPartition is made by one of its methods, such as RowPartition.from_row_lengths"
        )

    @classmethod
    def _of(cls, splits: Any, length: Any = None, nvals: int | None = None) -> RowPartition:
        """A partition of checked splits, of rows of one `length` where that is given."""
        made = object.__new__(cls)
        made._splits, made._length, made._nvals = splits, length, nvals
        return made

    # ---- making ---------------------------------------------------------------------------
    @classmethod
    def from_row_splits(
        cls, row_splits: Any, validate: bool = True, dtype: Any = None, dtype_hint: Any = None
    ) -> RowPartition:
        """Row i has the values `row_splits[i]`...`row_splits[i + 1]`.

        Raises InvalidArgumentError for splits that do not rise from 0.
        """
        splits = _integers(row_splits, dtype, dtype_hint)
        if splits.shape.rank not in (None, 1) or splits.shape[0] == 0:
            raise ValueError("row_splits may not be empty, and is a vector")
        if validate:
            _check(splits, "from_row_splits")
        return cls._of(splits)

    @classmethod
    def from_row_lengths(
        cls, row_lengths: Any, validate: bool = True, dtype: Any = None, dtype_hint: Any = None
    ) -> RowPartition:
        """Row i has the next `row_lengths[i]` values."""
        lengths = _integers(row_lengths, dtype, dtype_hint)
        splits = partitions.splits_of_lengths(lengths)
        if validate:
            _check(splits, "from_row_lengths")
        return cls._of(splits)

    @classmethod
    def from_value_rowids(
        cls, value_rowids: Any, nrows: Any = None, validate: bool = True, dtype: Any = None,
        dtype_hint: Any = None,
    ) -> RowPartition:  # fmt: skip
        """Value j is in row `value_rowids[j]` (sorted); `nrows` rows, or the last with values."""
        ids = _integers(value_rowids, dtype, dtype_hint)
        if validate:
            partitions.check_rowids(ids, nrows)
        splits = partitions.splits_of_lengths(partitions.lengths_of_rowids(ids, nrows))
        return cls._of(cast(splits, ids.dtype), nvals=ids.shape[0])

    @classmethod
    def from_row_starts(
        cls, row_starts: Any, nvals: Any, validate: bool = True, dtype: Any = None,
        dtype_hint: Any = None,
    ) -> RowPartition:  # fmt: skip
        """Row i starts at value `row_starts[i]`; the last one ends at `nvals`."""
        starts = _integers(row_starts, dtype, dtype_hint)
        end = cast(convert_to_tensor(nvals), starts.dtype)
        splits = array.concat([starts, array.reshape(end, [1])], 0)
        if validate:
            _check(splits, "from_row_starts")
        return cls._of(splits, nvals=partitions.known_scalar(end))

    @classmethod
    def from_row_limits(
        cls, row_limits: Any, validate: bool = True, dtype: Any = None, dtype_hint: Any = None
    ) -> RowPartition:
        """Row i ends before value `row_limits[i]`."""
        limits = _integers(row_limits, dtype, dtype_hint)
        splits = array.concat([array.zeros([1], limits.dtype), limits], 0)
        if validate:
            _check(splits, "from_row_limits")
        return cls._of(splits)

    @classmethod
    def from_uniform_row_length(
        cls, uniform_row_length: Any, nvals: Any = None, nrows: Any = None, validate: bool = True,
        dtype: Any = None, dtype_hint: Any = None,
    ) -> RowPartition:  # fmt: skip
        """Rows of one length, of `nvals` values or `nrows` rows.

        Raises ValueError for neither of them, or for numbers that do not fit each other.
        """
        length = _integers(uniform_row_length, dtype, dtype_hint)
        if nvals is None and nrows is None:
            raise ValueError("uniform_row_length needs nvals or nrows")
        known = partitions.known_scalar(length)
        if nrows is not None:
            count = cast(convert_to_tensor(nrows), length.dtype)
        elif known == 0:
            count = array.zeros_like(length)
        else:
            count = cast(convert_to_tensor(nvals), length.dtype) // length
        rows = partitions.known_scalar(count)
        values = None if nvals is None else partitions.known_scalar(convert_to_tensor(nvals))
        if known is not None and rows is not None:
            if validate and values is not None and known * rows != values:
                raise ValueError(
                    f"uniform_row_length={known} times nrows={rows} must equal nvals={values}"
                )
            values = known * rows
        return cls._of(array.range(count + 1) * length, length, values)

    # ---- what it is -----------------------------------------------------------------------
    @property
    def dtype(self) -> dt.DType:
        """int32 or int64."""
        return self._splits.dtype

    def row_splits(self) -> Any:
        """(rows + 1,): where rows start and end."""
        return self._splits

    def row_starts(self) -> Any:
        return self._splits[:-1]

    def row_limits(self) -> Any:
        return self._splits[1:]

    def row_lengths(self) -> Any:
        return self._splits[1:] - self._splits[:-1]

    def value_rowids(self) -> Any:
        """(values,): the row of each value."""
        return partitions.rowids_of_splits(self._splits)

    def offsets_in_rows(self) -> Any:
        """(values,): the place of each value in its row."""
        places = array.range(self.nvals())
        return places - array.gather(self._splits, self.value_rowids())

    def nrows(self) -> Any:
        """The number of rows, a scalar."""
        return array.shape(self._splits, out_type=self.dtype)[0] - 1

    def nvals(self) -> Any:
        """The number of values, a scalar."""
        return self._splits[-1]

    def uniform_row_length(self) -> Any:
        """The length of all rows, a scalar; None for a partition that does not promise one."""
        return self._length

    def is_uniform(self) -> bool:
        """Whether all rows are known to have one length."""
        return self._length is not None

    @property
    def static_nrows(self) -> int | None:
        """The number of rows where it is known."""
        count = self._splits.shape[0] if self._splits.shape.rank == 1 else None
        return None if count is None else count - 1

    @property
    def static_nvals(self) -> int | None:
        """The number of values where it was said."""
        return self._nvals

    @property
    def static_uniform_row_length(self) -> int | None:
        """The length of all rows where it is known."""
        return None if self._length is None else partitions.known_scalar(self._length)

    def with_dtype(self, dtype: Any) -> RowPartition:
        """The same in int32 or int64."""
        kind = dt.as_dtype(dtype)
        if kind not in partitions.ROW_TYPES:
            raise ValueError(f"a row partition is int32 or int64, got {kind.name}")
        if kind is self.dtype:
            return self
        length = None if self._length is None else cast(self._length, kind)
        return RowPartition._of(cast(self._splits, kind), length, self._nvals)

    @property
    def _type_spec(self) -> RowPartitionSpec:
        return RowPartitionSpec(
            self.static_nrows, self._nvals, self.static_uniform_row_length, self.dtype
        )

    def __repr__(self) -> str:
        if self._length is not None:
            return (
                f"tf.RowPartition(nrows={_shown(self.static_nrows, self.nrows())}, "
                f"uniform_row_length={_shown(self.static_uniform_row_length, self._length)})"
            )
        known = constant_value(self._splits)
        return f"tf.RowPartition(row_splits={self._splits if known is None else known})"


def _integers(value: Any, dtype: Any, hint: Any) -> Any:
    if dtype is None and hint is not None and not hasattr(value, "dtype"):
        dtype = hint
    return partitions.row_integers(value, dtype)


def _shown(known: int | None, value: Any) -> Any:
    return value if known is None else known


def _check(splits: Any, what: str) -> None:
    partitions.check_splits(splits, None, what, "RowPartition")


class RowPartitionSpec(TypeSpec):
    """The spec of a RowPartition; sizes are None where they are not known."""

    __slots__ = ("_nrows", "_nvals", "_uniform", "_dtype")

    def __init__(
        self, nrows: int | None = None, nvals: int | None = None,
        uniform_row_length: int | None = None, dtype: Any = dt.int64,
    ) -> None:  # fmt: skip
        self._nrows, self._nvals, self._uniform = nrows, nvals, uniform_row_length
        self._dtype = dt.as_dtype(dtype)

    @property
    def value_type(self) -> type:
        return RowPartition

    @property
    def _component_specs(self) -> tuple[TypeSpec, ...]:
        return (TensorSpec([None if self._nrows is None else self._nrows + 1], self._dtype),)

    def _to_components(self, value: Any) -> tuple[Any, ...]:
        return (value.row_splits(),)

    def _from_components(self, components: Sequence[Any]) -> RowPartition:
        (splits,) = components
        length = None
        if self._uniform is not None:
            length = convert_to_tensor(self._uniform, self._dtype)
        return RowPartition._of(splits, length, self._nvals)

    def _serialize(self) -> tuple[Any, ...]:
        return self._nrows, self._nvals, self._uniform, self._dtype

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        other = spec_or_value
        if not isinstance(other, TypeSpec):
            other = getattr(other, "_type_spec", None)
        if not isinstance(other, RowPartitionSpec) or other._dtype is not self._dtype:
            return False
        pairs = zip(self._serialize()[:3], other._serialize()[:3])
        return all(a is None or b is None or a == b for a, b in pairs)

    def most_specific_compatible_type(self, other: TypeSpec) -> RowPartitionSpec:
        if not isinstance(other, RowPartitionSpec) or other._dtype is not self._dtype:
            raise ValueError(f"No TypeSpec is compatible with both {self} and {other}")
        pairs = zip(self._serialize()[:3], other._serialize()[:3])
        nrows, nvals, uniform = (a if a == b else None for a, b in pairs)
        return RowPartitionSpec(nrows, nvals, uniform, self._dtype)

    def __repr__(self) -> str:
        return (
            f"RowPartitionSpec(nrows={self._nrows}, nvals={self._nvals}, "
            f"uniform_row_length={self._uniform}, dtype={self._dtype!r})"
        )

"""`tf.RaggedTensor`: rows of different length, as flat values and where each row starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ragged import partitions
from shardtape.tensor import EagerTensor, Tensor


class RaggedTensor:
    """Rows of different length: row i is `values[row_splits[i]:row_splits[i + 1]]`.

    Make one by `tf.ragged.constant` or a `from_...` method.

    Args:
      values: the rows one behind the other, a Tensor or a RaggedTensor.
      row_splits: int vector of (number of rows + 1), from 0 to the number of values.
    """

    _takes_operators = True  # `tensor + ragged` is the ragged tensor's to compute
    __array_priority__ = 101

    def __init__(self, values: Any, row_splits: Any, uniform_row_length: int | None = None) -> None:
        self._values, self._row_splits = values, row_splits
        self._uniform = uniform_row_length

    # ---- making ---------------------------------------------------------------------------
    @classmethod
    def from_row_splits(
        cls, values: Any, row_splits: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Row i is `values[row_splits[i]:row_splits[i + 1]]`.

        Raises InvalidArgumentError for splits that do not rise from 0 to the number of values.
        """
        values, splits = convert(values), partitions.row_integers(row_splits)
        if splits.shape.rank not in (None, 1) or splits.shape[0] == 0:
            raise ValueError("row_splits may not be empty, and is a vector")
        if validate:
            partitions.check_splits(splits, values, "from_row_splits")
        return cls(values, splits)

    @classmethod
    def from_row_lengths(
        cls, values: Any, row_lengths: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Row i has the next `row_lengths[i]` values."""
        lengths = partitions.row_integers(row_lengths)
        splits = partitions.splits_of_lengths(lengths)
        return cls._checked(convert(values), splits, validate, "from_row_lengths")

    @classmethod
    def from_row_starts(
        cls, values: Any, row_starts: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Row i starts at value `row_starts[i]`."""
        values, starts = convert(values), partitions.row_integers(row_starts)
        end = array.reshape(cast(rows_of(values), starts.dtype), [1])
        return cls._checked(values, array.concat([starts, end], 0), validate, "from_row_starts")

    @classmethod
    def from_row_limits(
        cls, values: Any, row_limits: Any, name: str | None = None, validate: bool = True
    ) -> RaggedTensor:
        """Row i ends before value `row_limits[i]`."""
        limits = partitions.row_integers(row_limits)
        splits = array.concat([array.zeros([1], limits.dtype), limits], 0)
        return cls._checked(convert(values), splits, validate, "from_row_limits")

    @classmethod
    def from_value_rowids(
        cls, values: Any, value_rowids: Any, nrows: Any = None, name: str | None = None,
        validate: bool = True,
    ) -> RaggedTensor:  # fmt: skip
        """Value j is in row `value_rowids[j]` (sorted); `nrows` rows, or the last one with values.

        Raises ValueError or InvalidArgumentError for ids that are not sorted or out of range.
        """
        ids = partitions.row_integers(value_rowids)
        if validate:
            partitions.check_rowids(ids, nrows)
        lengths = partitions.lengths_of_rowids(ids, nrows)
        splits = partitions.splits_of_lengths(lengths)
        return cls._checked(convert(values), splits, validate, "from_value_rowids")

    @classmethod
    def from_uniform_row_length(
        cls, values: Any, uniform_row_length: Any, nrows: Any = None, validate: bool = True,
        name: str | None = None,
    ) -> RaggedTensor:  # fmt: skip
        """Rows of one length. `nrows` is needed where that length is 0."""
        values = convert(values)
        length = partitions.row_integers(uniform_row_length)
        kind = length.dtype
        if nrows is None:
            known = partitions.known_scalar(length)
            nrows = cast(rows_of(values), kind) // length if known != 0 else 0
        count = cast(convert_to_tensor(nrows), kind)
        if validate:
            partitions.check_uniform(length, count, values)
        splits = array.range(count + 1) * length
        made = cls._checked(values, splits, validate, "from_uniform_row_length")
        made._uniform = partitions.known_scalar(length)
        return made

    @classmethod
    def _checked(cls, values: Any, splits: Any, validate: bool, what: str) -> RaggedTensor:
        if validate:
            partitions.check_splits(splits, values, what)
        return cls(values, splits)

    @classmethod
    def from_nested_row_splits(
        cls, flat_values: Any, nested_row_splits: Any, name: str | None = None,
        validate: bool = True,
    ) -> Any:  # fmt: skip
        """Several ragged dimensions, the outermost first."""
        return cls._nested(cls.from_row_splits, flat_values, nested_row_splits, validate)

    @classmethod
    def from_nested_row_lengths(
        cls, flat_values: Any, nested_row_lengths: Any, name: str | None = None,
        validate: bool = True,
    ) -> Any:  # fmt: skip
        """Several ragged dimensions, the outermost first."""
        return cls._nested(cls.from_row_lengths, flat_values, nested_row_lengths, validate)

    @classmethod
    def from_nested_value_rowids(
        cls, flat_values: Any, nested_value_rowids: Any, nested_nrows: Any = None,
        name: str | None = None, validate: bool = True,
    ) -> Any:  # fmt: skip
        """Several ragged dimensions, the outermost first."""
        counts = nested_nrows or [None] * len(nested_value_rowids)
        result = convert(flat_values)
        for ids, nrows in reversed(list(zip(nested_value_rowids, counts))):
            result = cls.from_value_rowids(result, ids, nrows, validate=validate)
        return result

    @staticmethod
    def _nested(make: Any, flat_values: Any, parts: Any, validate: bool) -> Any:
        if isinstance(parts, Tensor):
            raise TypeError(f"the partitions must be a list of tensors, got {parts}.")
        result = convert(flat_values)
        for part in reversed(list(parts)):
            result = make(result, part, validate=validate)
        return result

    @classmethod
    def from_tensor(
        cls, tensor: Any, lengths: Any = None, padding: Any = None, ragged_rank: int = 1,
        name: str | None = None, row_splits_dtype: Any = dt.int64,
    ) -> RaggedTensor:  # fmt: skip
        """The rows of a tensor, cut to `lengths` or without the `padding` at their ends."""
        from shardtape.ragged.conversion import from_tensor

        return from_tensor(tensor, lengths, padding, ragged_rank, row_splits_dtype)

    @classmethod
    def from_sparse(
        cls, st_input: Any, name: str | None = None, row_splits_dtype: Any = dt.int64
    ) -> RaggedTensor:
        """A 2-D SparseTensor whose rows have no gaps."""
        from shardtape.ragged.conversion import from_sparse

        return from_sparse(st_input, row_splits_dtype)

    # ---- what it is -----------------------------------------------------------------------
    @property
    def dtype(self) -> dt.DType:
        return self._values.dtype

    @property
    def values(self) -> Any:
        """The rows one behind the other."""
        return self._values

    @property
    def row_splits(self) -> Any:
        return self._row_splits

    @property
    def flat_values(self) -> Any:
        """The innermost values, a Tensor."""
        inner = self._values
        return inner.flat_values if isinstance(inner, RaggedTensor) else inner

    @property
    def nested_row_splits(self) -> tuple[Any, ...]:
        """The splits of all ragged dimensions, the outermost first."""
        inner = self._values
        rest = inner.nested_row_splits if isinstance(inner, RaggedTensor) else ()
        return (self._row_splits, *rest)

    @property
    def ragged_rank(self) -> int:
        """How many dimensions have splits."""
        inner = self._values
        return 1 + (inner.ragged_rank if isinstance(inner, RaggedTensor) else 0)

    @property
    def uniform_row_length(self) -> Any:
        """The length of all rows, a scalar of the splits' type; None where none was promised."""
        if self._uniform is None:
            return None
        return convert_to_tensor(self._uniform, self._row_splits.dtype)

    @property
    def shape(self) -> shapes.TensorShape:
        """Static shape; ragged dimensions are None."""
        splits = self._row_splits.shape
        rows = None if splits.rank is None or splits[0] is None else splits[0] - 1
        inner = self._values.shape
        if inner.rank is None:
            return shapes.UNKNOWN
        return shapes.TensorShape([rows, self._uniform]).concatenate(inner[1:])

    def get_shape(self) -> shapes.TensorShape:
        return self.shape

    @property
    def _type_spec(self) -> Any:
        from shardtape.ragged.spec import RaggedTensorSpec

        return RaggedTensorSpec.from_value(self)

    # ---- its partition --------------------------------------------------------------------
    def nrows(self, out_type: Any = None, name: str | None = None) -> Any:
        """The number of rows, a scalar."""
        count = array.shape(self._row_splits, out_type=self._row_splits.dtype)[0] - 1
        return count if out_type is None else cast(count, out_type)

    def row_starts(self, name: str | None = None) -> Any:
        return self._row_splits[:-1]

    def row_limits(self, name: str | None = None) -> Any:
        return self._row_splits[1:]

    def row_lengths(self, axis: Any = 1, name: str | None = None) -> Any:
        """The lengths of the rows; of axis 2 and more, a RaggedTensor of lengths."""
        at = self._axis(axis)
        if at == 0:
            return self.nrows()
        if at == 1:
            return self.row_limits() - self.row_starts()
        if isinstance(self._values, RaggedTensor):
            return self.with_values(self._values.row_lengths(at - 1))
        size = array.shape(self._values, out_type=self._row_splits.dtype)
        count = size[0]
        return self.with_values(array.ones([count], size.dtype) * size[at - 1])

    def _axis(self, axis: Any) -> int:
        at, rank = int(axis), self.shape.rank
        if at < 0:
            if rank is None:
                raise ValueError("a negative axis needs a known rank")
            at += rank
        if at < 0 or (rank is not None and at >= rank):
            raise ValueError(f"axis={axis} out of bounds: expected {-(rank or 0)}<=axis<{rank}")
        return at

    def value_rowids(self, name: str | None = None) -> Any:
        """The row that each value is in."""
        return partitions.rowids_of_splits(self._row_splits)

    def nested_row_lengths(self, name: str | None = None) -> tuple[Any, ...]:
        return tuple([s[1:] - s[:-1] for s in self.nested_row_splits])

    def nested_value_rowids(self, name: str | None = None) -> tuple[Any, ...]:
        return tuple([partitions.rowids_of_splits(s) for s in self.nested_row_splits])

    def bounding_shape(
        self, axis: Any = None, name: str | None = None, out_type: Any = None
    ) -> Any:
        """The smallest dense shape that holds it, an int vector; or its size along `axis`."""
        kind = self._row_splits.dtype if out_type is None else dt.as_dtype(out_type)
        sizes = [array.reshape(cast(self.nrows(), kind), [1])]
        for splits in self.nested_row_splits:
            sizes.append(array.reshape(cast(partitions.longest(splits), kind), [1]))
        sizes.append(array.shape(self.flat_values, out_type=kind)[1:])
        whole = array.concat(sizes, 0)
        return whole if axis is None else array.gather(whole, axis)

    # ---- other forms of it ----------------------------------------------------------------
    def with_values(self, new_values: Any) -> RaggedTensor:
        """The same rows of other values. Raises ValueError for another number of them."""
        values = convert(new_values)
        if values.shape.rank == 0:
            raise ValueError(f"the values of a RaggedTensor have one axis at least, got {values!r}")
        if values.shape.rank is not None and self._values.shape.rank is not None:
            values.shape[:1].assert_is_compatible_with(self._values.shape[:1])
        return RaggedTensor(values, self._row_splits, self._uniform)

    def with_flat_values(self, new_values: Any) -> RaggedTensor:
        """The same nesting of other innermost values."""
        if isinstance(self._values, RaggedTensor):
            return self.with_values(self._values.with_flat_values(new_values))
        return self.with_values(new_values)

    def with_row_splits_dtype(self, dtype: Any) -> RaggedTensor:
        """The same with splits of int32 or int64."""
        inner = self._values
        if isinstance(inner, RaggedTensor):
            inner = inner.with_row_splits_dtype(dtype)
        return RaggedTensor(inner, cast(self._row_splits, dtype), self._uniform)

    def merge_dims(self, outer_axis: int, inner_axis: int) -> Any:
        """Axes `outer_axis`...`inner_axis` as one."""
        from shardtape.ragged.conversion import merge_dims

        return merge_dims(self, self._axis(outer_axis), self._axis(inner_axis))

    def to_tensor(
        self, default_value: Any = None, name: str | None = None, shape: Any = None
    ) -> Any:
        """A dense tensor: `default_value` (0) after the ends of rows, cut or wide as `shape`."""
        from shardtape.ragged.conversion import to_tensor

        return to_tensor(self, default_value, shape)

    def to_sparse(self, name: str | None = None) -> Any:
        """A SparseTensor of the values at their places."""
        from shardtape.ragged.conversion import to_sparse

        return to_sparse(self)

    def to_list(self) -> list[Any]:
        """Nested Python lists. Raises ValueError in a graph."""
        self._check_eager("to_list()")
        splits = self._row_splits._host()
        inner = self._values
        values = inner.to_list() if isinstance(inner, RaggedTensor) else inner.numpy().tolist()
        return [values[a:b] for a, b in zip(splits[:-1], splits[1:])]

    def numpy(self) -> np.ndarray:
        """An array of arrays; one dense array where all rows have one length."""
        self._check_eager("RaggedTensor.numpy()")
        splits, values = self._row_splits._host(), self._values.numpy()
        rows = [values[a:b] for a, b in zip(splits[:-1], splits[1:])]
        if not rows:
            return np.zeros((0, 0, *values.shape[1:]), values.dtype)
        if any(len(r) != len(rows[0]) for r in rows):
            out = np.empty(len(rows), object)
            for i, row in enumerate(rows):
                out[i] = row
            return out
        return np.array(rows)

    _to_numpy = numpy

    def _check_eager(self, what: str) -> None:
        if type(self.flat_values) is not EagerTensor:
            raise ValueError(f"{what} is only supported in eager mode.")

    def _as_tensor(self, dtype: Any = None) -> Any:
        raise ValueError(
            "TypeError: a RaggedTensor cannot be converted to a Tensor in silence: use to_tensor()"
        )

    # ---- Python ---------------------------------------------------------------------------
    def __getitem__(self, key: Any) -> Any:
        from shardtape.ragged.selection import getitem

        return getitem(self, key)

    def __iter__(self) -> Iterator[Any]:
        self._check_eager("Iterating over a RaggedTensor")
        return (self[i] for i in range(int(self.nrows())))

    def __bool__(self) -> bool:
        raise TypeError("RaggedTensor may not be used as a boolean.")

    def __repr__(self) -> str:
        if type(self.flat_values) is not EagerTensor:
            return f"tf.RaggedTensor(values={self._values}, row_splits={self._row_splits})"
        with np.printoptions(formatter={"all": _formatted}):
            return f"<tf.RaggedTensor {_formatted(self.numpy())}>"

    def consumers(self) -> list[Any]:
        """The operations that read its parts."""
        return [*self._values.consumers(), *self._row_splits.consumers()]


def _formatted(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return np.array2string(x, separator=", ") if x.size else repr(x.tolist())
    return str(x)


def convert(value: Any, dtype: Any = None) -> Any:
    """A RaggedTensor as it is, everything else as a Tensor."""
    if isinstance(value, RaggedTensor):
        if dtype is not None and value.dtype is not dt.as_dtype(dtype):
            raise ValueError(f"requested dtype {dtype} for a RaggedTensor of {value.dtype.name}")
        return value
    return convert_to_tensor(value, dtype)


def rows_of(values: Any) -> Any:
    """The number of rows of a Tensor or RaggedTensor, an int64 scalar."""
    if isinstance(values, RaggedTensor):
        return cast(values.nrows(), dt.int64)
    if values.shape.rank == 0:
        raise errors.InvalidArgumentError("values of a RaggedTensor must have at least one axis")
    return array.shape(values, out_type=dt.int64)[0]


def matching(*values: Any) -> Sequence[Any]:
    """RaggedTensors with splits of one dtype: int64 where they differ."""
    kinds = {v.row_splits.dtype for v in values if isinstance(v, RaggedTensor)}
    if len(kinds) < 2:
        return values
    return [v.with_row_splits_dtype(dt.int64) if isinstance(v, RaggedTensor) else v for v in values]

"""`tf.io.RaggedFeature`: what it asks the parser for, and the tensors that it becomes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from shardtape import dtypes as dt
from shardtape.io.example_ragged import Partition, Ragged


class RowSplits(NamedTuple):
    """Rows between the numbers of the feature `key`, of which the first is 0."""

    key: str


class RowLengths(NamedTuple):
    """Rows of the lengths in the feature `key`."""

    key: str


class RowStarts(NamedTuple):
    """Rows that begin where the feature `key` says."""

    key: str


class RowLimits(NamedTuple):
    """Rows that end before the numbers of the feature `key`."""

    key: str


class ValueRowIds(NamedTuple):
    """The feature `key` says for each item the number of its row."""

    key: str


class UniformRowLength(NamedTuple):
    """Rows of `length` items."""

    length: int


_KINDS = {
    RowSplits: "splits", RowLengths: "lengths", RowStarts: "starts", RowLimits: "limits",
    ValueRowIds: "ids", UniformRowLength: "uniform",
}  # fmt: skip


class _Fields(NamedTuple):
    dtype: Any
    value_key: str | None
    partitions: Sequence[Any]
    row_splits_dtype: Any
    validate: bool


class RaggedFeature(_Fields):
    """A feature of any number of values, parsed to a RaggedTensor.

    A batch gets an axis of examples in front; a single example without partitions is a vector.

    Args:
      dtype: float32, int64 or string.
      value_key: the feature, by default that of the name in the dict.
      partitions: how its values are cut into rows, those into rows of rows and so on, from the
        outermost to the innermost: `RaggedFeature.RowSplits(key)`, `RowLengths(key)`,
        `RowStarts(key)`, `RowLimits(key)`, `ValueRowIds(key)` with the key of an int64 feature,
        or `UniformRowLength(length)`.
      row_splits_dtype: int32 or int64.
      validate: accepted for TensorFlow's sake; partitions that do not fit are always errors.

    Raises:
      TypeError: partitions of another kind.
    """

    RowSplits, RowLengths, RowStarts = RowSplits, RowLengths, RowStarts
    RowLimits, ValueRowIds, UniformRowLength = RowLimits, ValueRowIds, UniformRowLength

    def __new__(
        cls, dtype: Any, value_key: str | None = None, partitions: Sequence[Any] = (),
        row_splits_dtype: Any = dt.int32, validate: bool = False,
    ) -> RaggedFeature:  # fmt: skip
        listed = isinstance(partitions, (list, tuple)) and type(partitions) not in _KINDS
        if not listed or not all(type(p) in _KINDS for p in partitions):
            raise TypeError(
                "Argument `partitions` must be a list of partition objects ("
                + ", ".join(f"tf.io.RaggedFeature.{kind.__name__}" for kind in _KINDS)
                + f"), got {partitions!r}"
            )
        return super().__new__(
            cls, dt.as_dtype(dtype), value_key, partitions, dt.as_dtype(row_splits_dtype), validate
        )


def wanted_ragged(key: str, feature: RaggedFeature, dtype: dt.DType) -> Ragged:
    """What the parser is asked for. Raises ValueError naming the feature."""
    if feature.row_splits_dtype not in (dt.int32, dt.int64):
        raise ValueError(
            f"RaggedFeature {key!r}: row_splits_dtype must be tf.int32 or tf.int64, got "
            f"{feature.row_splits_dtype!r}"
        )
    made = []
    for p in feature.partitions:
        if type(p) is not UniformRowLength:
            made.append(Partition(_KINDS[type(p)], p.key))
            continue
        if p.length < 1:
            raise ValueError(f"RaggedFeature {key!r}: rows of length {p.length}: at least 1")
        made.append(Partition("uniform", "", int(p.length)))
    return Ragged(feature.value_key or key, dtype, feature.row_splits_dtype, tuple(made))


def static_shapes(want: Ragged, batch: Sequence[int | None], steps: bool) -> list[Any]:
    """Static shapes of the parser's arrays. `batch`: () of a single example, or (size,)."""
    around = [[None if size is None else size + 1] for size in batch] + [[None]] * steps
    return [[None, *want.inner], *around, *[[None]] * len(want.levels)]


def ragged_of(want: Ragged, arrays: Iterator[Any], around: int) -> Any:
    """The tensor that the parser's arrays are, ragged where it has row splits.

    Args:
      around: levels around the values of one feature (batch, steps).
    """
    from shardtape.ops.array import size
    from shardtape.ragged.tensor import RaggedTensor

    found = next(arrays)
    levels = [next(arrays) for _ in range(around + len(want.levels))]
    uniform = [0] * around + [p.length for p in want.levels]
    for splits, length in reversed(list(zip(levels, uniform))):
        if length:
            rows = size(splits, out_type=want.splits) - 1
            found = RaggedTensor.from_uniform_row_length(found, length, rows, validate=False)
        else:
            found = RaggedTensor.from_row_splits(found, splits, validate=False)
    return found.with_row_splits_dtype(want.splits) if levels else found

"""Values of Examples that other features cut into rows, rows of rows, ...; in numpy alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape.errors import InvalidArgumentError


class Partition(NamedTuple):
    """How items are cut into rows.

    Fields:
      kind: "splits", "lengths", "starts", "limits", "ids" or "uniform".
      key: the feature that says where; "" for "uniform".
      length: of each row, for "uniform".
    """

    kind: str
    key: str
    length: int = 0


class Ragged(NamedTuple):
    """A feature of any number of values; `partitions`: from the outermost to the innermost."""

    key: str
    dtype: dt.DType
    splits: dt.DType
    partitions: tuple[Partition, ...] = ()

    @property
    def inner(self) -> tuple[int, ...]:
        """The sizes of the last axes, which all rows have in common."""
        sizes: list[int] = []
        for p in reversed(self.partitions):
            if p.kind != "uniform":
                break
            sizes.insert(0, p.length)
        return tuple(sizes)

    @property
    def levels(self) -> tuple[Partition, ...]:
        """The partitions that need row splits."""
        return self.partitions[: len(self.partitions) - len(self.inner)]


def ragged_arrays(
    want: Ragged,
    rows: Sequence[np.ndarray],
    places: Sequence[Sequence[np.ndarray]],
    where: Callable[[int], str],
    outer: Sequence[np.ndarray],
) -> list[np.ndarray]:
    """The values of all rows, and the row splits of each level.

    Args:
      rows: values by example.
      places: by partition the values of its feature by example; unused for "uniform".
      where: names an example in error texts.
      outer: lengths of levels around the examples, outermost first; the last of them is told
        what each example holds by None in its place.

    Raises:
      InvalidArgumentError: a partition that does not fit the values.
    """
    counts = [r.size for r in rows]
    lengths: list[np.ndarray] = []
    for partition, given in zip(reversed(want.partitions), reversed(places)):
        cut = [_lengths(partition, given[i], n, i, where) for i, n in enumerate(counts)]
        counts = [c.size for c in cut]
        lengths.insert(0, np.concatenate(cut) if cut else np.empty(0, np.int64))
    joined = np.concatenate(rows) if rows else np.empty(0, want.dtype.numpy_dtype)
    inner = want.inner
    held = [np.array(counts, np.int64) if x is None else x for x in outer]
    out = [joined.reshape(joined.size // max(int(np.prod(inner)), 1), *inner)]
    for sizes in (*held, *lengths[: len(want.levels)]):
        splits = np.zeros(sizes.size + 1, want.splits.numpy_dtype)
        np.cumsum(sizes, out=splits[1:])
        out.append(splits)
    return out


def _lengths(
    partition: Partition, given: Any, count: int, number: int, where: Callable[[int], str]
) -> np.ndarray:
    """int64: the lengths of the rows that `count` items are cut into."""
    kind = partition.kind
    if kind == "uniform":
        if count % partition.length:
            raise InvalidArgumentError(
                f"{where(number)}: {count} items cannot be cut into rows of {partition.length}"
            )
        return np.full(count // partition.length, partition.length, np.int64)
    if kind == "lengths":
        found = given
    elif kind == "splits":
        found = np.diff(given) if given.size and given[0] == 0 else given - 1
        if not given.size:  # a feature that is missing has no rows
            found = given
    elif kind == "starts":
        found = np.diff(np.append(given, count))
        if given.size and given[0] != 0:
            found = given - given.max() - 1
    elif kind == "limits":
        found = np.diff(np.concatenate([[0], given]))
    else:
        good = given.size == count and (np.diff(given) >= 0).all() and (given >= 0).all()
        found = np.bincount(given) if good else np.array([-1])
    if (found < 0).any() or found.sum() != count:
        raise InvalidArgumentError(
            f"{where(number)}: the {_SHOWN[kind]} {given[:20].tolist()} of feature "
            f"'{partition.key}' do not cut {count} items into rows"
        )
    return found.astype(np.int64)


_SHOWN = {
    "lengths": "row lengths", "splits": "row splits", "starts": "row starts",
    "limits": "row limits", "ids": "value row ids",
}  # fmt: skip

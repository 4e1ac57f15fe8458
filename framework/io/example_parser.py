"""Serialised Examples as arrays, by what a feature is asked to be; in numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape.errors import InvalidArgumentError
from shardtape.io.example_layout import parse_alike
from shardtape.io.example_ragged import Ragged, ragged_arrays
from shardtape.io.example_wire import (
    KINDS,
    Feature,
    WireError,
    example_features,
    payload,
    sequence_features,
    values,
    varints,
)

Arrays = list[np.ndarray]
Features = Mapping[bytes, Feature | None]
Lists = Mapping[bytes, list[Feature | None]]


class Dense(NamedTuple):
    """A feature of a fixed shape; `default`: an array of that shape, or None: it is required."""

    key: str
    shape: tuple[int, ...]
    dtype: dt.DType
    default: Any = None


class DenseSequence(NamedTuple):
    """A feature of any number of rows of a fixed shape, padded with `padding` in batches."""

    key: str
    shape: tuple[int, ...]
    dtype: dt.DType
    padding: Any
    required: bool = False


class Sparse(NamedTuple):
    """A feature of any number of values."""

    key: str
    dtype: dt.DType


class SparseIndexed(NamedTuple):
    """Values at places that other features give."""

    index_keys: tuple[str, ...]
    key: str
    dtype: dt.DType
    size: tuple[int, ...]
    already_sorted: bool = False


def parse(
    records: Sequence[bytes],
    wanted: Sequence[Any],
    names: Sequence[bytes] = (),
    single: bool = False,
) -> Arrays:
    """The arrays of the wanted features, in order: one per dense feature, three per sparse one.

    Args:
      records: serialised Examples.
      names: of the records, for error texts.
      single: there is one record, and its arrays have no batch axis.

    Raises:
      InvalidArgumentError: what is no Example, or a feature that is missing or does not fit.
    """
    if not single and len(records) > 1 and wanted and all(isinstance(w, Dense) for w in wanted):
        alike = _parse_alike(records, wanted)
        if alike is not None:
            return alike
    return _parse_each(records, wanted, names, single)


def _parse_alike(records: Sequence[bytes], wanted: Sequence[Any]) -> Arrays | None:
    """Arrays of records that are laid out alike; None: somewhere is a mistake to be named."""
    counts = [int(np.prod(w.shape, dtype=np.int64)) for w in wanted]
    columns = [(w.key.encode(), n, w.dtype) for w, n in zip(wanted, counts)]
    out, rest = parse_alike(records, columns)
    if len(rest) == len(records):
        return None
    if rest:
        try:
            others = _parse_each([records[i] for i in rest], wanted, (), False)
        except InvalidArgumentError:
            return None
        for array, other in zip(out, others):
            array[rest] = other.reshape(len(rest), -1)
    return [array.reshape(len(records), *w.shape) for array, w in zip(out, wanted)]


def _parse_each(
    records: Sequence[bytes], wanted: Sequence[Any], names: Sequence[bytes], single: bool
) -> Arrays:
    found = []
    for record in records:
        try:
            found.append(example_features(record))
        except WireError as error:
            raise InvalidArgumentError(
                f"Could not parse example input, value: {record[:100]!r} ({error})"
            ) from None
    where = _Where(names, single)
    out: Arrays = []
    for want in wanted:
        out.extend(_PARSERS[type(want)](want, found, where))
    return out


class _Where:
    """Names examples in error texts."""

    def __init__(self, names: Sequence[bytes], single: bool) -> None:
        self._names, self.single = names, single

    def prefix(self, number: int) -> str:
        if self.single:
            return ""
        name = self._names[number].decode() if number < len(self._names) else "<unknown>"
        return f"Name: {name}, "

    def key(self, key: str, number: int) -> str:
        return f"{self.prefix(number)}Key: {key}" + ("" if self.single else f", Index: {number}")


def type_name(dtype: dt.DType | None) -> str:
    """The name that error texts of TensorFlow have for it."""
    return {"float32": "float"}.get(dtype.name, dtype.name) if dtype is not None else "none"


def _checked(
    features: Features, key: bytes, dtype: dt.DType, number: int, where: _Where
) -> Feature | None:
    """A feature; None where it is missing. Raises for values of another type."""
    feature = features.get(key)
    if feature is not None and KINDS[feature[1]] is not dtype:
        raise InvalidArgumentError(
            f"{where.key(key.decode(), number)}.  Data types don't match. Data type: "
            f"{type_name(KINDS[feature[1]])} but expected type: {type_name(dtype)}"
        )
    return feature


def _values(
    features: Features, key: bytes, dtype: dt.DType, number: int, where: _Where
) -> np.ndarray | None:
    """The values of a feature; None where it is missing. Raises for another type."""
    feature = _checked(features, key, dtype, number, where)
    if feature is None:
        return None
    try:
        return values(feature)
    except WireError as error:
        raise InvalidArgumentError(
            f"{where.key(key.decode(), number)}.  Can't parse serialized Example. ({error})"
        ) from None


def _dense(want: Dense, found: Sequence[Features], where: _Where) -> Arrays:
    count = int(np.prod(want.shape, dtype=np.int64))
    key = want.key.encode()
    if not where.single:
        fast = _dense_payloads(want, key, count, found, where)
        if fast is not None:
            return [fast.reshape(len(found), *want.shape)]
    rows = []
    for i, features in enumerate(found):
        got = _values(features, key, want.dtype, i, where)
        if got is None:
            if want.default is None:
                raise InvalidArgumentError(
                    f"{where.prefix(i)}Feature: {want.key} (data type: {type_name(want.dtype)}) "
                    "is required but could not be found."
                )
            got = np.asarray(want.default).reshape(-1)
        elif got.size != count:
            raise InvalidArgumentError(
                f"{where.key(want.key, i)}.  Number of {type_name(want.dtype)} values != expected. "
                f" Values size: {got.size} but output shape: {list(want.shape)}"
            )
        rows.append(got)
    if where.single:
        return [rows[0].reshape(want.shape)]
    if not rows:
        return [np.empty((0, *want.shape), want.dtype.numpy_dtype)]
    return [np.concatenate(rows).reshape(len(rows), *want.shape)]


def _dense_payloads(
    want: Dense, key: bytes, count: int, found: Sequence[Features], where: _Where
) -> np.ndarray | None:
    """All values of a batch by one decoding of all lists; None: not all are plain and whole."""
    parts = []
    for i, features in enumerate(found):
        feature = _checked(features, key, want.dtype, i, where)
        part = None if feature is None else payload(feature)
        if part is None:
            return None
        parts.append(part)
    if want.dtype is dt.string:
        if count != 1:
            return None
        out = np.empty(len(parts), object)
        out[:] = parts
        return out
    joined = b"".join(parts)
    if want.dtype is dt.float32:
        if any(len(part) != 4 * count for part in parts):
            return None
        return np.frombuffer(joined, "<f4")
    if not all(parts) or any(part[-1] > 127 for part in parts):
        return None
    ends = np.frombuffer(joined, np.uint8) < 128
    sizes = np.array([len(part) for part in parts])
    if (np.add.reduceat(ends, np.cumsum(sizes) - sizes, dtype=np.int64) != count).any():
        return None
    return varints(joined, 0, len(joined))


def _dense_sequence(want: DenseSequence, found: Sequence[Features], where: _Where) -> Arrays:
    size = int(np.prod(want.shape, dtype=np.int64))
    rows = []
    for i, features in enumerate(found):
        got = _values(features, want.key.encode(), want.dtype, i, where)
        if got is None:
            got = np.empty(0, want.dtype.numpy_dtype)
        if got.size % max(size, 1):
            raise InvalidArgumentError(
                f"{where.key(want.key, i)}.  Number of {type_name(want.dtype)} values is not a "
                f"multiple of stride length. Values size: {got.size} but output shape: "
                f"{[None, *want.shape]}"
            )
        rows.append(got)
    if where.single:
        return [rows[0].reshape(-1, *want.shape)]
    return [_padded(rows, size, want)]


def _padded(rows: Sequence[np.ndarray], size: int, want: DenseSequence) -> np.ndarray:
    longest = max((r.size for r in rows), default=0)
    out = np.full((len(rows), longest), want.padding, want.dtype.numpy_dtype)
    for i, r in enumerate(rows):
        out[i, : r.size] = r
    return out.reshape(len(rows), longest // max(size, 1), *want.shape)


def _sparse(want: Sparse, found: Sequence[Features], where: _Where) -> Arrays:
    return sparse_rows(_column(want.key, want.dtype, found, where), want.dtype, where.single)


def sparse_rows(rows: Sequence[np.ndarray], dtype: dt.DType, single: bool) -> Arrays:
    """Indices, values and dense shape of rows of different lengths."""
    if single:
        count = rows[0].size
        indices = np.arange(count, dtype=np.int64)[:, None]
        return [indices, rows[0], np.array([count], np.int64)]
    sizes = np.array([r.size for r in rows], np.int64)
    joined = np.concatenate(rows) if rows else np.empty(0, dtype.numpy_dtype)
    first = np.repeat(np.arange(len(rows)), sizes)
    second = np.arange(joined.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    shape = np.array([len(rows), sizes.max() if rows else 0], np.int64)
    return [np.stack([first, second], 1).astype(np.int64), joined, shape]


def _sparse_indexed(want: SparseIndexed, found: Sequence[Features], where: _Where) -> Arrays:
    all_places, all_values = [], []
    for i, features in enumerate(found):
        got = _values(features, want.key.encode(), want.dtype, i, where)
        got = np.empty(0, want.dtype.numpy_dtype) if got is None else got
        columns = []
        for key in want.index_keys:
            column = _values(features, key.encode(), dt.int64, i, where)
            column = np.empty(0, np.int64) if column is None else column
            if column.size != got.size:
                raise InvalidArgumentError(
                    f"{where.key(want.key, i)}.  {got.size} values have {column.size} indices "
                    f"in feature {key}"
                )
            columns.append(column)
        places = np.stack(columns, 1) if columns else np.empty((got.size, 0), np.int64)
        if not want.already_sorted:
            order = np.lexsort(places.T[::-1])
            places, got = places[order], got[order]
        if not where.single:
            places = np.concatenate([np.full((len(places), 1), i), places], 1)
        all_places.append(places)
        all_values.append(got)
    shape = [*want.size] if where.single else [len(found), *want.size]
    width = len(shape)
    return [
        np.concatenate(all_places) if all_places else np.empty((0, width), np.int64),
        np.concatenate(all_values) if all_values else np.empty(0, want.dtype.numpy_dtype),
        np.array(shape, np.int64),
    ]


def _column(
    key: str, dtype: dt.DType, found: Sequence[Features], where: _Where
) -> list[np.ndarray]:
    """The values of a feature by example; none where it is missing."""
    rows = [_values(features, key.encode(), dtype, i, where) for i, features in enumerate(found)]
    return [np.empty(0, dtype.numpy_dtype) if r is None else r for r in rows]


def _ragged(want: Ragged, found: Sequence[Features], where: _Where) -> Arrays:
    outer: list[Any] = [] if where.single else [None]
    return _ragged_rows(want, found, where, outer)


def _ragged_rows(
    want: Ragged, found: Sequence[Features], where: _Where, outer: Sequence[Any]
) -> Arrays:
    rows = _column(want.key, want.dtype, found, where)
    places = [_column(p.key, dt.int64, found, where) if p.key else [()] * len(found)
              for p in want.partitions]  # fmt: skip
    return ragged_arrays(want, rows, places, lambda i: where.key(want.key, i), outer)  # type: ignore


def _ragged_steps(want: Ragged, found: Sequence[Lists], where: _Where) -> Arrays:
    """Of feature lists: each step is as an example to `_ragged`."""
    keys = [k.encode() for k in (want.key, *[p.key for p in want.partitions if p.key])]
    steps, counts = [], []
    for i, lists in enumerate(found):
        columns = {key: lists.get(key, []) for key in keys}
        sizes = {len(column) for column in columns.values()}
        if len(sizes) > 1:
            raise InvalidArgumentError(
                f"{where.key(want.key, i)}.  The feature lists that it is made of have different "
                "numbers of steps: "
                + ", ".join(f"{k.decode()}: {len(c)}" for k, c in columns.items())
            )
        counts.append(sizes.pop())
        steps += [{k: c[step] for k, c in columns.items()} for step in range(counts[-1])]
    outer: list[Any] = [None] if where.single else [np.array(counts, np.int64), None]
    return _ragged_rows(want, steps, _Steps(where.single), outer)


class _Steps(_Where):
    """Names steps of feature lists in error texts."""

    def __init__(self, single: bool) -> None:
        super().__init__((), single)

    def key(self, key: str, number: int) -> str:
        return f"Feature list: {key}, step {number}" + ("" if self.single else " of the batch")


_PARSERS: dict[type, Any] = {
    Dense: _dense,
    DenseSequence: _dense_sequence,
    Sparse: _sparse,
    SparseIndexed: _sparse_indexed,
    Ragged: _ragged,
}


# ---- sequences ----------------------------------------------------------------------------------
def parse_sequences(
    records: Sequence[bytes],
    context: Sequence[Any],
    wanted: Sequence[Any],
    names: Sequence[bytes] = (),
    single: bool = False,
) -> tuple[Arrays, Arrays, Arrays]:
    """Arrays of the context, of the feature lists, and the lengths of the dense feature lists.

    Args: as `parse`; `wanted` holds DenseSequence, Sparse and Ragged of steps.
    """
    of_context = parse(records, context, names, single)
    where = _Where(names, single)
    found = []
    for record in records:
        try:
            found.append(sequence_features(record))
        except WireError as error:
            raise InvalidArgumentError(
                f"Could not parse example input, value: {record[:100]!r} ({error})"
            ) from None
    lists: Arrays = []
    lengths: Arrays = []
    for want in wanted:
        if isinstance(want, DenseSequence):
            steps = [_dense_steps(want, f, i, where) for i, f in enumerate(found)]
            lengths.append(np.array([len(s) for s in steps], np.int64))
            lists.append(steps[0] if single else _padded_steps(steps, want))
        elif isinstance(want, Ragged):
            lists.extend(_ragged_steps(want, found, where))
        else:
            lists.extend(_sparse_steps(want, found, where))
    return of_context, lists, lengths


def _dense_steps(want: DenseSequence, lists: Lists, number: int, where: _Where) -> np.ndarray:
    key = want.key.encode()
    if key not in lists:
        if want.required:
            raise InvalidArgumentError(
                f"Name: {_name(where, number)}, Feature list '{want.key}' is required but could "
                "not be found.  Did you mean to include it in "
                "feature_list_dense_missing_assumed_empty or feature_list_dense_defaults?"
            )
        return np.empty((0, *want.shape), want.dtype.numpy_dtype)
    size = int(np.prod(want.shape, dtype=np.int64))
    steps = []
    for step, feature in enumerate(lists[key]):
        got = _values({key: feature}, key, want.dtype, number, where)
        got = np.empty(0, want.dtype.numpy_dtype) if got is None else got
        if got.size != size:
            raise InvalidArgumentError(
                f"Name: {_name(where, number)}, Key: {want.key}, Index: {step}.  Number of "
                f"{type_name(want.dtype)} values != expected.  values size: {got.size} but "
                f"output shape: {list(want.shape)}"
            )
        steps.append(got)
    if not steps:
        return np.empty((0, *want.shape), want.dtype.numpy_dtype)
    return np.concatenate(steps).reshape(len(steps), *want.shape)


def _name(where: _Where, number: int) -> str:
    return where.prefix(number)[len("Name: ") : -2] or "<unknown>"


def _padded_steps(steps: Sequence[np.ndarray], want: DenseSequence) -> np.ndarray:
    longest = max((len(s) for s in steps), default=0)
    out = np.full((len(steps), longest, *want.shape), want.padding, want.dtype.numpy_dtype)
    for i, s in enumerate(steps):
        out[i, : len(s)] = s
    return out


def _sparse_steps(want: Sparse, found: Sequence[Lists], where: _Where) -> Arrays:
    places, all_values = [], []
    longest, widest = 0, 0
    key = want.key.encode()
    for i, lists in enumerate(found):
        features = lists.get(key, [])
        longest = max(longest, len(features))
        for step, feature in enumerate(features):
            got = _values({key: feature}, key, want.dtype, i, where)
            if got is None or not got.size:
                continue
            widest = max(widest, got.size)
            here = [step] if where.single else [i, step]
            column = np.arange(got.size)[:, None]
            places.append(np.concatenate([np.tile(here, (got.size, 1)), column], 1))
            all_values.append(got)
    rank = 2 if where.single else 3
    shape = [longest, widest] if where.single else [len(found), longest, widest]
    return [
        np.concatenate(places).astype(np.int64) if places else np.empty((0, rank), np.int64),
        np.concatenate(all_values) if all_values else np.empty(0, want.dtype.numpy_dtype),
        np.array(shape, np.int64),
    ]

"""Lines of comma-separated values (RFC 4180) as columns of one type each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape.errors import InvalidArgumentError

TYPES = (dt.float32, dt.float64, dt.int32, dt.int64, dt.string)


class Format(NamedTuple):
    """How fields are written.

    Fields:
      delimiter: one character.
      quotes: whether double quotes may stand around a field.
      missing: a text that stands for a missing value, like an empty field.
    """

    delimiter: bytes = b","
    quotes: bool = True
    missing: bytes = b""


class Column(NamedTuple):
    """Type and default of a column; a default of None means that a value is required."""

    dtype: dt.DType
    default: Any


def split(record: bytes, form: Format, number: int) -> list[bytes]:
    """The fields of a record. Raises InvalidArgumentError for quotes in wrong places."""
    if not form.quotes or b'"' not in record:
        if form.quotes and (b"\n" in record or b"\r" in record):
            _wrong("Unquoted fields cannot have quotes/CRLFs inside", record, number)
        return record.split(form.delimiter)
    fields = []
    at, size, delimiter = 0, len(record), form.delimiter
    while True:
        if at < size and record[at : at + 1] == b'"':
            value, at = _quoted(record, at + 1, number)
            if at < size and record[at : at + 1] != delimiter:
                _wrong("Quote inside a string has to be escaped by another quote", record, number)
        else:
            stop = record.find(delimiter, at)
            stop = size if stop < 0 else stop
            value, at = record[at:stop], stop
            if b'"' in value or b"\n" in value or b"\r" in value:
                _wrong("Unquoted fields cannot have quotes/CRLFs inside", record, number)
        fields.append(value)
        if at >= size:
            return fields
        at += 1  # the delimiter; behind the last one stands an empty field


def _quoted(record: bytes, at: int, number: int) -> tuple[bytes, int]:
    """The text up to the closing quote, and the place behind it."""
    parts = []
    while True:
        stop = record.find(b'"', at)
        if stop < 0:
            _wrong("Quoted field has to end with quote followed by delim or end", record, number)
        parts.append(record[at:stop])
        if record[stop + 1 : stop + 2] != b'"':
            return b"".join(parts), stop + 1
        parts.append(b'"')
        at = stop + 2


def _wrong(text: str, record: bytes, number: int) -> None:
    raise InvalidArgumentError(f"{text} (record {number}: {record!r})")


def columns_of(
    records: Sequence[bytes],
    columns: Sequence[Column],
    form: Format,
    selected: Sequence[int] | None,
) -> list[np.ndarray]:
    """Arrays (len(records),), one per column.

    Args:
      selected: numbers of the fields that are read, in order; None: all.

    Raises:
      InvalidArgumentError: a wrong number of fields, a missing value without a default, or a
        text that is no number; the text names record and field.
    """
    rows = []
    for i, record in enumerate(records):
        fields = split(record, form, i)
        if selected is None:
            if len(fields) != len(columns):
                raise InvalidArgumentError(
                    f"Expect {len(columns)} fields but have {len(fields)} in record {i}"
                )
        else:
            if len(fields) <= selected[-1]:
                raise InvalidArgumentError(
                    f"Expect {len(columns)} fields but have "
                    f"{sum(s < len(fields) for s in selected)} in record {i}"
                )
            fields = [fields[s] for s in selected]
        rows.append(fields)
    texts = list(zip(*rows)) if rows else [()] * len(columns)
    numbers = range(len(columns)) if selected is None else selected
    return [_column(t, c, form.missing, n) for t, c, n in zip(texts, columns, numbers)]


def _column(texts: Sequence[bytes], column: Column, missing: bytes, field: int) -> np.ndarray:
    dtype = column.dtype
    out = np.empty(len(texts), dtype.numpy_dtype)
    if dtype is dt.string:
        out[:] = [
            _default(column, field, i) if t in (b"", missing) else t for i, t in enumerate(texts)
        ]
        return out
    convert = int if dtype.is_integer else float
    for i, t in enumerate(texts):
        if t == b"" or t == missing:
            out[i] = _default(column, field, i)
            continue
        try:
            if b"_" in t:  # Python reads 1_000
                raise ValueError("underscore")
            out[i] = convert(t)
        except (ValueError, OverflowError):
            raise InvalidArgumentError(
                f"Field {field} in record {i} is not a valid {_name(dtype)}: "
                f"{t.decode(errors='replace')}"
            ) from None
    return out


def _default(column: Column, field: int, record: int) -> Any:
    if column.default is None:
        raise InvalidArgumentError(f"Field {field} is required but missing in record {record}!")
    return column.default


def _name(dtype: dt.DType) -> str:
    return {"float32": "float", "float64": "double"}.get(dtype.name, dtype.name)


def records_of(blocks: Iterable[bytes], quotes: bool) -> Iterator[bytes]:
    """Records out of blocks of a file: lines, but a quoted field may hold line ends."""
    rest = b""
    for block in blocks:
        lines = (rest + block).split(b"\n")
        rest = lines.pop()
        held = b""
        for line in lines:
            line = held + line if held else line
            if quotes and line.count(b'"') % 2:
                held = line + b"\n"
                continue
            held = b""
            yield line[:-1] if line.endswith(b"\r") else line
        rest = held + rest
    if rest:
        yield rest[:-1] if rest.endswith(b"\r") else rest

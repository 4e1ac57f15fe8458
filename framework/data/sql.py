"""`tf.data.experimental.SqlDataset`: the rows that a query of an SQLite file gives."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import building
from shardtape.data import structure
from shardtape.data.cursor import Cursor, Leaves, SequenceCursor
from shardtape.data.dataset import UNKNOWN, Dataset
from shardtape.data.readers import text_of
from shardtape.data.run import Run
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.text import objects
from shardtape.tensor import EagerTensor

_DRIVERS = ("sqlite",)
_TYPES = (dt.string, dt.int8, dt.int16, dt.int32, dt.int64, dt.uint8, dt.uint16, dt.bool,
          dt.float64)  # fmt: skip
_INT64 = np.iinfo(np.int64)
_PREFIXES = {
    int: re.compile(rb"\s*[+-]?\d+"),
    float: re.compile(rb"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
}


class SqlDataset(Dataset):
    """The rows of a query, as tuples of scalars.

    Args:
      driver_name: "sqlite".
      data_source_name: the path of the file.
      query: SQL that gives rows.
      output_types: a dtype for each column, in a tuple: string, int8 to int64, uint8, uint16,
        bool or float64.

    Raises:
      InvalidArgumentError: another driver or type.

    Iterating raises InvalidArgumentError for another number of columns, UnknownError for what
    SQLite says of the query.
    """

    def __init__(
        self, driver_name: Any, data_source_name: Any, query: Any, output_types: Any
    ) -> None:
        driver, self._path, self._query = (_text(v) for v in (driver_name, data_source_name, query))
        if driver not in _DRIVERS:
            raise errors.InvalidArgumentError(
                f"The database type, {driver}, is not supported by SqlDataset. The set of "
                f"supported databases is: {set(_DRIVERS)}."
            )
        spec = structure.map_structure(lambda t: TensorSpec([], _checked(t)), output_types)
        self._kinds = [s.dtype for s in structure.flatten(spec)]
        super().__init__(spec)

    def _cardinality(self, run: Run) -> int:
        return UNKNOWN

    def _make_cursor(self, run: Run) -> Cursor:
        rows = self._read()
        return SequenceCursor(rows, rows.close)  # type: ignore[attr-defined]

    def _read(self) -> Iterator[Leaves]:
        import sqlite3  # not where no query is read

        try:
            # its own connection: a cursor may go on in another thread than it was made in
            with contextlib.closing(
                sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, check_same_thread=False)
            ) as connection:
                connection.text_factory = bytes
                found = connection.execute(self._query)
                count = len(found.description or ())
                if count != len(self._kinds):
                    raise errors.InvalidArgumentError(
                        f"The number of columns in query ({count}) must match the number of "
                        f"elements in output_types ({len(self._kinds)})."
                    )
                for row in found:
                    yield tuple([_value(v, k) for v, k in zip(row, self._kinds)])
        except sqlite3.Error as error:
            raise errors.UnknownError(f"{self._path}: {error}: {self._query}") from error


def _text(value: Any) -> str:
    with building(None):
        made = convert_to_tensor(value, dt.string)
    assert isinstance(made, EagerTensor)
    return text_of(made.numpy())


def _checked(kind: Any) -> dt.DType:
    found = dt.as_dtype(kind)
    if found not in _TYPES:
        raise errors.InvalidArgumentError(
            f"Each element of `output_types` must be one of {[t.name for t in _TYPES]}, got "
            f"{found.name}"
        )
    return found


def _value(value: Any, kind: dt.DType) -> Any:
    """A value of SQLite in a dtype; NULL is zero or the empty text."""
    if kind is dt.string:
        made = b"" if value is None else value if isinstance(value, bytes) else str(value).encode()
        return objects([made], (1,)).reshape(())
    if isinstance(value, bytes):
        value = _number(value, float if kind is dt.float64 else int)
    number = 0 if value is None else value
    if kind is dt.float64:
        return np.float64(number)
    whole = int(min(max(number, _INT64.min), _INT64.max))
    return np.bool_(whole != 0) if kind is dt.bool else np.int64(whole).astype(kind.numpy_dtype)


def _number(text: bytes, kind: type) -> Any:
    """The number that a text begins with, as SQLite reads it: 0 where there is none."""
    found = _PREFIXES[kind].match(text)
    return 0 if found is None else kind(found[0])


__all__ = ["SqlDataset"]

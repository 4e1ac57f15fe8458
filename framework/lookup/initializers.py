"""Where tables get their keys and values from: tensors or text files."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import building
from shardtape.ops.convert import convert_to_tensor

_WHOLE_LINE, _LINE_NUMBER = -2, -1


class TextFileIndex:
    """What a key or value is made of, besides the number of a column."""

    WHOLE_LINE = _WHOLE_LINE
    LINE_NUMBER = _LINE_NUMBER


class TableInitializer:
    """Base: `pairs()` gives keys and values as Python values."""

    def __init__(self, key_dtype: Any, value_dtype: Any) -> None:
        self._key_dtype, self._value_dtype = dt.as_dtype(key_dtype), dt.as_dtype(value_dtype)

    @property
    def key_dtype(self) -> dt.DType:
        return self._key_dtype

    @property
    def value_dtype(self) -> dt.DType:
        return self._value_dtype

    def pairs(self) -> dict[Any, Any]:
        """Keys and values. Raises InvalidArgumentError for a key with two values."""
        raise NotImplementedError(f"{type(self).__name__} gives no keys")


def unique_pairs(pairs: Any) -> dict[Any, Any]:
    """The pairs. Raises FailedPreconditionError for a key with two values."""
    found: dict[Any, Any] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise errors.FailedPreconditionError(
                f"HashTable has different value for same key. Key {key!r} has {found[key]!r} and "
                f"trying to add value {value!r}"
            )
        found[key] = value
    return found


class KeyValueTensorInitializer(TableInitializer):
    """Keys and values of two vectors.

    Args:
      keys, values: of one length.

    Raises:
      ValueError: other shapes.
    """

    def __init__(
        self, keys: Any, values: Any, key_dtype: Any = None, value_dtype: Any = None,
        name: str | None = None,
    ) -> None:  # fmt: skip
        with building(None):
            self._keys = convert_to_tensor(keys, key_dtype)
            self._values = convert_to_tensor(values, value_dtype)
        if self._keys.shape != self._values.shape:
            raise ValueError(f"keys {self._keys.shape} and values {self._values.shape} differ")
        super().__init__(self._keys.dtype, self._values.dtype)

    def pairs(self) -> dict[Any, Any]:
        keys, values = [np.asarray(t._host()) for t in (self._keys, self._values)]  # type: ignore
        return unique_pairs(zip(keys.reshape(-1).tolist(), values.reshape(-1).tolist()))


class TextFileInitializer(TableInitializer):
    """Keys and values of the lines of a text file.

    Args:
      key_index, value_index: a column, or TextFileIndex.WHOLE_LINE or LINE_NUMBER.
      vocab_size: number of lines, to be checked.
      delimiter: between columns.
      value_index_offset: added to line numbers.

    Raises:
      NotFoundError: there is no such file.
      InvalidArgumentError: a line without the column, or that is no number.
    """

    def __init__(
        self, filename: Any, key_dtype: Any, key_index: int, value_dtype: Any, value_index: int,
        vocab_size: int | None = None, delimiter: str = "\t", name: str | None = None,
        value_index_offset: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(key_dtype, value_dtype)
        if key_index == _LINE_NUMBER and self._key_dtype is not dt.int64:
            raise ValueError(f"line numbers are int64, got key_dtype {self._key_dtype.name}")
        if value_index == _LINE_NUMBER and self._value_dtype is not dt.int64:
            raise ValueError(f"line numbers are int64, got value_dtype {self._value_dtype.name}")
        self._filename = filename
        self._indices = key_index, value_index
        self._vocab_size, self._delimiter = vocab_size, delimiter
        self._offset = value_index_offset

    def pairs(self) -> dict[Any, Any]:
        from shardtape.io.files import read_file

        with building(None):
            data = read_file(self._filename).numpy()
        lines = data.split(b"\n")
        if lines and not lines[-1]:
            lines.pop()
        lines = [line.rstrip(b"\r") for line in lines]
        if self._vocab_size is not None:
            if len(lines) < self._vocab_size:
                raise errors.InvalidArgumentError(
                    f"Invalid vocab_size in {self._filename}: expected {self._vocab_size} but got "
                    f"{len(lines)}"
                )
            lines = lines[: self._vocab_size]
        key, value = self._indices
        return unique_pairs(
            (
                self._part(line, i, key, self._key_dtype, 0),
                self._part(line, i, value, self._value_dtype, self._offset),
            )
            for i, line in enumerate(lines)
        )

    def _part(self, line: bytes, number: int, index: int, dtype: dt.DType, offset: int) -> Any:
        if index == _LINE_NUMBER:
            return number + offset
        text = line
        if index != _WHOLE_LINE:
            columns = line.split(self._delimiter.encode())
            if index >= len(columns):
                raise errors.InvalidArgumentError(
                    f"Invalid number of columns in {self._filename} line {number} ({line!r}): "
                    f"expected {index + 1} got {len(columns)}"
                )
            text = columns[index]
        if dtype is dt.string:
            return text
        try:
            return dtype.numpy_dtype.type(text.decode()).item()
        except ValueError:
            raise errors.InvalidArgumentError(
                f"Field {text!r} in {self._filename} line {number} is not a valid {dtype.name}."
            ) from None

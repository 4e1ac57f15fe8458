"""Reads serialised Examples without building messages: features as numpy arrays.

A list of floats is used where it lies; integers are decoded all at once. Only features that are
asked for are decoded. The wire format is protobuf's, of the messages in `protos/example.proto`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape import dtypes as dt

# (number of the field in Feature) -> dtype of its values
KINDS = {1: dt.string, 2: dt.float32, 3: dt.int64}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class WireError(ValueError):
    """Bytes that are no message of this kind."""


def _varint(data: Any, at: int) -> tuple[int, int]:
    """A varint and the place behind it."""
    byte = data[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while True:
        at += 1
        byte = data[at]
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at + 1
        shift += 7
        if shift > 63:
            raise WireError("a number of more than 64 bits")


def _fields(data: Any, start: int, stop: int) -> Iterator[tuple[int, int, Any, int]]:
    """(field number, wire type, start or value, stop) of each field of a message."""
    at = start
    try:
        while at < stop:
            key, at = _varint(data, at)
            number, kind = key >> 3, key & 7
            if kind == _BYTES:
                size, at = _varint(data, at)
                end = at + size
            elif kind == _VARINT:
                value, end = _varint(data, at)
                if end > stop:
                    raise WireError("a field that reaches beyond its message")
                yield number, kind, value, end
                at = end
                continue
            elif kind == _FIXED32:
                end = at + 4
            elif kind == _FIXED64:
                end = at + 8
            else:
                raise WireError(f"wire type {kind}")
            if end > stop:
                raise WireError("a field that reaches beyond its message")
            yield number, kind, at, end
            at = end
    except IndexError:
        raise WireError("a message that ends too early") from None


class Feature:
    """The values of one feature, decoded when they are asked for.

    Attributes:
      dtype: string, float32 or int64; None: it holds no list.
    """

    __slots__ = ("_data", "_parts", "dtype")

    def __init__(self, data: bytes, start: int, stop: int) -> None:
        self._data = data
        self.dtype: dt.DType | None = None
        self._parts: list[tuple[int, int]] = []
        for number, kind, at, end in _fields(data, start, stop):
            if kind != _BYTES or number not in KINDS:
                continue
            dtype = KINDS[number]
            if dtype is not self.dtype:  # of several kinds the last one holds
                self.dtype, self._parts = dtype, []
            self._parts.append((at, end))

    def values(self) -> np.ndarray:
        """The list, one-dimensional, of `dtype`."""
        lists = [(k, a, e) for s, t in self._parts for n, k, a, e in _fields(self._data, s, t)
                 if n == 1]  # fmt: skip
        if self.dtype is dt.string:
            out = np.empty(len(lists), object)
            out[:] = [self._data[a:e] for k, a, e in lists]
            return out
        if self.dtype is dt.float32:
            return _joined([self._floats(k, a, e) for k, a, e in lists], np.float32)
        return _joined([self._integers(k, a, e) for k, a, e in lists], np.int64)

    def _floats(self, kind: int, at: int, end: int) -> np.ndarray:
        if kind not in (_BYTES, _FIXED32) or (end - at) % 4:
            raise WireError("a list of floats of an odd size")
        return np.frombuffer(self._data, "<f4", (end - at) // 4, at)

    def _integers(self, kind: int, at: int, end: int) -> np.ndarray:
        if kind == _VARINT:
            return np.array([at], np.uint64).view(np.int64)
        return varints(self._data, at, end)


def _joined(parts: list[np.ndarray], dtype: Any) -> np.ndarray:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype)


def varints(data: bytes, start: int, stop: int) -> np.ndarray:
    """The varints of a packed list as int64. Raises WireError for one that is cut off."""
    raw = np.frombuffer(data, np.uint8, stop - start, start)
    if raw.size == 0:
        return np.empty(0, np.int64)
    last = raw < 128
    if last.all():
        return raw.astype(np.int64)
    if not last[-1]:
        raise WireError("a list of integers that ends inside one")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    places = np.arange(raw.size) - np.repeat(starts, ends - starts + 1)
    if places.max() > 9:
        raise WireError("a number of more than 64 bits")
    groups = (raw & 127).astype(np.uint64) << (7 * places).astype(np.uint64)
    return np.bitwise_or.reduceat(groups, starts).view(np.int64)


def _map(data: bytes, start: int, stop: int) -> Iterator[tuple[str, int, int]]:
    """(key, start, stop of the value) of each entry of a map field (number 1)."""
    for number, kind, at, end in _fields(data, start, stop):
        if number != 1 or kind != _BYTES:
            continue
        key, value = "", (end, end)
        for n, k, a, e in _fields(data, at, end):
            if k == _BYTES and n == 1:
                key = data[a:e].decode()
            elif k == _BYTES and n == 2:
                value = (a, e)
        yield key, *value


def example_features(data: bytes) -> dict[str, Feature]:
    """The features of a serialised Example (or of a SequenceExample's context).

    Raises WireError for what is no Example.
    """
    found: dict[str, Feature] = {}
    for number, kind, at, end in _fields(data, 0, len(data)):
        if number == 1 and kind == _BYTES:
            for key, start, stop in _map(data, at, end):
                found[key] = Feature(data, start, stop)
    return found


def sequence_features(data: bytes) -> dict[str, list[Feature]]:
    """The feature lists of a serialised SequenceExample: one Feature per step."""
    found: dict[str, list[Feature]] = {}
    for number, kind, at, end in _fields(data, 0, len(data)):
        if number == 2 and kind == _BYTES:
            for key, start, stop in _map(data, at, end):
                found[key] = [
                    Feature(data, a, e)
                    for n, k, a, e in _fields(data, start, stop)
                    if n == 1 and k == _BYTES
                ]
    return found

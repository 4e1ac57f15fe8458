"""Reads serialised Examples without building messages: features as numpy arrays.

An Example is scanned once for where its features lie; only those that are asked for are decoded,
a list of floats as it lies, integers all at once. The wire format is protobuf's, of the messages
in `protos/example.proto`. The scan expects the bytes that protobuf writes and leaves all else
that is allowed to a general reader.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape import dtypes as dt

# (number of the field in Feature) -> dtype of its values
KINDS = {1: dt.string, 2: dt.float32, 3: dt.int64}
# Where the values of a feature lie: bytes, number of its kind, start and stop of the list message.
Feature = tuple[bytes, int, int, int]
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


# ---- scanning -----------------------------------------------------------------------------------
_FIRST, _SECOND = 0x0A, 0x12  # tags of fields 1 and 2 that hold bytes


def example_features(data: bytes) -> dict[bytes, Feature | None]:
    """The features of a serialised Example (or of a SequenceExample's context) by name.

    A feature without values of any kind is None. Raises WireError for what is no Example.
    """
    found: dict[bytes, Feature | None] = {}
    for key, start, stop in _entries(data, _FIRST):
        found[key] = _feature(data, start, stop)
    return found


def sequence_features(data: bytes) -> dict[bytes, list[Feature | None]]:
    """The feature lists of a serialised SequenceExample by name: one Feature per step."""
    return {
        key: [_feature(data, a, e) for n, k, a, e in _fields(data, start, stop)
              if n == 1 and k == _BYTES]
        for key, start, stop in _entries(data, _SECOND)
    }  # fmt: skip


def _entries(data: bytes, wanted: int) -> list[tuple[bytes, int, int]]:
    """(key, start, stop of the value) of the map in the field with the tag `wanted`."""
    found: list[tuple[bytes, int, int]] = []
    at, stop = 0, len(data)
    try:
        while at < stop:
            tag = data[at]
            if tag != wanted:
                at = _behind(data, at, stop)
                continue
            size = data[at + 1]
            at += 2
            if size > 127:
                size, at = _varint(data, at - 1)
            end = at + size
            if end > stop:
                raise WireError("a field that reaches beyond its message")
            _map_entries(data, at, end, found)
            at = end
    except IndexError:
        raise WireError("a message that ends too early") from None
    return found


def _map_entries(data: bytes, at: int, stop: int, found: list[tuple[bytes, int, int]]) -> None:
    while at < stop:
        if data[at] != _FIRST:
            at = _behind(data, at, stop)
            continue
        size = data[at + 1]
        at += 2
        if size > 127:
            size, at = _varint(data, at - 1)
        end = at + size
        if end > stop:
            raise WireError("a field that reaches beyond its message")
        key, first, last = b"", end, end
        while at < end:
            tag = data[at]
            if tag != _FIRST and tag != _SECOND:
                at = _behind(data, at, end)
                continue
            size = data[at + 1]
            at += 2
            if size > 127:
                size, at = _varint(data, at - 1)
            if at + size > end:
                raise WireError("a field that reaches beyond its message")
            if tag == _FIRST:
                key = data[at : at + size]
            else:
                first, last = at, at + size
            at += size
        found.append((key, first, last))


def _behind(data: bytes, at: int, stop: int) -> int:
    """The place behind the field at `at`."""
    for _number, _kind, _start, end in _fields(data, at, stop):
        return end
    return stop


def _feature(data: bytes, start: int, stop: int) -> Feature | None:
    if start == stop:
        return None
    tag = data[start]
    if tag in (0x0A, 0x12, 0x1A):
        size, at = _varint(data, start + 1)
        if at + size == stop:
            return data, tag >> 3, at, stop
    return _merged(data, start, stop)


def _merged(data: bytes, start: int, stop: int) -> Feature | None:
    """A feature in several parts: those of the last kind, joined as messages are merged."""
    kind = 0
    parts: list[bytes] = []
    for number, wire, at, end in _fields(data, start, stop):
        if wire == _BYTES and number in KINDS:
            if number != kind:
                kind, parts = number, []
            parts.append(data[at:end])
    joined = b"".join(parts)
    return (joined, kind, 0, len(joined)) if kind else None


# ---- values -------------------------------------------------------------------------------------
def span(feature: Feature) -> tuple[int, int] | None:
    """Where the bytes of a list lie that is one field of bytes: packed numbers or one string."""
    data, _, start, stop = feature
    if start == stop or data[start] != _FIRST:
        return None
    size, at = _varint(data, start + 1)
    return (at, stop) if at + size == stop else None


def payload(feature: Feature) -> bytes | None:
    """The bytes at the feature's `span`."""
    place = span(feature)
    return None if place is None else feature[0][place[0] : place[1]]


def values(feature: Feature) -> np.ndarray:
    """The list of a feature, one-dimensional. Raises WireError for a broken one."""
    data, kind, start, stop = feature
    only = payload(feature)
    if only is not None:
        if kind == 3:
            return varints(only, 0, len(only))
        if kind == 2 and not len(only) % 4:
            return np.frombuffer(only, "<f4")
        if kind == 1:
            out = np.empty(1, object)
            out[0] = only
            return out
    lists = [(k, a, e) for n, k, a, e in _fields(data, start, stop) if n == 1]
    if kind == 1:
        out = np.empty(len(lists), object)
        out[:] = [data[a:e] for k, a, e in lists]
        return out
    if kind == 2:
        return _joined([_floats(data, k, a, e) for k, a, e in lists], np.float32)
    return _joined([_integers(data, k, a, e) for k, a, e in lists], np.int64)


def _floats(data: bytes, kind: int, at: int, end: int) -> np.ndarray:
    if kind not in (_BYTES, _FIXED32) or (end - at) % 4:
        raise WireError("a list of floats of an odd size")
    return np.frombuffer(data, "<f4", (end - at) // 4, at)


def _integers(data: bytes, kind: int, at: int, end: int) -> np.ndarray:
    if kind == _VARINT:
        return np.array([at], np.uint64).view(np.int64)
    return varints(data, at, end)


def _joined(parts: list[np.ndarray], dtype: Any) -> np.ndarray:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, dtype)


# Below, a loop over bytes is faster than numpy's calls.
_FEW_BYTES = 12


def _few_varints(data: bytes, at: int, stop: int) -> np.ndarray:
    found = []
    try:
        while at < stop:
            value, at = _varint(data, at)
            found.append(value & 0xFFFFFFFFFFFFFFFF)
    except IndexError:
        at = stop + 1
    if at > stop:
        raise WireError("a list of integers that ends inside one")
    return np.array(found, np.uint64).view(np.int64)


def varints(data: bytes, start: int, stop: int) -> np.ndarray:
    """The varints of a packed list as int64. Raises WireError for one that is cut off."""
    if stop - start <= _FEW_BYTES:
        return _few_varints(data, start, stop)
    raw = np.frombuffer(data, np.uint8, stop - start, start)
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

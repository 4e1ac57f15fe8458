"""Batches of Examples that are laid out alike, decoded as one matrix of bytes.

Records of one length are put under each other. Where all bytes outside the values are those of
the first record, the values lie in the same columns, and a column is decoded at once. Records that
are not alike are left to the parser that reads one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.io.example_wire import KINDS, WireError, example_features, span, varints

# Groups of fewer records are not worth the calls.
_FEWEST_ALIKE = 4


def parse_alike(
    records: Sequence[bytes], wanted: Sequence[tuple[bytes, int, dt.DType]]
) -> tuple[list[np.ndarray], list[int]]:
    """Values of dense features, and the numbers of the records that are still to be parsed.

    Args:
      wanted: name, number of values and dtype of each feature.

    Returns:
      An array (records, values) for each feature; rows that are still to be parsed are undefined.
    """
    out = [np.empty((len(records), count), dtype.numpy_dtype) for _, count, dtype in wanted]
    groups: dict[int, list[int]] = {}
    for i, record in enumerate(records):
        groups.setdefault(len(record), []).append(i)
    rest: list[int] = []
    for rows in groups.values():
        if len(rows) < _FEWEST_ALIKE or not _parse_group(records, rows, wanted, out):
            rest.extend(rows)
    return out, sorted(rest)


def _parse_group(
    records: Sequence[bytes], rows: list[int], wanted: Any, out: list[np.ndarray]
) -> bool:
    first = records[rows[0]]
    try:
        places = _places(first, wanted)
    except WireError:
        return False
    if places is None:
        return False
    spans, free = places
    group = [records[i] for i in rows]
    matrix = np.frombuffer(b"".join(group), np.uint8).reshape(len(rows), len(first))
    at = 0
    for start, stop in [*sorted(free), (len(first), len(first))]:
        if start > at and (matrix[:, at:start] != matrix[0, at:start]).any():
            return False
        at = stop
    columns = []
    for (start, stop), (_, count, dtype) in zip(spans, wanted):
        column = _column(group, matrix, start, stop, count, dtype)
        if column is None:
            return False
        columns.append(column)
    for array, column in zip(out, columns):
        array[rows] = column
    return True


def _places(first: bytes, wanted: Any) -> Any:
    """Spans of the wanted values in a record, and of all values, which may differ; or None."""
    found = example_features(first)
    spans = []
    for key, count, dtype in wanted:
        feature = found.get(key)
        if feature is None or KINDS[feature[1]] is not dtype or feature[0] is not first:
            return None
        place = span(feature)
        if place is None or (dtype is dt.string and count != 1):
            return None
        if dtype is dt.float32 and place[1] - place[0] != 4 * count:
            return None
        spans.append(place)
    names = {key for key, _, _ in wanted}
    others = [f for key, f in found.items() if key not in names and f is not None]
    if any(f[0] is not first for f in others):
        return None
    return spans, [*spans, *[(f[2], f[3]) for f in others]]


def _column(
    group: list[bytes], matrix: np.ndarray, start: int, stop: int, count: int, dtype: dt.DType
) -> Any:
    if dtype is dt.string:
        made = np.empty((len(group), 1), object)
        made[:, 0] = [record[start:stop] for record in group]
        return made
    block = matrix[:, start:stop]
    if dtype is dt.float32:
        return np.ascontiguousarray(block).view("<f4")
    ends = block < 128
    if start == stop or (ends != ends[0]).any() or not ends[0, -1] or ends[0].sum() != count:
        return None
    return varints(block.tobytes(), 0, block.size).reshape(len(group), count)

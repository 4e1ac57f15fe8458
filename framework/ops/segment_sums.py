"""Sums of rows of host arrays that have the same id."""

from __future__ import annotations

import numpy as np

# numpy's reduceat pays 50 ns for each row. The second rows of all segments in one addition, then
# the third ones, ... cost less while many segments have so many rows. (4096, 64) of float32 in 500
# segments: 0.23 ms by reduceat, 0.14 ms this way.
_MANY_SEGMENTS = 64
_WIDE_ROW = 1024  # elements; here the cost of a row does not count


def summed_segments(rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Row i of the result is the sum of rows[starts[i] : starts[i + 1]]; none of them is empty.

    Args:
      rows: (n, ...), with ids in order.
      starts: ascending; the last segment ends with the rows.
    """
    width = rows.size // len(rows)
    if width >= _WIDE_ROW or len(starts) < _MANY_SEGMENTS or rows.dtype.kind not in "fiuc":
        return np.add.reduceat(rows, starts, axis=0, dtype=rows.dtype)
    counts = np.diff(starts, append=len(rows))
    order = np.argsort(-counts, kind="stable")  # the longest first
    starts, counts = starts[order], counts[order]
    sums = rows[starts]
    longer = _longer_than(counts)
    done = 1
    while done < len(longer) and longer[done] >= _MANY_SEGMENTS:
        segments = longer[done]
        sums[:segments] += rows[starts[:segments] + done]
        done += 1
    if done < len(longer):
        for i in range(longer[done]):
            rest = rows[starts[i] + done : starts[i] + counts[i]]
            sums[i] += np.add.reduce(rest, 0, dtype=rows.dtype)
    out = np.empty_like(sums)
    out[order] = sums
    return out


def _longer_than(counts: np.ndarray) -> list[int]:
    """Member i: how many of the descending counts are more than i."""
    sizes = np.bincount(counts)
    return (len(counts) - np.cumsum(sizes))[:-1].tolist()

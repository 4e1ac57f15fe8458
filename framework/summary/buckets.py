"""Counting values into the buckets that TensorBoard draws.

Both kinds work in blocks that stay in the cache and give the counts of the plain definition, not
an approximation of them. Not-finite values cannot be placed on an axis: they are left out.
"""

from __future__ import annotations

import sys
from functools import cache
from typing import NamedTuple

import numpy as np

DEFAULT_BUCKETS = 30
_BLOCK = 16384  # values: their float64 copies and indices stay in a core's own cache


def _finite(values: np.ndarray) -> tuple[np.ndarray, float, float]:
    """The values that are finite, and their smallest and largest (0 and 0 if there is none)."""
    if values.size == 0:
        return values, 0.0, 0.0
    low, high = float(values.min()), float(values.max())
    if np.isfinite(low) and np.isfinite(high):
        return values, low, high
    values = values[np.isfinite(values)]
    if values.size == 0:
        return values, 0.0, 0.0
    return values, float(values.min()), float(values.max())


def _flat(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values).reshape(-1)
    if values.dtype == bool:
        return values.view(np.uint8)
    if values.dtype.kind in "iuf":
        return values
    return values.astype(np.float64)  # bfloat16 and its like; complex and strings raise here


def linear_buckets(values: np.ndarray, buckets: int = DEFAULT_BUCKETS) -> np.ndarray:
    """Buckets of equal width from the smallest to the largest value, as `tf.summary.histogram`.

    Args:
      values: array of numbers, any shape.
      buckets: how many; not negative.

    Returns:
      (buckets, 3) float64: left edge, right edge and count of each. Without values all is zero;
      when all values are equal every edge is that value and the last bucket has the count.
    """
    values, low, high = _finite(_flat(values))
    out = np.zeros((buckets, 3))
    if buckets == 0 or values.size == 0:
        return out
    if low == high:
        out[:, :2] = low
        out[-1, 2] = values.size
        return out
    width = (high - low) / buckets
    if width == 0:  # neighbours among the smallest numbers there are
        out[:, :2] = high
        out[-1, 2] = values.size
        return out
    if np.isinf(width):  # the range does not fit float64
        out = linear_buckets(values / 4, buckets)
        out[:, :2] *= 4
        return out
    counts = np.zeros(buckets + 1, np.int64)
    offsets = np.empty(min(_BLOCK, values.size))
    indices = np.empty(offsets.size, np.intp)
    for start in range(0, values.size, _BLOCK):
        block = values[start : start + _BLOCK]
        offset, index = offsets[: block.size], indices[: block.size]
        np.subtract(block, low, out=offset, dtype=np.float64)
        np.divide(offset, width, out=offset)
        index[...] = offset  # offsets are not negative: the cast is the floor
        counts += np.bincount(index, minlength=buckets + 1)
    counts[-2] += counts[-1]  # the largest value itself
    edges = np.linspace(low, high, buckets + 1)
    out[:, 0], out[:, 1], out[:, 2] = edges[:-1], edges[1:], counts[:-1]
    return out


@cache
def exponential_limits() -> np.ndarray:
    """TensorFlow's bucket limits: 1e-12 * 1.1**i below 1e20, mirrored, zero, and the ends."""
    positive = []
    limit = 1.0e-12
    while limit < 1.0e20:
        positive.append(limit)
        limit *= 1.1
    largest = np.finfo(np.float64).max
    mirrored = [-limit for limit in reversed(positive)]
    return np.array([-largest, *mirrored, 0.0, *positive, largest])


_PATTERN_SHIFT = 45  # keeps sign, exponent and 7 bits of the mantissa of a float64
_HIGH_WORD = 1 if sys.byteorder == "little" else 0


@cache
def _first_candidates() -> np.ndarray:
    """(2**19,) intp: for the top 19 bits of a float64, the first limit above its least value.

    Numbers that share those bits differ by less than 1 %, limits by 10 %: the right bucket is
    this one or the next.
    """
    patterns = np.arange(1 << 19, dtype=np.uint64) << np.uint64(_PATTERN_SHIFT)
    negative = patterns >> np.uint64(63) == 1
    # The least value of a negative pattern has all lower bits set.
    least = patterns + np.where(negative, np.uint64((1 << _PATTERN_SHIFT) - 1), np.uint64(0))
    values = np.nan_to_num(least.view(np.float64), nan=0.0)
    first = np.searchsorted(exponential_limits(), values, side="right")
    return np.minimum(first, len(exponential_limits()) - 1).astype(np.intp)


class ExponentialHistogram(NamedTuple):
    """The fields of TensorFlow's HistogramProto; buckets without values are merged."""

    min: float
    max: float
    num: float
    sum: float
    sum_squares: float
    limits: list[float]
    counts: list[float]


def exponential_buckets(values: np.ndarray) -> ExponentialHistogram:
    """Buckets that grow by a tenth, as TF1's `tf.summary.histogram` and `HistogramProto`.

    Args:
      values: array of numbers, any shape.

    Returns:
      The statistics and, per bucket, its upper limit and count. Runs of empty buckets are one
      bucket, as TensorFlow encodes them.
    """
    values, low, high = _finite(_flat(values))
    limits, candidates = exponential_limits(), _first_candidates()
    counts = np.zeros(len(limits) + 1, np.int64)
    total = squares = 0.0
    size = min(_BLOCK, max(1, values.size))
    copies, indices, firsts = np.empty(size), np.empty(size, np.intp), np.empty(size)
    for start in range(0, values.size, _BLOCK):
        count = min(_BLOCK, values.size - start)
        block, index, first = copies[:count], indices[:count], firsts[:count]
        block[...] = values[start : start + _BLOCK]
        total += float(block.sum())
        with np.errstate(over="ignore"):
            squares += float(np.dot(block, block))
        # The high words are unsigned: negative indices of mixed signs cost twice the time of all
        # the rest in mispredicted branches.
        high_words = block.view(np.uint32)[_HIGH_WORD::2]
        np.right_shift(high_words, _PATTERN_SHIFT - 32, out=index)
        candidates.take(index, out=index, mode="clip")
        limits.take(index, out=first, mode="clip")
        np.add(index, first <= block, out=index, casting="unsafe")
        counts += np.bincount(index, minlength=counts.size)
    counts[-2] += counts[-1]  # the largest float64 is no less than any limit
    if values.size == 0:
        low, high = limits[-1], limits[0]  # TensorFlow's minimum and maximum of nothing
    kept_limits, kept_counts = _merge_empty(limits, counts[:-1])
    return ExponentialHistogram(
        low, high, float(values.size), total, squares, kept_limits, kept_counts
    )


def _merge_empty(limits: np.ndarray, counts: np.ndarray) -> tuple[list[float], list[float]]:
    """Keeps full buckets, and of each run of empty ones the last."""
    full = counts > 0
    kept = full | np.append(full[1:], True)
    return limits[kept].tolist(), counts[kept].astype(np.float64).tolist()

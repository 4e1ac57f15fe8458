"""The average of a sync round, summed in the order of its list.

Every element is summed by itself, contribution after contribution, so the result depends on the
list only: not on the order of arrival, the number of workers, or how the variable is cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shardtape.optimizers.rule import BLOCK_ELEMENTS, compute_dtype
from shardtape.ps.ids import RangeId
from shardtape.ps.messages import ADD, ASSIGN, DENSE, ROWS, Part
from shardtape.ps.staging import Staged


@dataclass(slots=True)
class Summand:
    """A gradient part and the factor that its own step brought."""

    part: Part
    scale: float


def gradient_summands(id: RangeId, counted: Sequence[Staged]) -> list[Summand]:
    """The gradient parts of a range, in list order; an attempt without one adds nothing."""
    summands = []
    for staged in counted:
        scale = staged.scalars.scale if staged.scalars is not None else 1.0
        for kind in (DENSE, ROWS):
            part = staged.parts.get((id, kind))
            if part is not None:
                summands.append(Summand(part, scale))
    return summands


def dense_blocks(
    summands: Sequence[Summand], first: int, last: int, width: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """The sum of gradients, block by block.

    Args:
      summands: not all of kind "rows"; sparse ones are spread out.
      first, last: the rows of the range that are wanted.
      width: elements per row.

    Yields: (start, stop, sum) with start and stop elements of the flattened range. The array is
      overwritten by the next block.
    """
    flat = [
        (spread(s.part, last, width) if s.part.kind == ROWS else s.part.values).reshape(-1)
        for s in summands
    ]
    dtype = compute_dtype(flat[0].dtype)
    length = min(BLOCK_ELEMENTS, (last - first) * width)
    total, scaled = np.empty(length, dtype), np.empty(length, dtype)
    for start in range(first * width, last * width, max(length, 1)):
        stop = min(start + length, last * width)
        out, scratch = total[: stop - start], scaled[: stop - start]
        _scaled(flat[0][start:stop], summands[0].scale, out)
        for summand, values in zip(summands[1:], flat[1:]):
            block = values[start:stop]
            if summand.scale != 1.0 or block.dtype != dtype:
                _scaled(block, summand.scale, scratch)
                block = scratch
            np.add(out, block, out)
        yield start, stop, out


def row_sum(summands: Sequence[Summand]) -> tuple[np.ndarray, np.ndarray]:
    """The sum of sparse gradients: (unique rows ascending, their sums in the compute dtype)."""
    rows = np.unique(np.concatenate([s.part.rows for s in summands]))  # type: ignore[misc]
    shape = summands[0].part.values.shape[1:]
    dtype = compute_dtype(summands[0].part.values.dtype)
    total = np.zeros((len(rows), *shape), dtype)
    for summand in summands:
        at = np.searchsorted(rows, summand.part.rows)  # type: ignore[arg-type]
        values = summand.part.values.astype(dtype, copy=False)
        total[at] += values if summand.scale == 1.0 else values * dtype.type(summand.scale)
    return rows, total


def mean_written(
    id: RangeId, kind: str, counted: Sequence[Staged], mean: bool
) -> np.ndarray | None:
    """What the round adds to a range, or assigns to it; None if no attempt has such a part.

    "assign": the mean of those who assign. "add": the sum, divided by the length of the round if
    `mean`. Integers are divided with the remainder dropped; of booleans the last one counts.
    """
    parts = [s.parts[id, kind] for s in counted if (id, kind) in s.parts]
    if not parts:
        return None
    dtype = parts[0].values.dtype
    if dtype == np.bool_:
        return parts[-1].values
    if len(counted) == 1:
        return parts[0].values
    wide = np.dtype(np.int64) if dtype.kind in "iu" else compute_dtype(dtype)
    total = parts[0].values.astype(wide)
    for part in parts[1:]:
        np.add(total, part.values.astype(wide, copy=False), total)
    divisor = len(parts) if kind == ASSIGN else len(counted) if mean else 1
    if wide.kind in "iu":
        return (total // divisor).astype(dtype)
    return (total / wide.type(divisor)).astype(dtype, copy=False)


def spread(part: Part, rows: int, width: int) -> np.ndarray:
    """A sparse gradient as a dense one of `rows` rows, flattened."""
    dense = np.zeros((rows, width), part.values.dtype)
    keep = part.rows < rows  # type: ignore[operator]
    dense[part.rows[keep]] = part.values.reshape(len(part.rows), width)[keep]  # type: ignore
    return dense.reshape(-1)


def written_kinds(id: RangeId, counted: Sequence[Staged]) -> list[str]:
    """Which of "add" and "assign" the round has for a range."""
    return [kind for kind in (ADD, ASSIGN) if any((id, kind) in s.parts for s in counted)]


def _scaled(block: np.ndarray, scale: float, out: np.ndarray) -> None:
    if block.dtype == out.dtype and scale != 1.0:
        np.multiply(block, scale, out)
        return
    np.copyto(out, block)
    if scale != 1.0:
        np.multiply(out, scale, out)

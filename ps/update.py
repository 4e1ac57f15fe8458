"""Writes batches and rounds into the arrays of a shard."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shardtape.optimizers.rule import Rule
from shardtape.ps.averaging import (
    dense_blocks,
    gradient_summands,
    mean_written,
    row_sum,
    written_kinds,
)
from shardtape.ps.ids import Range, RangeId, SpecTable
from shardtape.ps.messages import ADD, DENSE, ROWS, Part
from shardtape.ps.snapshot import Snapshot
from shardtape.ps.staging import Staged

Arrays = dict[RangeId, np.ndarray]


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows first..last of a range, counted inside it, that share one ledger group.

    Fields:
      whole: they are all rows of the range (also of a scalar).
      width: elements per row.
    """

    id: RangeId
    first: int
    last: int
    whole: bool
    width: int


def segments_of(
    runs: Iterable[tuple[str, int, int]], ranges: Sequence[Range], specs: SpecTable
) -> list[Segment]:
    """Cuts runs of rows, numbered inside whole variables, to the ranges of a shard."""
    segments = []
    for key, start, stop in runs:
        for r in ranges:
            first, last = max(start, r.start), min(stop, r.stop)
            if r.key == key and first < last:
                width = int(np.prod(specs[key].shape[1:], dtype=np.int64))
                whole = first == r.start and last == r.stop
                segments.append(Segment(r.id, first - r.start, last - r.start, whole, width))
    return segments


class Updater:
    """Applies parts with the optimizer's rule to live parameters and slots.

    `snapshots` get each block before it is written.
    """

    def __init__(
        self, rule: Rule, specs: SpecTable, parameters: Arrays, slots: Mapping[str, Arrays]
    ) -> None:
        self._rules = {key: rule.for_variable(key) for key in specs}
        self._parameters = parameters
        self._slots = slots

    def push(
        self,
        parts: Iterable[Part],
        segments: Sequence[Segment],
        step: int,
        learning_rate: float,
        scale: float,
        snapshots: Sequence[Snapshot],
    ) -> None:
        """Applies the parts of one attempt to the rows of one ledger group, gradients first."""
        by_id: dict[RangeId, list[Part]] = {}
        for part in parts:
            by_id.setdefault((part.key, part.part), []).append(part)
        for segment in segments:
            own = by_id.get(segment.id)
            if own is None:
                continue
            if len(own) > 1:
                own.sort(key=lambda part: part.kind not in (DENSE, ROWS))
            for part in own:
                if part.kind == DENSE:
                    self._announce(segment, snapshots)
                    self._dense(segment, part.values, step, learning_rate, scale)
                elif part.kind == ROWS:
                    rows, values = _rows_inside(segment, part)
                    self._sparse(segment, rows, values, step, learning_rate, scale, snapshots)
                else:
                    self._announce(segment, snapshots)
                    self._written(segment, part.kind, part.values)

    def round(
        self,
        counted: Sequence[Staged],
        segments: Sequence[Segment],
        step: int,
        learning_rate: float,
        mean: bool,
        snapshots: Sequence[Snapshot],
    ) -> None:
        """Applies the average (or sum) of attempts to the rows of one ledger group."""
        scale = 1.0 / len(counted) if mean else 1.0
        for segment in segments:
            summands = gradient_summands(segment.id, counted)
            if len(summands) == 1 and summands[0].part.kind == DENSE:
                self._announce(segment, snapshots)
                only = summands[0]
                self._dense(segment, only.part.values, step, learning_rate, only.scale * scale)
            elif summands and all(s.part.kind == ROWS for s in summands):
                rows, total = row_sum(summands)
                inside = _rows_inside(segment, Part("", 0, ROWS, total, rows))
                self._sparse(segment, *inside, step, learning_rate, scale, snapshots)
            elif summands:
                self._announce(segment, snapshots)
                rule = self._rules[segment.id[0]]
                p, slots = self._flat(segment.id)
                for start, stop, total in dense_blocks(
                    summands, segment.first, segment.last, segment.width
                ):
                    rule.dense(
                        np, p[start:stop], total, {n: s[start:stop] for n, s in slots.items()},
                        step, learning_rate, scale,
                    )  # fmt: skip
            for kind in written_kinds(segment.id, counted):
                values = mean_written(segment.id, kind, counted, mean)
                if values is not None:
                    self._announce(segment, snapshots)
                    self._written(segment, kind, values)

    def _dense(
        self, segment: Segment, grad: np.ndarray, step: int, learning_rate: float, scale: float
    ) -> None:
        id = segment.id
        p, slots = self._parameters[id], {name: a[id] for name, a in self._slots.items()}
        if not segment.whole:
            cut = slice(segment.first, segment.last)
            p, grad, slots = p[cut], grad[cut], {name: a[cut] for name, a in slots.items()}
        self._rules[id[0]].dense(np, p, grad, slots, step, learning_rate, scale)

    def _sparse(
        self, segment: Segment, rows: np.ndarray, values: np.ndarray, step: int,
        learning_rate: float, scale: float, snapshots: Sequence[Snapshot],
    ) -> None:  # fmt: skip
        id = segment.id
        rule = self._rules[id[0]]
        self._announce(segment, snapshots, rows if rule.only_rows else None)
        p, slots = self._parameters[id], {name: a[id] for name, a in self._slots.items()}
        if not segment.whole:
            cut = slice(segment.first, segment.last)
            p, slots = p[cut], {name: a[cut] for name, a in slots.items()}
            rows = rows - segment.first
        rule.rows(np, p, rows, values, slots, step, learning_rate, scale)

    def _written(self, segment: Segment, kind: str, values: np.ndarray) -> None:
        p = self._parameters[segment.id]
        if not segment.whole:
            cut = slice(segment.first, segment.last)
            p, values = p[cut], values[cut]
        if kind == ADD:
            np.add(p, values, p)
        else:
            np.copyto(p, values)

    def _flat(self, id: RangeId) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        slots = {name: a[id].reshape(-1) for name, a in self._slots.items() if id in a}
        return self._parameters[id].reshape(-1), slots

    def _announce(
        self, segment: Segment, snapshots: Sequence[Snapshot], rows: np.ndarray | None = None
    ) -> None:
        for snapshot in snapshots:
            snapshot.before_write(segment.id, segment.first, segment.last, rows)


def _rows_inside(segment: Segment, part: Part) -> tuple[np.ndarray, np.ndarray]:
    """The rows of a sparse part that belong to a segment, and their values."""
    rows, values = part.rows, part.values
    assert rows is not None
    if segment.whole:
        return rows, values
    keep = (rows >= segment.first) & (rows < segment.last)
    return rows[keep], values[keep]

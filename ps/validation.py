"""Checks of what a worker sends, made before anything is touched."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from shardtape.errors import (
    AbortedError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
)
from shardtape.ps.ids import BatchId, Incarnation, Range, RangeId, SpecTable, dtype_of
from shardtape.ps.messages import ADD, ASSIGN, DENSE, KINDS, ROWS, Part, Push, Scalars
from shardtape.ps.partition import Placement


class Expected:
    """What a range's parts must look like."""

    __slots__ = ("dtype", "role", "rows", "shape")

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype, role: str, rows: int) -> None:
        self.shape = shape
        self.dtype = dtype
        self.role = role
        self.rows = rows


class Validator:
    """Knows the ranges of one shard and refuses what does not fit them.

    Args:
      refuse_nan: a part with a NaN or an infinity is refused, at the cost of one pass over it.
    """

    def __init__(
        self,
        index: int,
        placement: Placement,
        specs: SpecTable,
        ranges: Mapping[RangeId, Range],
        refuse_nan: bool = False,
    ) -> None:
        self._index = index
        self._placement = placement
        self._specs = specs
        self._refuse_nan = refuse_nan
        self._expected = {
            id: Expected(
                r.shape(specs[r.key]), dtype_of(specs[r.key].dtype), specs[r.key].role, r.rows
            )
            for id, r in ranges.items()
        }

    def expected(self, id: RangeId) -> Expected:
        """Of a range of this shard. Raises NotFoundError that says where it is, if anywhere."""
        found = self._expected.get(id)
        if found is not None:
            return found
        key, part = id
        self._specs[key]  # raises if there is no such variable
        ranges = self._placement.of_variable(key)
        if part not in range(len(ranges)):
            raise NotFoundError(
                f"variable {key!r} has {len(ranges)} parts, there is no part {part}"
            )
        raise NotFoundError(
            f"part {part} of variable {key!r} is on shard {ranges[part].shard}, not on shard "
            f"{self._index}: the sender's placement differs"
        )

    def push(self, push: Push) -> None:
        """Raises NotFoundError or InvalidArgumentError that names batch, variable and fault."""
        scale = 1.0 if push.commit is None or push.commit.skip else push.commit.scale
        if self._refuse_nan and not math.isfinite(scale):
            raise InvalidArgumentError(
                f'{push.batch}: the scale is {scale}; skip the step, or set nan="apply"'
            )
        seen: set[tuple[str, int, bool]] = set()
        for part in push.parts:
            self.part(part, push.batch)
            name = (part.key, part.part, part.kind in (DENSE, ROWS))
            if name in seen:
                raise InvalidArgumentError(
                    f"{push.batch}: two parts of the same sort for part {part.part} of variable "
                    f"{part.key!r} in one push: add them up on the worker"
                )
            seen.add(name)

    def part(self, part: Part, batch: BatchId) -> None:
        expected = self.expected((part.key, part.part))
        values = part.values
        if part.kind == ROWS:
            self._rows(part, expected, batch)
        elif part.kind not in KINDS:
            raise InvalidArgumentError(
                f"{batch}: unknown kind {part.kind!r} of a part of variable {part.key!r}: "
                f"expected one of {', '.join(KINDS)}"
            )
        elif part.rows is not None:
            raise InvalidArgumentError(
                f"{batch}: a part of kind {part.kind!r} of variable {part.key!r} has row ids"
            )
        elif values.shape != expected.shape:
            raise InvalidArgumentError(
                f"{batch}: part {part.part} of variable {part.key!r} has shape "
                f"{expected.shape}, the {part.kind} part sent has {values.shape}"
            )
        if values.dtype != expected.dtype:
            raise InvalidArgumentError(
                f"{batch}: variable {part.key!r} is {expected.dtype.name}, the {part.kind} part "
                f"sent is {values.dtype.name}"
            )
        if expected.role != "trained" and part.kind not in (ADD, ASSIGN):
            raise InvalidArgumentError(
                f"{batch}: variable {part.key!r} is {expected.role} and takes no gradient, but a "
                f"{part.kind} part came"
            )
        if self._refuse_nan and not all_finite(values):
            raise InvalidArgumentError(
                f"{batch}: the {part.kind} part for part {part.part} of variable {part.key!r} "
                'has a NaN or an infinity; lower the learning rate, clip, or set nan="apply"'
            )

    def _rows(self, part: Part, expected: Expected, batch: BatchId) -> None:
        rows, values = part.rows, part.values
        where = f"{batch}: rows of part {part.part} of variable {part.key!r}"
        if rows is None or rows.dtype != np.int64 or rows.ndim != 1:
            got = "none" if rows is None else f"{rows.dtype.name} of shape {rows.shape}"
            raise InvalidArgumentError(f"{where}: row ids must be int64 of rank 1, got {got}")
        shape = (len(rows), *(expected.shape[1:] or ()))
        if values.shape != shape:
            raise InvalidArgumentError(f"{where}: values of shape {values.shape}, expected {shape}")
        if not len(rows):
            return
        steps = np.diff(rows)
        if np.all(steps > 0):  # sorted, the usual case: the ends are the extremes
            low, high, unique = rows[0], rows[-1], True
        else:
            low, high, unique = rows.min(), rows.max(), len(np.unique(rows)) == len(rows)
        if low < 0 or high >= expected.rows:
            bad = int(low if low < 0 else high)
            raise InvalidArgumentError(
                f"{where}: row {bad} is not in 0..{expected.rows} (ids count from the part's "
                "first row)"
            )
        if not unique:
            raise InvalidArgumentError(f"{where}: row ids repeat: sum duplicates on the worker")


def check_batch(batch: BatchId, attempt: int) -> None:
    """Raises InvalidArgumentError for negative numbers, which a ledger would take as known."""
    if batch.epoch < 0 or batch.split < 0 or batch.index < 0 or attempt < 0:
        raise InvalidArgumentError(f"{batch}, attempt {attempt}: no number may be negative")


def check_scalars(scalars: Scalars | None, batch: BatchId) -> None:
    """Raises InvalidArgumentError for a negative or undefined learning rate."""
    if scalars is not None and scalars.learning_rate is not None and not scalars.learning_rate >= 0:
        raise InvalidArgumentError(
            f"{batch}: a learning rate must be >= 0, got {scalars.learning_rate}"
        )


def check_sender(
    who: str, generation: int, incarnation: Incarnation, own: int, own_incarnation: Incarnation
) -> None:
    """Refuses what belongs to another generation or incarnation.

    Raises:
      AbortedError: the sender is behind: it must drop what it has and pull again.
      FailedPreconditionError: this shard is behind: it was cut off and must not be used.
    """
    if generation == own and incarnation == own_incarnation:
        return
    theirs = f"generation {generation}, incarnation {Incarnation(*incarnation)}"
    ours = f"generation {own}, incarnation {Incarnation(*own_incarnation)}"
    if (generation, incarnation) < (own, own_incarnation):
        raise AbortedError(
            f"{who} is of {theirs}, but the shard is of {ours}: it is out of date and was "
            "dropped; pull again"
        )
    raise FailedPreconditionError(
        f"{who} is of {theirs}, but this shard is only of {ours}: it was replaced or rolled back "
        "without being told; find the shard's new address"
    )


def all_finite(values: np.ndarray) -> bool:
    """Whether no element is NaN or infinite; integers always are finite."""
    if values.dtype.kind not in "fV" and values.dtype.name != "bfloat16":
        return True
    if values.dtype in (np.float32, np.float64):
        flat = values.reshape(-1)
        # one pass without a temporary; only if it overflows is every element looked at
        with np.errstate(over="ignore"):
            if np.isfinite(np.dot(flat, flat)):
                return True
    return bool(np.isfinite(values).all())

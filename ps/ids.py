"""Names of things in the parameter server: batches, incarnations, variables, ranges.

A `BatchId` names data, an attempt (a plain int beside it) names one try at it. A range is a run
of rows of one variable: the unit of placement, ledger, snapshot and re-sharding. A *generation*
(a plain int) belongs to the whole job and is raised by every roll-back; an `Incarnation` belongs
to one shard and is raised whenever its set of replicas changes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import ml_dtypes
import numpy as np

from shardtape.errors import InvalidArgumentError, NotFoundError

ROLES = ("trained", "aggregated")

# (variable key, part number): the name of a range inside its placement
RangeId = tuple[str, int]


class BatchId(NamedTuple):
    """Names the data of one mini-batch, whoever computes it and however often.

    Fields: epoch >= 0; split >= 0 of that epoch; index >= 0 of the batch inside the split.
    """

    epoch: int
    split: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which nobody needs here

    def __str__(self) -> str:
        return f"batch {self.epoch}/{self.split}/{self.index}"


class Incarnation(NamedTuple):
    """Of a shard: the coordinator's term and a number that rises within it. Ordered as a tuple."""

    term: int
    number: int

    def __str__(self) -> str:
        return f"{self.term}.{self.number}"


# A try at a batch: what a contribution to a sync round is named by.
AttemptId = tuple[BatchId, int]


def dtype_of(name: str) -> np.dtype:
    """numpy's dtype of a name ("float32", "bfloat16", ...). Raises InvalidArgumentError."""
    if name == "bfloat16":
        return np.dtype(ml_dtypes.bfloat16)
    try:
        return np.dtype(name)
    except TypeError:
        raise InvalidArgumentError(f"unknown dtype {name!r}") from None


@dataclass(frozen=True, slots=True)
class VariableSpec:
    """What a variable is before it has values.

    Fields:
      key: unique in the job.
      shape: fully known.
      dtype: numpy's name, or "bfloat16".
      role: "trained" takes gradients; "aggregated" (moving averages) takes only parts of the kinds
        "add" and "assign", and has no optimizer slots.
    """

    key: str
    shape: tuple[int, ...]
    dtype: str
    role: str = "trained"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(size) for size in self.shape))
        if not self.key:
            raise InvalidArgumentError("a variable's key must not be empty")
        if any(size < 0 for size in self.shape):
            raise InvalidArgumentError(
                f"variable {self.key!r}: shape {self.shape} is not fully known"
            )
        if self.role not in ROLES:
            raise InvalidArgumentError(
                f"variable {self.key!r}: unknown role {self.role!r}, expected one of {ROLES}"
            )
        dtype_of(self.dtype)

    @property
    def rows(self) -> int:
        """Length of axis 0; a scalar has one row."""
        return self.shape[0] if self.shape else 1

    @property
    def row_bytes(self) -> int:
        return math.prod(self.shape[1:]) * dtype_of(self.dtype).itemsize

    @property
    def bytes(self) -> int:
        return self.rows * self.row_bytes


@dataclass(frozen=True, slots=True)
class Range:
    """Rows start..stop (stop excluded) of axis 0 of a variable, and the shard that holds them.

    A scalar is rows 0..1. Parts of a variable are numbered from 0 in the order of their rows.
    """

    key: str
    part: int
    start: int
    stop: int
    shard: int

    @property
    def id(self) -> RangeId:
        return (self.key, self.part)

    @property
    def rows(self) -> int:
        return self.stop - self.start

    def shape(self, spec: VariableSpec) -> tuple[int, ...]:
        """Shape of the range's own array; a scalar's is ()."""
        return (self.rows, *spec.shape[1:]) if spec.shape else ()


class SpecTable(dict[str, VariableSpec]):
    """Specs by key; a missing key raises NotFoundError that names it and what there is."""

    def __init__(self, specs: Iterable[VariableSpec]) -> None:
        super().__init__()
        for spec in specs:
            if spec.key in self:
                raise InvalidArgumentError(f"two variables have the key {spec.key!r}")
            self[spec.key] = spec

    def __missing__(self, key: str) -> VariableSpec:
        raise NotFoundError(f"unknown variable {key!r}: this job has {name_some(self)}")


def name_some(names: Iterable[object], limit: int = 8) -> str:
    """For error texts: the first few of the names, and how many more there are."""
    shown = [str(name) for name in names]
    if not shown:
        return "none"
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more

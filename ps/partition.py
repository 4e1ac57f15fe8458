"""Where the rows of each variable live: partitioners and the placement they give.

`place` is pure: the same specs, number of shards and partitioner give the same placement on every
machine, which `Placement.digest` lets two processes compare.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from shardtape.errors import InvalidArgumentError, NotFoundError
from shardtape.ps.ids import Range, SpecTable, VariableSpec, dtype_of, name_some

# `auto` cuts no part smaller than this: below it the cost of a part (a header, a ledger look-up, a
# few microseconds of Python) is more than what a second shard saves.
AUTO_MIN_PART_BYTES = 64 << 10

Partitioner = Callable[..., Sequence[int]]


def _size_bytes(dtype: Any, bytes_per_string: int) -> int:
    name = getattr(dtype, "name", None) or str(dtype)
    return bytes_per_string if name in ("string", "object", "str") else dtype_of(name).itemsize


def _check_axis(shape: Sequence[int], axis: int) -> tuple[int, ...]:
    shape = tuple(int(size) for size in shape)
    if not 0 <= axis < len(shape):
        raise InvalidArgumentError(f"cannot partition shape {shape} along axis {axis}")
    return shape


class FixedShardsPartitioner:
    """Cuts every variable into `num_shards` parts, or into single rows where it has fewer.

    `place` refuses the latter with an error, because who asks for a fixed number means it.
    """

    def __init__(self, num_shards: int) -> None:
        if num_shards < 1:
            raise InvalidArgumentError(f"num_shards must be >= 1, got {num_shards}")
        self.num_shards = num_shards

    def __call__(self, shape: Sequence[int], dtype: Any, axis: int = 0) -> list[int]:
        """Number of parts per axis of a variable of this shape."""
        shape = _check_axis(shape, axis)
        parts = [1] * len(shape)
        parts[axis] = min(self.num_shards, shape[axis])
        return parts


class MinSizePartitioner:
    """Cuts into at most `max_shards` parts of at least `min_shard_bytes` each."""

    def __init__(
        self, min_shard_bytes: int = 256 << 10, max_shards: int = 1, bytes_per_string: int = 16
    ) -> None:
        if min_shard_bytes < 1:
            raise InvalidArgumentError(f"min_shard_bytes must be >= 1, got {min_shard_bytes}")
        if max_shards < 1:
            raise InvalidArgumentError(f"max_shards must be >= 1, got {max_shards}")
        if bytes_per_string < 1:
            raise InvalidArgumentError(f"bytes_per_string must be >= 1, got {bytes_per_string}")
        self.min_shard_bytes = min_shard_bytes
        self.max_shards = max_shards
        self.bytes_per_string = bytes_per_string

    def __call__(self, shape: Sequence[int], dtype: Any, axis: int = 0) -> list[int]:
        """Number of parts per axis of a variable of this shape."""
        shape = _check_axis(shape, axis)
        total_bytes = math.prod(shape) * _size_bytes(dtype, self.bytes_per_string)
        parts = [1] * len(shape)
        wanted = math.ceil(total_bytes / self.min_shard_bytes)
        parts[axis] = max(1, min(shape[axis], self.max_shards, wanted))
        return parts


class MaxSizePartitioner:
    """Cuts into parts of at most `max_shard_bytes`, and into at most `max_shards` if given."""

    def __init__(
        self, max_shard_bytes: int, max_shards: int | None = None, bytes_per_string: int = 16
    ) -> None:
        if max_shard_bytes < 1:
            raise InvalidArgumentError(f"max_shard_bytes must be >= 1, got {max_shard_bytes}")
        if max_shards is not None and max_shards < 1:
            raise InvalidArgumentError(f"max_shards must be >= 1, got {max_shards}")
        if bytes_per_string < 1:
            raise InvalidArgumentError(f"bytes_per_string must be >= 1, got {bytes_per_string}")
        self.max_shard_bytes = max_shard_bytes
        self.max_shards = max_shards
        self.bytes_per_string = bytes_per_string

    def __call__(self, shape: Sequence[int], dtype: Any, axis: int = 0) -> list[int]:
        """Number of parts per axis of a variable of this shape."""
        shape = _check_axis(shape, axis)
        parts = [1] * len(shape)
        if math.prod(shape) == 0:
            return parts
        slice_bytes = math.prod(shape) // shape[axis]
        slice_bytes *= _size_bytes(dtype, self.bytes_per_string)
        slices_per_part = max(1, self.max_shard_bytes // slice_bytes)
        wanted = math.ceil(shape[axis] / slices_per_part)
        parts[axis] = wanted if self.max_shards is None else min(wanted, self.max_shards)
        return parts


@dataclass(frozen=True)
class Placement:
    """The ranges of a job: every row of every variable in exactly one of them.

    Fields:
      shards: number of shards, >= 1.
      ranges: sorted by (key, part).
    """

    shards: int
    ranges: tuple[Range, ...] = field(default=())

    @cached_property
    def _by_shard(self) -> list[tuple[Range, ...]]:
        return [tuple(r for r in self.ranges if r.shard == i) for i in range(self.shards)]

    @cached_property
    def _by_key(self) -> dict[str, tuple[Range, ...]]:
        found: dict[str, list[Range]] = {}
        for r in self.ranges:
            found.setdefault(r.key, []).append(r)
        return {key: tuple(ranges) for key, ranges in found.items()}

    def of_shard(self, index: int) -> tuple[Range, ...]:
        """The ranges of a shard, sorted by (key, part); may be empty. Raises NotFoundError."""
        if not 0 <= index < self.shards:
            raise NotFoundError(f"there is no shard {index}: the job has {self.shards}")
        return self._by_shard[index]

    def of_variable(self, key: str) -> tuple[Range, ...]:
        """The ranges of a variable, in the order of their rows. Raises NotFoundError."""
        try:
            return self._by_key[key]
        except KeyError:
            known = name_some(self._by_key)
            raise NotFoundError(f"unknown variable {key!r}: this job has {known}") from None

    def to_json(self) -> str:
        """A canonical text: equal placements give equal texts."""
        rows = [[r.key, r.part, r.start, r.stop, r.shard] for r in self.ranges]
        return json.dumps({"shards": self.shards, "ranges": rows}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Placement:
        """Reads `to_json`'s text. Raises InvalidArgumentError if it is none."""
        try:
            value = json.loads(text)
            return cls(int(value["shards"]), tuple(Range(*row) for row in value["ranges"]))
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidArgumentError(f"not a placement: {error}") from error

    def digest(self) -> str:
        """Hexadecimal SHA-256 of `to_json`."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def check(self, specs: Iterable[VariableSpec]) -> None:
        """Raises InvalidArgumentError unless the ranges cover every row of `specs` exactly once."""
        table = SpecTable(specs)
        for key in self._by_key:
            if key not in table:
                raise InvalidArgumentError(f"the placement has a variable {key!r} without a spec")
        for key, spec in table.items():
            at = 0
            for number, r in enumerate(self.of_variable(key)):
                if r.part != number or r.start != at or r.stop < r.start:
                    raise InvalidArgumentError(
                        f"variable {key!r}: part {r.part} has rows {r.start}..{r.stop}, "
                        f"expected part {number} from row {at}"
                    )
                if not 0 <= r.shard < self.shards:
                    raise InvalidArgumentError(
                        f"variable {key!r}: part {r.part} is on shard {r.shard} of {self.shards}"
                    )
                at = r.stop
            if at != spec.rows:
                raise InvalidArgumentError(
                    f"variable {key!r}: the placement ends at row {at} of {spec.rows}"
                )


def place(
    specs: Iterable[VariableSpec], shards: int, partitioner: str | Partitioner = "auto"
) -> Placement:
    """Cuts variables along axis 0 and gives each part a shard. Pure.

    Args:
      specs: the variables; their order does not matter.
      shards: >= 1.
      partitioner: "auto" balances bytes: a variable is cut evenly over all shards if each part has
        at least `AUTO_MIN_PART_BYTES`, over fewer if not, and stays whole when it is small; parts
        go to the shard that has the fewest bytes. Or a callable like TensorFlow's:
        (shape, dtype, axis=0) -> number of parts per axis, where only axis 0 may be cut. A scalar
        stays whole.

    Raises InvalidArgumentError: unknown partitioner, or FixedShards asks for more parts than a
      variable has rows.
    """
    if shards < 1:
        raise InvalidArgumentError(f"the number of shards must be >= 1, got {shards}")
    table = SpecTable(specs)
    pieces: list[tuple[int, str, int, int, int]] = []  # (-bytes, key, part, start, stop)
    for key in sorted(table):
        spec = table[key]
        bounds = _even_bounds(spec.rows, _part_count(spec, shards, partitioner))
        for part, (start, stop) in enumerate(bounds):
            pieces.append((-(stop - start) * spec.row_bytes, key, part, start, stop))
    # largest first onto the lightest shard, parts of one variable on different shards if possible
    load_bytes = [0] * shards
    holders: dict[str, list[int]] = {}
    ranges = []
    for minus_bytes, key, part, start, stop in sorted(pieces):
        own = holders.setdefault(key, [0] * shards)
        shard = min(range(shards), key=lambda i: (own[i], load_bytes[i], i))
        own[shard] += 1
        load_bytes[shard] -= minus_bytes
        ranges.append(Range(key, part, start, stop, shard))
    return Placement(shards, tuple(sorted(ranges, key=lambda r: r.id)))


def _part_count(spec: VariableSpec, shards: int, partitioner: str | Partitioner) -> int:
    if isinstance(partitioner, str):
        if partitioner != "auto":
            raise InvalidArgumentError(
                f'unknown partitioner {partitioner!r}: expected "auto" or a partitioner object'
            )
        if not spec.shape:
            return 1
        return max(1, min(shards, spec.rows, spec.bytes // AUTO_MIN_PART_BYTES))
    if not spec.shape:
        return 1
    if isinstance(partitioner, FixedShardsPartitioner) and partitioner.num_shards > spec.rows:
        raise InvalidArgumentError(
            f"variable {spec.key!r} of shape {spec.shape} has {spec.rows} rows, fewer than the "
            f"{partitioner.num_shards} shards that FixedShardsPartitioner asks for: use fewer "
            'shards, MinSizePartitioner or "auto"'
        )
    parts = [int(count) for count in partitioner(spec.shape, spec.dtype, axis=0)]
    if len(parts) != len(spec.shape) or any(count != 1 for count in parts[1:]):
        raise InvalidArgumentError(
            f"variable {spec.key!r} of shape {spec.shape}: the partitioner answered {parts}, "
            "expected one number per axis, and 1 for all but axis 0"
        )
    return max(1, min(parts[0], spec.rows))


def _even_bounds(rows: int, parts: int) -> list[tuple[int, int]]:
    """Cuts 0..rows into `parts` runs; the first `rows % parts` have one row more."""
    size, longer = divmod(rows, parts)
    bounds, start = [], 0
    for part in range(parts):
        stop = start + size + (part < longer)
        bounds.append((start, stop))
        start = stop
    return bounds

"""Distributed datasets: their elements are PerReplica values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import shapes
from shardtape.data import structure
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import Dataset, OneInput
from shardtape.data.leaves import cut, rows_of
from shardtape.data.run import Run
from shardtape.data.specs import NoneTensorSpec
from shardtape.distribute.values import PerReplica, PerReplicaSpec
from shardtape.graph.func_graph import TensorSpec
from shardtape.type_spec import TypeSpec


class DistributedDataset(OneInput):
    """What strategies of several replicas give for a dataset."""


class SplitDataset(DistributedDataset):
    """Each batch cut into one part for each replica.

    Of n rows replica i gets rows i*c to (i+1)*c with c = n / replicas, rounded up: the last parts
    are shorter, or empty.

    Args:
      input: a dataset of batches.
      replicas: their number.

    Raises ValueError for elements that are scalars.
    """

    def __init__(self, input: Dataset, replicas: int) -> None:
        self._replicas = replicas
        spec = structure.map_structure(lambda s: _split_spec(s, replicas), input.element_spec)
        super().__init__(input, spec)
        self._shown = "DistributedDataset"

    def _cardinality(self, run: Run) -> int:
        return self._input._cardinality(run)

    def _make_cursor(self, run: Run) -> Cursor:
        return _SplitCursor(self._input._cursor(run), self._input._type.specs, self._replicas)


class _SplitCursor(Cursor):
    def __init__(self, input: Cursor, specs: Sequence[TypeSpec], replicas: int) -> None:
        super().__init__(input)
        self._input, self._specs, self._replicas = input, specs, replicas

    def __next__(self) -> Leaves:
        leaves = next(self._input)
        return tuple([self._parts(s, x) for s, x in zip(self._specs, leaves)])

    def _parts(self, spec: TypeSpec, leaf: Any) -> PerReplica:
        if isinstance(spec, NoneTensorSpec):
            return PerReplica([None] * self._replicas)
        rows = rows_of(spec, leaf)
        parts = parts_of(rows, self._replicas)
        return PerReplica([structure.wrap_leaf(spec, cut(spec, leaf, *part)) for part in parts])

    def skip(self, count: int) -> int:
        return self._input.skip(count)


def parts_of(rows: int, replicas: int) -> list[tuple[int, int]]:
    """(first row, row after the last) of each replica's part of a batch."""
    size = -(-rows // replicas)
    return [(min(i * size, rows), min((i + 1) * size, rows)) for i in range(replicas)]


def _split_spec(spec: Any, replicas: int) -> PerReplicaSpec:
    if isinstance(spec, NoneTensorSpec):
        return PerReplicaSpec(*[spec] * replicas)
    if isinstance(spec, TensorSpec) and spec.shape.rank == 0:
        raise ValueError(
            "a strategy cuts the batches of a dataset into parts for its replicas, but elements "
            f"of this one have the scalar component {spec}: call `batch` on it first"
        )
    try:
        row = structure.unbatched_spec(spec)
    except TypeError as error:
        raise ValueError(f"a strategy cannot share {spec!r} among replicas: {error}") from None
    rows = spec.shape[0] if isinstance(spec, TensorSpec) and spec.shape.rank else None
    size = rows // replicas if rows is not None and rows % replicas == 0 else None
    if isinstance(spec, TensorSpec) and spec.shape.rank is None:
        made: TypeSpec = TensorSpec(shapes.TensorShape(None), spec.dtype)
    else:
        made = structure.batched_spec(row, size)
    return PerReplicaSpec(*[made] * replicas)


class FunctionDataset(DistributedDataset):
    """The next element of a dataset for each replica.

    Where the dataset ends in the middle, the replicas that get none have batches without rows; a
    dataset whose batches all have the same known size drops such a rest.
    """

    def __init__(self, input: Dataset, replicas: int) -> None:
        self._replicas = replicas
        spec = structure.map_structure(
            lambda s: PerReplicaSpec(*[s] * replicas), input.element_spec
        )
        super().__init__(input, spec)
        self._shown = "DistributedDatasetsFromFunction"
        self._pads = all(_may_be_empty(s) for s in input._type.specs)

    def _cardinality(self, run: Run) -> int:
        size = self._input._cardinality(run)
        if size < 0:
            return size
        return -(-size // self._replicas) if self._pads else size // self._replicas

    def _make_cursor(self, run: Run) -> Cursor:
        specs = self._input._type.specs
        return _TurnsCursor(self._input._cursor(run), specs, self._replicas, self._pads)


class _TurnsCursor(Cursor):
    def __init__(
        self, input: Cursor, specs: Sequence[TypeSpec], replicas: int, pads: bool
    ) -> None:  # fmt: skip
        super().__init__(input)
        self._input, self._specs, self._replicas, self._pads = input, specs, replicas, pads

    def __next__(self) -> Leaves:
        found = [next(self._input)]
        while len(found) < self._replicas:
            try:
                found.append(next(self._input))
            except StopIteration:
                if not self._pads:
                    raise
                found.append(
                    tuple([_without_rows(s, x) for s, x in zip(self._specs, found[0])])
                )  # fmt: skip
        return tuple([
            PerReplica([structure.wrap_leaf(s, x) for x in leaves])
            for s, leaves in zip(self._specs, zip(*found))
        ])  # fmt: skip


def _may_be_empty(spec: Any) -> bool:
    if not isinstance(spec, TensorSpec):
        return True
    return spec.shape.rank is None or (spec.shape.rank > 0 and spec.shape[0] is None)


def _without_rows(spec: Any, leaf: Any) -> Any:
    if isinstance(spec, NoneTensorSpec):
        return None
    if isinstance(spec, TensorSpec) and np.ndim(leaf) == 0:
        return leaf
    return cut(spec, leaf, 0, 0)

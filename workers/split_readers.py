"""One of many splits of a dataset or of an iterable: every so many-th batch."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from shardtape.data import Dataset
from shardtape.data.iterator import RunningIterator
from shardtape.data.run import BoundDataset
from shardtape.data.seeds import RunKey
from shardtape.data.structure import pack


class DatasetBatches:
    """The elements of a dataset as structures of arrays, without copies."""

    def __init__(self, dataset: Dataset, key: RunKey) -> None:
        self._spec = dataset.element_spec
        self._running = RunningIterator(BoundDataset(dataset, {}), key)

    def __iter__(self) -> DatasetBatches:
        return self

    def __next__(self) -> Any:
        return pack(self._spec, self._running.next())

    def skip(self, count: int) -> int:
        """Moves on by up to `count` batches; returns by how many."""
        return self._running.skip(count)


def batches_of(dataset: Dataset, seed: int) -> Callable[..., Iterable[Any]]:
    """A function of (split, of, epoch) over a dataset: every `of`-th batch."""

    def batches(split: int, of: int, epoch: int) -> Iterable[Any]:
        return DatasetBatches(dataset.shard(of, split), RunKey(seed, epoch))

    return batches


def slices_of(data: Any) -> Callable[..., Iterable[Any]]:
    """A function of (split, of) over an iterable: every `of`-th batch, beginning with `split`."""
    shard = getattr(data, "shard", None)
    if callable(shard):
        return lambda split, of: shard(of, split)
    return lambda split, of: itertools.islice(iter(data), split, None, of)

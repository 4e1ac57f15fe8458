"""Datasets in folders: `save`, `load`, `snapshot`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import errors, storage
from shardtape.data.caching import FileCacheDataset
from shardtape.data.cursor import Cursor, SequenceCursor
from shardtape.data.dataset import Dataset
from shardtape.data.elements_file import ElementWriter, read_elements, read_index, write_index
from shardtape.data.run import BoundDataset, Run
from shardtape.data.specs import DatasetSpec
from shardtape.data.tracing import TracedFunction, as_int64

_INDEX = "dataset.json"


def save_dataset(
    dataset: Dataset, path: Any, compression: str | None, shard_func: Callable[..., Any] | None
) -> None:
    """See `Dataset.save`."""
    compression = _compression(compression)
    storage.make_directory(path)
    specs = dataset._type.specs
    run = Run(deterministic=dataset.options().deterministic)
    number_of = None
    if shard_func is not None:
        traced = TracedFunction(as_int64(shard_func), dataset.element_spec, "shard_func")
        number_of = traced.bind(run)
    writers: dict[int, ElementWriter] = {}
    cursor = dataset._cursor(run)
    try:
        for leaves in cursor:
            number = 0 if number_of is None else int(number_of(leaves)[0])
            if number not in writers:
                writers[number] = ElementWriter(_file(path, number), specs, compression)
            writers[number].write(leaves)
        for writer in writers.values():
            writer.finish()
    finally:
        cursor.close()
        for writer in writers.values():
            writer.abandon()
    counts = {str(n): w.count for n, w in sorted(writers.items())}
    index = storage.join(path, _INDEX)
    storage.remove(index)
    write_index(index, dataset.element_spec, compression=compression, files=counts)


def _file(path: Any, number: int) -> str:
    return storage.join(path, f"elements-{number:05d}.tfrecord")


def _compression(compression: str | None) -> str:
    if compression in (None, "", "AUTO", "SNAPPY", "NONE"):
        return ""  # snappy would need a library of its own
    if compression == "GZIP":
        return "GZIP"
    raise errors.InvalidArgumentError(f"Unsupported compression: {compression!r}")


def load_dataset(
    path: Any, element_spec: Any, compression: Any, reader_func: Callable[..., Any] | None
) -> Dataset:
    """See `Dataset.load`."""
    index = storage.join(path, _INDEX)
    if storage.size_bytes(index) is None:
        raise errors.NotFoundError(f"{path} holds no saved dataset: there is no {_INDEX} in it")
    found = read_index(index)
    spec = found["spec"] if element_spec is None else element_spec
    parts: Any = [
        SavedDataset(_file(path, int(n)), spec, found["compression"], count)
        for n, count in found["files"].items()
    ]
    if reader_func is not None:
        return reader_func(NestedDataset(DatasetSpec(spec), parts))
    if len(parts) == 1:
        return parts[0]
    nested = NestedDataset(DatasetSpec(spec), parts)
    return nested.interleave(lambda d: d, cycle_length=len(parts))


class NestedDataset(Dataset):
    """Datasets as elements."""

    _shown = "_TensorSliceDataset"

    def __init__(self, spec: Any, datasets: list[Dataset]) -> None:
        super().__init__(spec)
        self._datasets = datasets

    def _cardinality(self, run: Run) -> int:
        return len(self._datasets)

    def _make_cursor(self, run: Run) -> Cursor:
        return SequenceCursor(iter([(BoundDataset(d, {}),) for d in self._datasets]))


class SavedDataset(Dataset):
    """The elements of one file."""

    _shown = "_LoadDataset"

    def __init__(self, path: str, spec: Any, compression: str, count: int) -> None:
        super().__init__(spec)
        self._path, self._compression, self._count = path, compression, count

    def _cardinality(self, run: Run) -> int:
        return self._count

    def _make_cursor(self, run: Run) -> Cursor:
        elements = read_elements(self._path, self._type.specs, self._compression)
        return SequenceCursor(elements, elements.close)  # type: ignore[attr-defined]


class SnapshotDataset(FileCacheDataset):
    """The elements of the first whole iteration, in a folder."""

    _shown = "_MapDataset"


def snapshot(
    dataset: Dataset, path: Any, compression: Any, reader_func: Any, shard_func: Any
) -> Dataset:
    """See `Dataset.snapshot`. The compression is accepted; elements are stored as they are."""
    if reader_func is not None or shard_func is not None:
        raise errors.UnimplementedError(
            "snapshot takes no reader_func and no shard_func here: use Dataset.save and "
            "Dataset.load, which do"
        )
    if compression not in (None, "AUTO", "GZIP", "SNAPPY", ""):
        raise errors.InvalidArgumentError(f"Unsupported compression: {compression!r}")
    return SnapshotDataset(dataset, storage.join(path, "snapshot"))

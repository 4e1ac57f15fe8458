"""`cache`: the elements of the first whole iteration, in memory or in a file."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from shardtape import storage
from shardtape.context import state
from shardtape.data.cursor import Cursor, Leaves, SequenceCursor
from shardtape.data.dataset import UNKNOWN, Dataset, OneInput
from shardtape.data.elements_file import DATA, INDEX, ElementWriter, read_elements, read_index
from shardtape.data.elements_file import write_index as write_file_index
from shardtape.data.leaves import stack
from shardtape.data.rows import ArrayRows, Rows
from shardtape.data.run import Run
from shardtape.io.files import text_of
from shardtape.tensor import EagerTensor, SymbolicTensor


def cache(dataset: Dataset, filename: Any) -> Dataset:
    """See `Dataset.cache`."""
    if isinstance(filename, SymbolicTensor):
        raise TypeError("`filename` must be known when the dataset is made")
    name = text_of(filename.numpy() if isinstance(filename, EagerTensor) else filename)
    return FileCacheDataset(dataset, name) if name else CacheDataset(dataset)


class Store:
    """The elements of a dataset, once all of them were seen."""

    def __init__(self) -> None:
        self.elements: list[Leaves] | None = None
        self.rows: Rows | None = None
        self._lock = threading.Lock()

    def fill(self, elements: list[Leaves], specs: Sequence[Any]) -> None:
        """Keeps the elements; as arrays of rows where they are all of one shape."""
        with self._lock:
            if self.elements is not None or self.rows is not None:
                return
            self.rows = _as_rows(elements, specs)
            self.elements = None if self.rows is not None else elements

    def __getstate__(self) -> dict[str, Any]:
        return {}  # it is filled again where it is needed

    def __setstate__(self, stored: dict[str, Any]) -> None:
        self.__init__()  # type: ignore[misc]


def _as_rows(elements: list[Leaves], specs: Sequence[Any]) -> Rows | None:
    if not elements or not all(hasattr(x, "dtype") and hasattr(x, "ndim") for x in elements[0]):
        return None
    columns = list(zip(*elements))
    if any(x.shape != column[0].shape for column in columns for x in column):
        return None
    return Rows(ArrayRows([stack(s, c) for s, c in zip(specs, columns)]))


class CacheDataset(OneInput):
    """The input, computed once."""

    _shown = "CacheDataset"

    def __init__(self, input: Dataset) -> None:
        super().__init__(input)
        self.is_template = state.graph is not None
        self._own = None if self.is_template else Store()

    def _store(self, run: Run) -> Store:
        return self._own or run.shared(self, Store)

    def _cardinality(self, run: Run) -> int:
        return self._input._cardinality(run)

    def _rows(self, run: Run) -> Rows | None:
        # rows of arrays in memory need no second copy
        return self._input._rows(run) or self._store(run).rows

    def _make_cursor(self, run: Run) -> Cursor:
        store = self._store(run)
        if store.elements is not None:
            return SequenceCursor(iter(store.elements))
        # what is kept must not depend on the epoch in which it was first needed
        cursor = self._input._cursor(run.frozen(self))
        return CacheCursor(cursor, store, self._type.specs, self._input._cardinality(run))


class CacheCursor(Cursor):
    """Gives the input's elements and remembers them; all of them are `count`, where it is known."""

    def __init__(self, input: Cursor, store: Store, specs: Sequence[Any], count: int) -> None:
        super().__init__(input)
        self._count = count
        self._next, self._store, self._specs = input.__next__, store, specs
        self._seen: list[Leaves] | None = []

    def __next__(self) -> Leaves:
        try:
            found = self._next()
        except StopIteration:
            self._keep()
            raise
        if self._seen is not None:
            self._seen.append(found)
            if len(self._seen) == self._count:  # whoever reads no further has read all
                self._keep()
        return found

    def _keep(self) -> None:
        if self._seen is not None:
            self._store.fill(self._seen, self._specs)
            self._seen = None


class FileCacheDataset(OneInput):
    """The input, computed once and kept in files that begin with `filename`."""

    _shown = "CacheDataset"

    def __init__(self, input: Dataset, filename: str) -> None:
        super().__init__(input)
        self._filename = filename

    def _cardinality(self, run: Run) -> int:
        size = self._input._cardinality(run)
        index = self._filename + INDEX
        if size == UNKNOWN and storage.size_bytes(index) is not None:
            return int(read_index(index)["elements"])
        return size

    def _make_cursor(self, run: Run) -> Cursor:
        specs = self._type.specs
        if storage.size_bytes(self._filename + INDEX) is not None:
            elements = read_elements(self._filename + DATA, specs)
            return SequenceCursor(elements, elements.close)  # type: ignore[attr-defined]
        cursor = self._input._cursor(run.frozen(self))
        return FileCacheCursor(cursor, self._filename, self.element_spec, specs)


class FileCacheCursor(Cursor):
    """Gives the input's elements and writes them; the index follows at the end."""

    def __init__(self, input: Cursor, filename: str, spec: Any, specs: Sequence[Any]) -> None:
        super().__init__(input)
        self._next, self._filename, self._spec, self._specs = (
            input.__next__, filename, spec, specs,
        )  # fmt: skip
        self._writer: ElementWriter | None = None
        self._whole = False

    def __next__(self) -> Leaves:
        if self._writer is None and not self._whole:
            folder = storage.split(self._filename)[0]
            storage.make_directory(folder)
            self._writer = ElementWriter(self._filename + DATA, self._specs)
        try:
            found = self._next()
        except StopIteration:
            self._finish()
            raise
        if self._writer is not None:
            self._writer.write(found)
        return found

    def _finish(self) -> None:
        if self._writer is None:
            return
        writer, self._writer, self._whole = self._writer, None, True
        writer.finish()
        write_file_index(self._filename + INDEX, self._spec, elements=writer.count)

    def close(self) -> None:
        if self._writer is not None:
            self._writer.abandon()
            self._writer, self._whole = None, True
        super().close()

    def __del__(self) -> None:
        if self._writer is not None:
            self._writer.abandon()

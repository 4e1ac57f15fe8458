"""Datasets of records in files: lines, TFRecords, records of fixed length; names of files."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.data.cursor import Cursor, LazyCursor, Leaves
from shardtape.data.dataset import UNKNOWN, Dataset
from shardtape.data.elements_file import open_decompressed
from shardtape.data.interleaving import InterleaveCursor
from shardtape.data.parallel import AUTOTUNE, turns
from shardtape.data.prefetching import PrefetchCursor
from shardtape.data.run import Run, scalar
from shardtape.data.structure import string_scalar
from shardtape.graph.func_graph import TensorSpec
from shardtape.io.files import matching, text_of
from shardtape.ops.convert import convert_to_tensor
from shardtape.records.record_reader import read_records
from shardtape.tensor import EagerTensor, SymbolicTensor

_BLOCK_BYTES = 1 << 18
_AHEAD = 64  # records that a thread reads ahead in a file


class Reader(Protocol):
    """How a kind of file is read."""

    def records(self, path: str) -> Iterator[bytes]:
        """The records of a file, in order."""


class FilesDataset(Dataset):
    """The records of files, one file after the other or several in turn.

    Args:
      filenames: a string, several of them, or a dataset of strings.
      parallel: files that take turns, each read ahead by a thread of its own.
    """

    def __init__(self, filenames: Any, reader: Reader, parallel: Any, spec: Any = None) -> None:
        super().__init__(TensorSpec([], dt.string) if spec is None else spec)
        self._names = names_dataset(filenames)
        self._reader = reader
        self._parallel = None if parallel is None else scalar(parallel, "num_parallel_reads")

    def _inputs(self) -> Sequence[Dataset]:
        return (self._names,)

    def _parameters(self) -> Sequence[Any]:
        return (self._parallel,)

    def _cardinality(self, run: Run) -> int:
        return UNKNOWN

    def _open(self, leaves: Leaves) -> Cursor:
        """A cursor over the records of a file."""
        return RecordsCursor(self._reader.records(text_of(leaves[0])))

    def _open_ahead(self, cursor: Cursor) -> Cursor:
        ahead = PrefetchCursor(cursor, _AHEAD)
        ahead.start()
        return ahead

    def _make_cursor(self, run: Run) -> Cursor:
        names = self._names._cursor(run)
        if self._parallel is None:
            return FilesCursor(names, self._open)
        parallel = run.number(self._parallel)
        cycle = turns(run) if parallel == AUTOTUNE else parallel
        return InterleaveCursor(names, lambda x: (self._open(x),), self._open_ahead, cycle, 1)


class RecordsCursor(Cursor):
    """Strings one by one, or many at once for a batch."""

    def __init__(self, records: Iterator[bytes]) -> None:
        super().__init__()
        self._records = records

    def __next__(self) -> Leaves:
        return (string_scalar(next(self._records)),)

    def strings(self, count: int) -> list[bytes]:
        return list(itertools.islice(self._records, count))

    def skip(self, count: int) -> int:
        return len(self.strings(count))

    def close(self) -> None:
        self._records.close()  # type: ignore[attr-defined]


class FilesCursor(LazyCursor):
    """The records of files, one file after the other."""

    def __init__(self, names: Cursor, open_one: Callable[[Leaves], Cursor]) -> None:
        super().__init__(functools.partial(open_one, leaves) for leaves in names)
        self.inputs = (names,)

    def strings(self, count: int) -> list[bytes] | None:
        found: list[bytes] = []
        while len(found) < count:
            try:
                current = self._advance()
            except StopIteration:
                break
            more = current.strings(count - len(found))
            if more is None:
                return None
            found.extend(more)
            if len(found) < count:
                self._leave()
        return found


def names_dataset(filenames: Any) -> Dataset:
    """A dataset of names. Raises TypeError for what is no string."""
    if isinstance(filenames, Dataset):
        spec = filenames.element_spec
        if not isinstance(spec, TensorSpec) or spec.dtype is not dt.string:
            raise TypeError(
                "The `filenames` argument must contain `tf.string` elements. Got a dataset of "
                f"`{spec}` elements."
            )
        if spec.shape.rank not in (0, None):
            raise TypeError(
                f"The `filenames` argument must contain scalar elements, got shape {spec.shape}"
            )
        return filenames
    names = _strings(filenames)
    if names.dtype is not dt.string:
        raise TypeError(
            "The `filenames` argument must contain `tf.string` elements. Got "
            f"`{names.dtype!r}` elements."
        )
    if type(names) is SymbolicTensor:
        from shardtape.ops.array import reshape

        return Dataset.from_tensor_slices(reshape(names, [-1]))
    return Dataset.from_tensor_slices(EagerTensor(np.reshape(names._host(), -1)))  # type: ignore


def _strings(filenames: Any) -> Any:
    """Names as a tensor; paths too."""
    from shardtape.context import building

    if isinstance(filenames, (SymbolicTensor, EagerTensor)):
        return filenames
    if hasattr(filenames, "__fspath__"):
        filenames = str(filenames)
    elif isinstance(filenames, (list, tuple)) and not any(
        isinstance(f, SymbolicTensor) for f in filenames
    ):
        filenames = [str(f) if hasattr(f, "__fspath__") else f for f in filenames]
        if not filenames:
            filenames = np.empty(0, object)
    if isinstance(filenames, (list, tuple)) and any(
        isinstance(f, SymbolicTensor) for f in filenames
    ):
        return convert_to_tensor(filenames)
    with building(None):
        return convert_to_tensor(filenames)


def _compression(compression_type: Any) -> str:
    if compression_type is None:
        return ""
    return text_of(convert_to_tensor(compression_type).numpy() if isinstance(
        compression_type, EagerTensor) else compression_type)  # fmt: skip


# ---- kinds of files -----------------------------------------------------------------------------
@dataclass(frozen=True)
class LineReader:
    """Lines without their ends; a carriage return before the end is taken off too."""

    compression: str = ""
    block_bytes: int = _BLOCK_BYTES

    def records(self, path: str) -> Iterator[bytes]:
        with open_decompressed(path, self.compression) as file:
            rest = b""
            while True:
                block = file.read(self.block_bytes)
                if not block:
                    break
                lines = (rest + block).split(b"\n")
                rest = lines.pop()
                for line in lines:
                    yield line[:-1] if line.endswith(b"\r") else line
            if rest:
                yield rest[:-1] if rest.endswith(b"\r") else rest


@dataclass(frozen=True)
class TFRecordReader:
    """Records with checksums."""

    compression: str = ""
    block_bytes: int = _BLOCK_BYTES

    def records(self, path: str) -> Iterator[bytes]:
        with open_decompressed(path, self.compression) as file:
            yield from read_records(file, path, self.block_bytes)


@dataclass(frozen=True)
class FixedLengthReader:
    """Records of equal length between a header and a footer."""

    record_bytes: int
    header_bytes: int = 0
    footer_bytes: int = 0
    compression: str = ""

    def records(self, path: str) -> Iterator[bytes]:
        size = self.record_bytes
        with open_decompressed(path, self.compression) as file:
            file.read(self.header_bytes)
            data = b""
            while True:
                block = file.read(max(_BLOCK_BYTES, size))
                data += block
                usable = len(data) - self.footer_bytes
                at = 0
                while at + size <= usable:
                    yield data[at : at + size]
                    at += size
                data = data[at:]
                if not block:
                    break
            if len(data) != self.footer_bytes:
                raise errors.InvalidArgumentError(
                    f"Excess data in {path}: it does not hold a whole number of records of {size} "
                    f"bytes between {self.header_bytes} bytes of header and {self.footer_bytes} "
                    "of footer"
                )


class TextLineDataset(FilesDataset):
    """The lines of text files.

    Args:
      filenames: a name, several, or a dataset of names; remote ones go through fsspec.
      compression_type: "", "GZIP" or "ZLIB".
      num_parallel_reads: files that are read at the same time.
    """

    _shown = "TextLineDatasetV2"

    def __init__(
        self,
        filenames: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        num_parallel_reads: Any = None,
        name: str | None = None,
    ) -> None:
        size = int(buffer_size) if buffer_size else _BLOCK_BYTES
        reader = LineReader(_compression(compression_type), size)
        super().__init__(filenames, reader, num_parallel_reads)


class TFRecordDataset(FilesDataset):
    """The records of TFRecord files; see `TextLineDataset` for the arguments.

    Iterating raises DataLossError for a broken file; the text says where.
    """

    _shown = "TFRecordDatasetV2"

    def __init__(
        self,
        filenames: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        num_parallel_reads: Any = None,
        name: str | None = None,
    ) -> None:
        size = int(buffer_size) if buffer_size else _BLOCK_BYTES
        reader = TFRecordReader(_compression(compression_type), size)
        super().__init__(filenames, reader, num_parallel_reads)


class FixedLengthRecordDataset(FilesDataset):
    """Records of `record_bytes` each; see `TextLineDataset` for the other arguments.

    Args:
      header_bytes, footer_bytes: what is left out at both ends of a file.
    """

    _shown = "FixedLengthRecordDatasetV2"

    def __init__(
        self,
        filenames: Any,
        record_bytes: Any,
        header_bytes: Any = None,
        footer_bytes: Any = None,
        buffer_size: Any = None,
        compression_type: Any = None,
        num_parallel_reads: Any = None,
        name: str | None = None,
    ) -> None:
        record, header, footer = (int(n or 0) for n in (record_bytes, header_bytes, footer_bytes))
        if record < 1:
            raise errors.InvalidArgumentError(f"`record_bytes` must be positive, got {record}")
        reader = FixedLengthReader(record, header, footer, _compression(compression_type))
        super().__init__(filenames, reader, num_parallel_reads)


# ---- names of files -----------------------------------------------------------------------------
def list_files(file_pattern: Any, shuffle: bool | None, seed: Any) -> Dataset:
    """See `Dataset.list_files`."""
    patterns = _strings(file_pattern)
    if type(patterns) is SymbolicTensor:
        from shardtape.io.files import matching_files

        names: Any = matching_files(patterns)
        dataset: Dataset = Dataset.from_tensor_slices(names)
        size: Any = dt.int64.max
    else:
        found = matching([text_of(p) for p in np.reshape(patterns._host(), -1)])
        if not found:
            shown = ", ".join(text_of(p) for p in np.reshape(patterns._host(), -1))
            raise errors.InvalidArgumentError(f"No files matched pattern: {shown}")
        array = np.empty(len(found), object)
        array[:] = [name.encode() for name in found]
        dataset = Dataset.from_tensor_slices(EagerTensor(array))
        size = len(found)
    return dataset.shuffle(size, seed=seed) if shuffle is None or shuffle else dataset

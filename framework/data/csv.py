"""Datasets out of csv files."""

from __future__ import annotations

import csv
import gzip
import io
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, storage
from shardtape.context import building
from shardtape.data.cursor import Cursor, Leaves, SequenceCursor
from shardtape.data.dataset import Dataset
from shardtape.data.elements_file import open_decompressed
from shardtape.data.parallel import AUTOTUNE
from shardtape.data.readers import FilesDataset
from shardtape.data.structure import string_scalar
from shardtape.graph.func_graph import TensorSpec
from shardtape.io.csv_fields import Column, Format, columns_of, records_of
from shardtape.io.decoding import column_of, default_tensors
from shardtape.io.files import matching, text_of

_BLOCK_BYTES = 1 << 18


class CsvReader:
    """The records of a csv file."""

    def __init__(self, compression: str, header: bool, quotes: bool, block_bytes: int) -> None:
        self._compression, self._header = compression, header
        self._quotes, self._block_bytes = quotes, block_bytes

    def records(self, path: str) -> Iterator[bytes]:
        with open_decompressed(path, self._compression) as file:
            blocks = iter(lambda: file.read(self._block_bytes), b"")
            records = records_of(blocks, self._quotes)
            if self._header and next(records, None) is None:
                raise errors.InvalidArgumentError(f"Can't read header of {path}")
            yield from records


class CsvDataset(FilesDataset):
    """The records of csv files, as tuples of scalars.

    Args:
      filenames: a name or several.
      record_defaults: one per column: see `tf.io.decode_csv`.
      compression_type: "", "GZIP" or "ZLIB".
      header: leave out the first line of each file.
      select_cols, exclude_cols: increasing numbers of the columns that are (not) wanted.
    """

    _shown = "CsvDatasetV2"

    def __init__(
        self,
        filenames: Any,
        record_defaults: Sequence[Any],
        compression_type: Any = None,
        buffer_size: Any = None,
        header: bool = False,
        field_delim: str = ",",
        use_quote_delim: bool = True,
        na_value: str = "",
        select_cols: Sequence[int] | None = None,
        exclude_cols: Sequence[int] | None = None,
    ) -> None:
        if select_cols is not None and exclude_cols is not None:
            raise errors.InvalidArgumentError(
                "Either select_cols or exclude_cols should be empty, but not both."
            )
        for name, cols in (("select_cols", select_cols), ("exclude_cols", exclude_cols)):
            if cols is not None and any(b <= a for a, b in zip(cols, cols[1:])):
                raise errors.InvalidArgumentError(f"{name} should be strictly increasing indices")
        if not len(record_defaults):
            raise errors.InvalidArgumentError("record_defaults needs one entry for each column")
        with building(None):
            defaults = default_tensors(record_defaults)
        self._columns: list[Column] = [column_of(d._host()) for d in defaults]  # type: ignore
        self._form = Format(field_delim.encode(), bool(use_quote_delim), na_value.encode())
        self._select = None if select_cols is None else [int(c) for c in select_cols]
        self._exclude = None if exclude_cols is None else {int(c) for c in exclude_cols}
        reader = CsvReader(
            compression_type or "",
            bool(header),
            self._form.quotes,
            int(buffer_size or _BLOCK_BYTES),
        )
        spec = tuple([TensorSpec([], c.dtype) for c in self._columns])
        super().__init__(filenames, reader, None, spec)
        self._strings = [c.dtype is dt.string for c in self._columns]

    def _open(self, leaves: Leaves) -> Cursor:
        records = self._reader.records(text_of(leaves[0]))
        elements = _CsvElements(self._parsed, records)
        return SequenceCursor(elements, records.close)  # type: ignore[attr-defined]

    def _parsed(self, record: bytes) -> Leaves:
        selected = self._select
        if self._exclude is not None:
            count = len(self._columns) + len(self._exclude)
            selected = [i for i in range(count) if i not in self._exclude]
        found = columns_of([record], self._columns, self._form, selected)
        return tuple([string_scalar(a[0]) if s else a[0] for a, s in zip(found, self._strings)])


class _CsvElements:
    """Parses record by record; one that is wrong raises, and the next call goes on behind it."""

    def __init__(self, parse: Callable[[bytes], Leaves], records: Iterator[bytes]) -> None:
        self._parsed, self._records = parse, records

    def __iter__(self) -> _CsvElements:
        return self

    def __next__(self) -> Leaves:
        return self._parsed(next(self._records))


# ---- make_csv_dataset ---------------------------------------------------------------------------
def make_csv_dataset(
    file_pattern: Any,
    batch_size: int,
    column_names: Sequence[str] | None = None,
    column_defaults: Sequence[Any] | None = None,
    label_name: str | None = None,
    select_columns: Sequence[Any] | None = None,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    header: bool = True,
    num_epochs: int | None = None,
    shuffle: bool = True,
    shuffle_buffer_size: int = 10000,
    shuffle_seed: int | None = None,
    prefetch_buffer_size: int | None = None,
    num_parallel_reads: int | None = None,
    sloppy: bool = False,
    num_rows_for_inference: int | None = 100,
    compression_type: str | None = None,
    ignore_errors: bool = False,
    encoding: str = "utf-8",
) -> Dataset:
    """Batches of csv files: a dict of columns, or (dict, label column).

    Args:
      file_pattern: a pattern or several.
      column_names: default: the first line of the files.
      column_defaults: types or defaults; default: found in the first rows.
      label_name: the column that is the label.
      select_columns: names or numbers of the wanted columns.
      num_epochs: None: for ever, in batches of a known size.
      shuffle: order of files and records; see `Dataset.shuffle`.

    Raises:
      ValueError: no such file, names that are missing or occur twice.
    """
    files = _matched(file_pattern)
    names_of_files: Dataset = Dataset.from_tensor_slices(files)
    if shuffle:
        names_of_files = names_of_files.shuffle(len(files), shuffle_seed)
    look = _Lookup(files, field_delim, use_quote_delim, compression_type, encoding)
    if column_names is None:
        if not header:
            raise ValueError("Expected `column_names` or `header` arguments. Neither is provided.")
        column_names = look.header()
    names = list(column_names)
    if len(set(names)) != len(names):
        twice = {n for n in names if names.count(n) > 1}
        raise ValueError(
            "Either `column_names` argument or CSV header row contains duplicate column names: "
            f"{twice}."
        )
    selected = None if select_columns is None else _numbers(select_columns, names)
    if column_defaults is None:
        column_defaults = look.defaults(
            selected or list(range(len(names))), len(names), header, na_value,
            num_rows_for_inference,
        )  # fmt: skip
    if selected is not None:
        if len(column_defaults) != len(selected):
            raise ValueError(
                "If specified, `column_defaults` and `select_columns` must have the same length: "
                f"`column_defaults` has length {len(column_defaults)}, `select_columns` has length "
                f"{len(selected)}."
            )
        names = [names[i] for i in selected]
    if label_name is not None and label_name not in names:
        raise ValueError(
            f"`label_name` provided must be one of the columns: {names}. Received: {label_name}."
        )

    def of_file(name: Any) -> Dataset:
        made: Dataset = CsvDataset(
            name, column_defaults, compression_type, None, header, field_delim, use_quote_delim,
            na_value, selected,
        )  # fmt: skip
        return made.ignore_errors() if ignore_errors else made

    def by_name(*columns: Any) -> Any:
        features = OrderedDict(zip(names, columns))
        if label_name is None:
            return features
        label = features.pop(label_name)
        return features, label

    parallel = 1 if num_parallel_reads is None else num_parallel_reads
    if parallel == 1:
        records = names_of_files.flat_map(of_file)
    else:
        records = names_of_files.interleave(
            of_file,
            cycle_length=None if parallel == AUTOTUNE else parallel,
            num_parallel_calls=parallel,
            deterministic=not sloppy,
        )
    if shuffle:
        records = records.shuffle(shuffle_buffer_size, shuffle_seed)
    if num_epochs != 1:
        records = records.repeat(num_epochs)
    batches = records.batch(batch_size, drop_remainder=num_epochs is None).map(by_name)
    return batches.prefetch(AUTOTUNE if prefetch_buffer_size is None else prefetch_buffer_size)


def _matched(file_pattern: Any) -> list[str]:
    if isinstance(file_pattern, (list, tuple)):
        if not file_pattern:
            raise ValueError("Argument `file_pattern` should not be empty.")
        patterns = [str(p) for p in file_pattern]
    else:
        patterns = [str(file_pattern)]
    found = matching(patterns)
    if not found:
        raise ValueError(f"No files match `file_pattern` {file_pattern}.")
    return found


def _numbers(select_columns: Sequence[Any], names: list[str]) -> list[int]:
    found = []
    for column in select_columns:
        if isinstance(column, int):
            if not 0 <= column < len(names):
                raise ValueError(
                    f"Column index {column} specified in `select_columns` should be >= 0 and < "
                    f"{len(names)}, which is the number of columns."
                )
            found.append(column)
        elif column not in names:
            raise ValueError(
                f"Column {column} specified in `select_columns` must be of one of the columns: "
                f"{names}."
            )
        else:
            found.append(names.index(column))
    if len(set(found)) != len(found):
        twice = {names[i] for i in found if found.count(i) > 1}
        raise ValueError(f"The `select_columns` argument contains duplicate columns: {twice}.")
    return sorted(found)


class _Lookup:
    """Finds out names and types of columns from the first lines of files."""

    def __init__(
        self, files: list[str], delimiter: str, quotes: bool, compression: str | None,
        encoding: str,
    ) -> None:  # fmt: skip
        if compression not in (None, "", "GZIP"):
            raise ValueError(
                f"`compression_type` {compression} is not supported for probing columns."
            )
        self._files, self._compression, self._encoding = files, compression, encoding
        self._options: Any = {
            "delimiter": delimiter,
            "quoting": csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE,
        }

    def _rows(self, path: str) -> Iterator[list[str]]:
        with storage.open_read(path) as file:
            raw: Any = gzip.GzipFile(fileobj=file) if self._compression == "GZIP" else file
            with io.TextIOWrapper(raw, self._encoding, newline="") as text:
                yield from csv.reader(text, **self._options)

    def header(self) -> list[str]:
        """Names in the first line, which all files share."""
        found: list[str] | None = None
        for path in self._files:
            first = next(self._rows(path), None)
            if first is None:
                raise ValueError(
                    f"Failed when reading the header line of {path}. Is it an empty file?"
                )
            if found is not None and first != found:
                raise ValueError(
                    "All input CSV files should have the same column names in the header row. "
                    f"File {path} has different column names."
                )
            found = first
        return found or []

    def defaults(
        self, columns: list[int], count: int, header: bool, na_value: str, limit: int | None
    ) -> list[Any]:
        """One value per column: 0 of the narrowest type that all rows fit, or ""."""
        types: list[int | None] = [None] * len(columns)
        seen = 0
        for path in self._files:
            rows = self._rows(path)
            if header:
                next(rows, None)
            for number, row in enumerate(rows, 1 + header):
                if limit is not None and seen >= limit:
                    break
                if len(row) != count:
                    raise ValueError(
                        f"Problem inferring types: CSV row {number} has {len(row)} number of "
                        f"fields. Expected: {count}."
                    )
                seen += 1
                for j, i in enumerate(columns):
                    if row[i] not in ("", na_value):
                        types[j] = max(types[j] or 0, _narrowest(row[i]))
        made = [_TYPES[len(_TYPES) - 1 if t is None else t] for t in types]
        return [
            np.array([b""], object) if t is dt.string else np.zeros(1, t.numpy_dtype) for t in made
        ]


# from the narrowest type to the widest
_TYPES = (dt.int32, dt.int64, dt.float32, dt.float64, dt.string)


def _narrowest(text: str) -> int:
    """Position in `_TYPES` of the first type that can hold the value."""
    try:
        value = int(text)
        for i, limit in enumerate((31, 63)):
            if -(1 << limit) <= value < 1 << limit:
                return i
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return 4
    infinite = np.isinf(number)
    fits = infinite or np.isnan(number) or abs(number) <= np.finfo(np.float32).max
    return 2 if fits else 3

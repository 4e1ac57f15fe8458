"""Elements in files: a TFRecord per element, and an index that says what they are.

Layout of a record: uint32 number of tensors, for each its length in bytes as uint64, then the
serialised TensorProtos; little-endian. The index is JSON and written last, so that a file without
one is not whole.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors, nest, storage
from shardtape.data import structure
from shardtape.data.cursor import Leaves
from shardtape.data.specs import NoneTensorSpec
from shardtape.data.tracing import component_arrays, leaf_of_arrays
from shardtape.graph.func_graph import TensorSpec
from shardtape.io import tensor_proto
from shardtape.io.writer import ZlibFile
from shardtape.records.record_reader import read_records
from shardtape.records.record_writer import RecordWriter
from shardtape.type_spec import TypeSpec

INDEX, DATA = ".index", ".data-00000-of-00001"
_VERSION = 1
_RECORDS_AT_ONCE = 64


def encode(specs: Sequence[TypeSpec], leaves: Leaves) -> bytes:
    """The record of an element."""
    parts = [
        tensor_proto.encode(a)
        for spec, leaf in zip(specs, leaves)
        for a in component_arrays(spec, leaf)
    ]
    sizes = struct.pack(f"<I{len(parts)}Q", len(parts), *map(len, parts))
    return b"".join([sizes, *parts])


def decode(specs: Sequence[TypeSpec], record: bytes) -> Leaves:
    """The leaves of a record. Raises DataLossError where it does not fit the specs."""
    (count,) = struct.unpack_from("<I", record)
    wanted = [part for spec in specs for part in spec._component_specs]
    if count != len(wanted):
        raise errors.DataLossError(f"an element of {count} tensors, expected {len(wanted)}")
    sizes = struct.unpack_from(f"<{count}Q", record, 4)
    at = 4 + 8 * count
    arrays = []
    for size, part in zip(sizes, wanted):
        arrays.append(tensor_proto.decode(record[at : at + size], part.dtype))  # type: ignore
        at += size
    rest = iter(arrays)
    return tuple([leaf_of_arrays(s, [next(rest) for _ in s._component_specs]) for s in specs])


class ElementWriter:
    """Writes elements to a file under a passing name; `finish` gives it its own name.

    Args:
      path: of the file.
      compression: "", "GZIP" or "ZLIB".
    """

    def __init__(self, path: str, specs: Sequence[TypeSpec], compression: str = "") -> None:
        self._path, self._specs = path, specs
        self._passing = f"{path}.{os.getpid()}.{id(self):x}.partial"
        self._file = storage.open_new(self._passing)
        target: Any = self._file
        if compression == "GZIP":
            target = gzip.GzipFile(fileobj=self._file, mode="wb")
        elif compression == "ZLIB":
            target = ZlibFile(self._file)
        self._target = target
        self._writer = RecordWriter(target)
        self._waiting: list[bytes] = []
        self.count = 0

    def write(self, leaves: Leaves) -> None:
        """Appends an element."""
        self._waiting.append(encode(self._specs, leaves))
        self.count += 1
        if len(self._waiting) >= _RECORDS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        self._writer.write_many(self._waiting)
        self._waiting = []

    def finish(self) -> None:
        """Ends the file and renames it into place."""
        self._flush()
        self._close()
        storage.replace(self._passing, self._path)

    def abandon(self) -> None:
        """Removes what was written."""
        if not self._file.closed:
            self._close()
            storage.remove(self._passing)

    def _close(self) -> None:
        if self._target is not self._file:
            self._target.close()
        self._file.close()


def open_decompressed(path: Any, compression: str | None) -> Any:
    """A file for reading, decompressed on the way.

    Raises InvalidArgumentError for a compression other than "", "GZIP" and "ZLIB".
    """
    file = storage.open_read(path)
    if not compression:
        return file
    if compression == "GZIP":
        return gzip.GzipFile(fileobj=file)
    if compression == "ZLIB":
        return io.BufferedReader(_ZlibReader(file))
    file.close()
    raise errors.InvalidArgumentError(f"Unsupported compression_type: {compression}.")


class _ZlibReader(io.RawIOBase):
    """Decompresses while reading."""

    _BLOCK_BYTES = 1 << 16

    def __init__(self, file: Any) -> None:
        self._file, self._unpacker, self._rest = file, zlib.decompressobj(), b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            block = self._file.read(self._BLOCK_BYTES)
            if not block:
                break
            self._rest = self._unpacker.decompress(block)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def read_elements(
    path: Any, specs: Sequence[TypeSpec], compression: str | None = None
) -> Iterator[Leaves]:
    """The elements of a file, in order."""
    with open_decompressed(path, compression) as file:
        for record in read_records(file, str(path)):
            yield decode(specs, record)


# ---- the index ----------------------------------------------------------------------------------
def write_index(path: Any, spec: Any, **more: Any) -> None:
    """Writes what the elements are; the file appears whole."""
    text = json.dumps({"version": _VERSION, "spec": spec_to_json(spec), **more}, indent=1)
    storage.write_whole(path, text.encode())


def read_index(path: Any) -> dict[str, Any]:
    """The index, with the structure of TypeSpecs under "spec". Raises DataLossError."""
    try:
        found = json.loads(storage.read_bytes(path))
        found["spec"] = spec_from_json(found["spec"])
        return found
    except (ValueError, KeyError) as error:
        raise errors.DataLossError(f"{path} is no index of elements: {error}") from error


def spec_to_json(spec: Any) -> Any:
    """A structure of TypeSpecs as plain values."""
    if structure.is_nested(spec):
        if isinstance(spec, dict):
            return {"dict": {str(k): spec_to_json(v) for k, v in spec.items()}}
        return {"tuple": [spec_to_json(c) for c in nest._children(spec)]}
    if isinstance(spec, NoneTensorSpec):
        return {"none": True}
    shape = None if spec.shape.rank is None else spec.shape.as_list()
    kind = "tensor" if isinstance(spec, TensorSpec) else type(spec).__name__
    about = {"shape": shape, "dtype": spec.dtype.name}
    if kind == "RaggedTensorSpec":
        about["ragged_rank"] = spec.ragged_rank
        about["row_splits_dtype"] = spec.row_splits_dtype.name
    return {kind: about}


def spec_from_json(stored: Any) -> Any:
    """What `spec_to_json` made plain."""
    ((kind, value),) = stored.items()
    if kind == "dict":
        return {k: spec_from_json(v) for k, v in value.items()}
    if kind == "tuple":
        return tuple([spec_from_json(v) for v in value])
    if kind == "none":
        return NoneTensorSpec()
    if kind == "tensor":
        return TensorSpec(value["shape"], dt.as_dtype(value["dtype"]))
    if kind == "SparseTensorSpec":
        from shardtape.sparse_tensor import SparseTensorSpec

        return SparseTensorSpec(value["shape"], dt.as_dtype(value["dtype"]))
    if kind == "RaggedTensorSpec":
        from shardtape.ragged.spec import RaggedTensorSpec

        return RaggedTensorSpec(**value)
    raise ValueError(f"unknown kind of component {kind!r}")

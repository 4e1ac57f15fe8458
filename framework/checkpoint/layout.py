"""The safetensors layout, written from array buffers and read into them.

The library's own writer copies every array through `tobytes` and its reader copies once more;
here the kernel takes the bytes from the array and gives them back into it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from shardtape import errors, storage
from shardtape.checkpoint.digest import PageDigest

# Bytes per call of the kernel: they stay in a core's cache between digest and copy. Bigger writes
# make ext4 allocate huge folios, which was measured to be three times slower.
BLOCK_BYTES = 256 << 10
READ_BLOCK_BYTES = 1 << 20
_WRITEBACK_BYTES = 32 << 20  # written back early, in this portion, so that fsync has less to do
_ALIGN_BYTES = 64  # where the data starts; the library asks for 8
_HEADER_LIMIT_BYTES = 100_000_000  # the library refuses more

STORED_DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16",
    "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8",
    "uint64": "U64", "uint32": "U32", "uint16": "U16", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip
NUMPY_DTYPES = {stored: name for name, stored in STORED_DTYPES.items()}


def numpy_dtype(stored: str) -> np.dtype:
    """The element type of one of the layout's names. Raises KeyError for an unknown one."""
    name = NUMPY_DTYPES[stored]
    if name.startswith(("bfloat", "float8")):
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    return np.dtype(name)


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """Where one tensor of a file is, and what its bytes must be."""

    name: str
    dtype: str  # the layout's name
    shape: tuple[int, ...]
    offset: int  # from the start of the file
    bytes: int
    digest: str

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name, "dtype": self.dtype, "shape": list(self.shape),
            "offset": self.offset, "bytes": self.bytes, "digest": self.digest,
        }  # fmt: skip

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> StoredTensor:
        return cls(
            entry["name"], entry["dtype"], tuple(entry["shape"]), entry["offset"],
            entry["bytes"], entry["digest"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """What `write_file` put on the disk."""

    bytes: int
    header_bytes: int
    header_sha256: str
    tensors: tuple[StoredTensor, ...]


# The layout, little-endian:
#   uint64  length of the header
#   byte    header[length]: JSON, padded with spaces
#             {"__metadata__": {string: string},
#              name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
#           offsets count from the end of the header
#   byte    the tensors' elements in C order, without gaps
# Tensors stand in the order of falling element sizes, so that each starts at a multiple of its own.
def write_file(
    path: storage.Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> Written:
    """Writes a new file and waits until it is on the disk; on an error no file is left.

    Args:
      path: the file; one that exists raises.
      arrays: by name, of the types in `STORED_DTYPES`; used in place where they are contiguous.
      metadata: strings for the header.

    Raises:
      InvalidArgumentError: an element type that the layout does not have.
      ResourceExhaustedError: the disk or the quota is full; nothing is left behind.
      AlreadyExistsError, PermissionDeniedError, ...: as the system says.
    """
    names = sorted(arrays, key=lambda name: -arrays[name].dtype.itemsize)
    header, offsets = _header({name: arrays[name] for name in names}, metadata)
    total = len(header) + sum(arrays[name].nbytes for name in names)
    file = storage.open_new(path)
    try:
        with storage.translated("write", path):
            digests = _write(file, header, [arrays[name] for name in names], total)
    except BaseException:
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(errors.OpError):
            storage.remove(path)
        raise
    stored = tuple(
        StoredTensor(
            name, STORED_DTYPES[arrays[name].dtype.name], arrays[name].shape,
            len(header) + offsets[name], arrays[name].nbytes, digest,
        )
        for name, digest in zip(names, digests, strict=True)
    )  # fmt: skip
    return Written(total, len(header), hashlib.sha256(header).hexdigest(), stored)


def _header(
    arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> tuple[bytes, dict[str, int]]:
    entries: dict[str, Any] = {"__metadata__": dict(metadata)} if metadata else {}
    offsets: dict[str, int] = {}
    at = 0
    for name, array in arrays.items():
        if array.dtype.name not in STORED_DTYPES:
            raise errors.InvalidArgumentError(
                f"tensor {name!r}: a checkpoint file cannot hold elements of type "
                f"{array.dtype.name}; expected one of {', '.join(STORED_DTYPES)}"
            )
        if name == "__metadata__":
            raise errors.InvalidArgumentError(f"a tensor cannot be called {name!r}")
        offsets[name] = at
        entries[name] = {
            "dtype": STORED_DTYPES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [at, at + array.nbytes],
        }
        at += array.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % _ALIGN_BYTES)
    if len(text) > _HEADER_LIMIT_BYTES:
        raise errors.InvalidArgumentError(
            f"the header for {len(arrays)} tensors has {len(text):,} bytes; readers refuse more "
            f"than {_HEADER_LIMIT_BYTES:,}: write the tensors in several parts"
        )
    return struct.pack("<Q", len(text)) + text, offsets


def _write(file: BinaryIO, header: bytes, arrays: Sequence[np.ndarray], total: int) -> list[str]:
    descriptor = _descriptor(file)
    if descriptor is not None:
        _reserve(descriptor, total)
    digests = []
    written, started = 0, 0
    _write_all(file, memoryview(header))
    written = len(header)
    for array in arrays:
        taken = PageDigest()
        for block in _blocks(array):
            taken.update(block)
            _write_all(file, block)
            written += len(block)
            if descriptor is not None and written - started >= _WRITEBACK_BYTES:
                # Dirty pages are not dropped by this: they are sent to the disk now.
                os.posix_fadvise(descriptor, started, written - started, os.POSIX_FADV_DONTNEED)
                started = written
        digests.append(taken.hexdigest())
    file.flush()
    if descriptor is not None:
        os.fsync(descriptor)
    file.close()
    return digests


def _descriptor(file: BinaryIO) -> int | None:
    """The file descriptor of a local file; None for a remote one."""
    try:
        return file.fileno()
    except (OSError, AttributeError):  # fsspec's files have none
        return None


def _reserve(descriptor: int, total: int) -> None:
    # A full disk is found before anything is written, and blocks come in one run.
    try:
        if total:
            os.posix_fallocate(descriptor, 0, total)
    except OSError as error:
        if error.errno in storage.FULL:
            raise
        # Some file systems cannot reserve; the writes themselves will tell.


def _blocks(array: np.ndarray) -> Iterator[memoryview]:
    """The elements in C order as views of at most `BLOCK_BYTES`, whole pages except the last."""
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    if array.nbytes == 0:
        return
    view = bytes_of(array)
    for start in range(0, len(view), BLOCK_BYTES):
        yield view[start : start + BLOCK_BYTES]


def bytes_of(array: np.ndarray) -> memoryview:
    """The elements of a contiguous array as bytes, in place."""
    return array.reshape(-1).view(np.uint8).data if array.nbytes else memoryview(b"")


def _write_all(file: BinaryIO, view: memoryview) -> None:
    while len(view):
        count = file.write(view)
        if count is None:
            raise BlockingIOError("the file takes no bytes now")
        view = view[count:]


class PartFile:
    """One file of the layout, open for reading at offsets; checks digests as it reads.

    Args:
      path: the file.
      size: bytes it must have.

    Raises:
      NotFoundError, DataLossError: it is missing, or of another size.
    """

    def __init__(self, path: storage.Path, size: int) -> None:
        self._path = storage.text(path)
        found = storage.size_bytes(path)
        if found is None:
            raise errors.DataLossError(f"{self._path} is missing from the checkpoint")
        if found != size:
            raise errors.DataLossError(
                f"{self._path} has {found:,} bytes, {size:,} were written: it is cut off or "
                "another file"
            )
        self._file = storage.open_read(path)
        self._descriptor = _descriptor(self._file)
        self._good: set[str] = set()  # names of the tensors whose digests were right
        self._map: np.ndarray | None = None

    @property
    def path(self) -> str:
        return self._path

    @property
    def local(self) -> bool:
        """True if the file can be mapped."""
        return self._descriptor is not None

    def close(self) -> None:
        """Closes the file; views that were given out stay good."""
        self._file.close()

    def check_header(self, header_bytes: int, sha256: str) -> None:
        """Raises DataLossError if the header is not what was written."""
        data = np.empty(header_bytes, np.uint8)
        self._read_into(data.data, 0)
        if hashlib.sha256(data.data).hexdigest() != sha256:
            raise errors.DataLossError(f"{self._path} is corrupt: its header has changed")

    def read_into(
        self, tensor: StoredTensor, out: memoryview, begin: int = 0, verify: bool = True
    ) -> None:
        """Copies bytes `begin .. begin + len(out)` of a tensor into `out`.

        The first time that a tensor is touched all of it is read, to check its digest.

        Raises:
          DataLossError: the bytes are not those that were written.
        """
        if not verify or tensor.name in self._good:
            for start in range(0, len(out), READ_BLOCK_BYTES):
                self._read_into(
                    out[start : start + READ_BLOCK_BYTES], tensor.offset + begin + start
                )
            return
        taken = PageDigest()
        spare: memoryview | None = None
        end = begin + len(out)
        for start in range(0, tensor.bytes, READ_BLOCK_BYTES):
            stop = min(start + READ_BLOCK_BYTES, tensor.bytes)
            if begin <= start and stop <= end:
                block = out[start - begin : stop - begin]
                self._read_into(block, tensor.offset + start)
            else:  # outside of what is asked for, wholly or in part
                if spare is None:
                    spare = np.empty(READ_BLOCK_BYTES, np.uint8).data
                block = spare[: stop - start]
                self._read_into(block, tensor.offset + start)
                low, high = max(start, begin), min(stop, end)
                if low < high:
                    out[low - begin : high - begin] = block[low - start : high - start]
            taken.update(block)
        self._compare(tensor, taken)

    def view(self, tensor: StoredTensor, verify: bool = True) -> np.ndarray:
        """The tensor's bytes where the file is mapped: (bytes,) uint8, read-only.

        Raises:
          DataLossError: the bytes are not those that were written.
        """
        if self._map is None:
            self._map = np.memmap(self._file, np.uint8, mode="r").view(np.ndarray)
        view = self._map[tensor.offset : tensor.offset + tensor.bytes]
        if verify and tensor.name not in self._good:
            taken = PageDigest()
            for start in range(0, tensor.bytes, READ_BLOCK_BYTES):
                taken.update(view[start : start + READ_BLOCK_BYTES])
            self._compare(tensor, taken)
        return view

    def _compare(self, tensor: StoredTensor, taken: PageDigest) -> None:
        if taken.hexdigest() != tensor.digest:
            raise errors.DataLossError(
                f"{self._path} is corrupt: tensor {tensor.name!r} does not have the digest that "
                "was written. Restore from an older checkpoint."
            )
        self._good.add(tensor.name)

    def _read_into(self, view: memoryview, offset: int) -> None:
        with storage.translated("read", self._path):
            while len(view):
                if self._descriptor is not None:
                    count = os.preadv(self._descriptor, [view], offset)
                else:
                    self._file.seek(offset)
                    count = self._file.readinto(view)  # type: ignore[attr-defined]
                if not count:
                    raise errors.DataLossError(
                        f"{self._path} ends at byte {offset:,}: it is cut off"
                    )
                view, offset = view[count:], offset + count

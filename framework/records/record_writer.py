"""TFRecord framing: what event files (and TFRecord data sets) are made of."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Protocol

from shardtape.records.crc32c import masked_crc32c


class WritableFile(Protocol):
    """What a record writer needs of a file."""

    def write(self, data: bytes, /) -> object: ...
    def flush(self) -> object: ...
    def close(self) -> object: ...


@lru_cache(maxsize=4096)
def _header(length: int) -> bytes:
    size = struct.pack("<Q", length)
    return size + masked_crc32c([size]).tobytes()


class RecordWriter:
    """Writes records to an open binary file, in the order of the calls; not thread-safe."""

    def __init__(self, file: WritableFile) -> None:
        self._file = file

    # One record, little-endian:
    #   uint64  length of data
    #   uint32  masked CRC-32C of those 8 bytes
    #   byte    data[length]
    #   uint32  masked CRC-32C of data
    # A masked CRC is rotate_right(crc, 15) + 0xa282ead8. A reader that meets an incomplete last
    # record waits for more: a file may be read while it is written.
    def write_many(self, records: Sequence[bytes]) -> int:
        """Appends records with one write; returns the bytes written, framing included."""
        if not records:
            return 0
        sums = masked_crc32c(records).astype("<u4").tobytes()
        pieces: list[bytes] = []
        for index, record in enumerate(records):
            pieces += (_header(len(record)), record, sums[4 * index : 4 * index + 4])
        data = b"".join(pieces)
        self._file.write(data)
        return len(data)

    def write(self, record: bytes) -> int:
        """Appends one record; returns the bytes written, framing included."""
        return self.write_many([record])

    def flush(self) -> None:
        """Hands what the file object buffers to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

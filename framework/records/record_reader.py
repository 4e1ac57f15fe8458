"""Reads TFRecord files, in blocks, and checks their checksums."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from shardtape import errors
from shardtape.records.crc32c import masked_crc32c

_BLOCK_BYTES = 1 << 18
_HEADER_BYTES, _FOOTER_BYTES = 12, 4
_LENGTH = struct.Struct("<Q")


def read_records(file: BinaryIO, name: str, block_bytes: int = _BLOCK_BYTES) -> Iterator[bytes]:
    """The records of an open file, in order.

    Args:
      file: gives bytes; several records are read at once.
      name: for error texts.

    Raises:
      DataLossError: a checksum that does not fit, or a file that ends inside a record; the text
        says where.
    """
    rest = b""
    offset = 0  # of `rest` in the file
    while True:
        block = file.read(max(block_bytes, _missing(rest)))
        data = rest + block if rest else block
        records, used = _whole_records(data, name, offset)
        yield from records
        offset += used
        rest = data[used:]
        if not block:
            if rest:
                raise errors.DataLossError(f"truncated record at {offset} in {name}")
            return


def _missing(rest: bytes) -> int:
    """Bytes that the record at the beginning of `rest` still lacks."""
    if len(rest) < _HEADER_BYTES:
        return 0
    length = _LENGTH.unpack_from(rest)[0]
    return min(length + _HEADER_BYTES + _FOOTER_BYTES - len(rest), 1 << 30)


def _whole_records(data: bytes, name: str, offset: int) -> tuple[list[bytes], int]:
    """The complete records at the beginning of `data`, and how many bytes they take."""
    starts, records, sums, headers = [], [], [], []
    at, size = 0, len(data)
    while at + _HEADER_BYTES <= size:
        length = _LENGTH.unpack_from(data, at)[0]
        stop = at + _HEADER_BYTES + length + _FOOTER_BYTES
        if stop > size:
            # a broken length would make the reader wait for bytes that never come
            _check([data[at : at + 8]], [data[at + 8 : at + 12]], [at], name, offset)
            break
        starts.append(at)
        headers.append(data[at : at + 8])
        sums.append(data[at + 8 : at + 12])
        records.append(data[at + _HEADER_BYTES : stop - _FOOTER_BYTES])
        sums.append(data[stop - _FOOTER_BYTES : stop])
        at = stop
    _check(headers, sums[0::2], starts, name, offset)
    _check(records, sums[1::2], starts, name, offset)
    return records, at


def _check(
    pieces: list[bytes], sums: list[bytes], starts: list[int], name: str, offset: int
) -> None:
    if not pieces:
        return
    wrong = masked_crc32c(pieces) != np.frombuffer(b"".join(sums), "<u4")
    if wrong.any():
        place = offset + starts[int(np.argmax(wrong))]
        raise errors.DataLossError(f"corrupted record at {place} in {name}")

"""Frames of the data stream: a small header, then raw bytes (layout in protos/shard.proto).

A payload is arrays, one after the other, each at a multiple of 64 bytes. What fits one message
travels with its header; more is cut into raw messages. Sending copies each byte once (gRPC takes
only `bytes`), receiving copies it once where it has to be in one piece, else not at all.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from shardtape.errors import InvalidArgumentError

# On the wire all arrays are little-endian; on a big-endian machine `wire_dtype` would differ from
# the native one and every array would be converted. None is known to run this.
PREFIX = struct.Struct("<II")
ALIGNMENT = 64
# Payload inside a message begins at a multiple of it; CPython's bytes objects are aligned so.
_IN_MESSAGE = 16
_PADDING = bytes(ALIGNMENT)

# What a carrier hands over; nobody writes it any more.
Message = bytes | bytearray


def aligned(offset: int, to: int = ALIGNMENT) -> int:
    """The next multiple of `to`."""
    return -(-offset // to) * to


def raw(array: np.ndarray) -> memoryview:
    """The bytes of a C-contiguous array, without a copy. Any dtype, also bfloat16, and scalars."""
    return array.reshape(-1).view(np.uint8).data


class Payload:
    """Arrays to send, laid out one after the other.

    Attributes:
      bytes: so far, with what lies between arrays.
      array_bytes: of the arrays alone.
    """

    __slots__ = ("_offsets", "_views", "array_bytes", "bytes")

    def __init__(self) -> None:
        self.bytes = self.array_bytes = 0
        self._offsets: list[int] = []
        self._views: list[memoryview] = []

    def add(self, array: np.ndarray) -> int:
        """Takes an array in, unless it is empty; its offset. It must not change until sent."""
        if not array.flags.c_contiguous:
            array = np.ascontiguousarray(array)
        offset = aligned(self.bytes)
        if array.nbytes:
            self._offsets.append(offset)
            self._views.append(raw(array))
            self.bytes = offset + array.nbytes
            self.array_bytes += array.nbytes
        return offset

    def pieces(self) -> Iterator[memoryview | bytes]:
        """All bytes in order, with the padding between arrays."""
        position = 0
        for offset, view in zip(self._offsets, self._views):
            if offset > position:
                yield _PADDING[: offset - position]
            yield view
            position = offset + len(view)

    def chunks(self, chunk_bytes: int) -> Iterator[bytes]:
        """The same in messages of `chunk_bytes` (the last may be shorter), copied as they go."""
        held: list[memoryview | bytes] = []
        room = chunk_bytes
        for piece in self.pieces():
            start, size = 0, len(piece)
            while size - start >= room:
                part = piece[start : start + room]
                yield b"".join([*held, part]) if held else bytes(part)
                held.clear()
                start += room
                room = chunk_bytes
            if start < size:
                held.append(piece[start:] if start else piece)
                room -= size - start
        if held:
            yield b"".join(held)


def fits(header: bytes, payload: Payload, chunk_bytes: int) -> bool:
    """Whether header and payload go into one message."""
    return aligned(PREFIX.size + len(header), _IN_MESSAGE) + payload.bytes <= chunk_bytes


def messages(header: bytes, payload: Payload | None, chunk_bytes: int) -> Iterable[bytes]:
    """The messages of a frame."""
    if payload is None or not payload.bytes:
        return (PREFIX.pack(len(header), 0) + header,)
    if fits(header, payload, chunk_bytes):
        begins = aligned(PREFIX.size + len(header), _IN_MESSAGE)
        gap = _PADDING[: begins - PREFIX.size - len(header)]
        return (b"".join([PREFIX.pack(len(header), begins), header, gap, *payload.pieces()]),)
    return _long(header, payload, chunk_bytes)


def _long(header: bytes, payload: Payload, chunk_bytes: int) -> Iterator[bytes]:
    yield PREFIX.pack(len(header), 0) + header
    yield from payload.chunks(chunk_bytes)


def split(message: Message, header_limit_bytes: int) -> tuple[bytes, int]:
    """Header of a frame's first message, and where the payload begins in it (0: not in it).

    Raises InvalidArgumentError for what is no frame.
    """
    if len(message) < PREFIX.size:
        raise InvalidArgumentError(f"a frame of {len(message)} bytes is too short for its prefix")
    size, begins = PREFIX.unpack_from(message)
    end = PREFIX.size + size
    if size > header_limit_bytes or end > len(message):
        raise InvalidArgumentError(
            f"a frame of {len(message):,} bytes announces a header of {size:,} "
            f"(at most {header_limit_bytes:,})"
        )
    if begins and (begins < end or begins > len(message) or begins % _IN_MESSAGE):
        raise InvalidArgumentError(
            f"a frame of {len(message):,} bytes announces a payload at {begins}"
        )
    return bytes(message[PREFIX.size : end]), begins


class Scatter:
    """Takes the bytes of a payload as they come and writes them where they belong.

    Args:
      targets: (offset in the payload, C-contiguous array), in order of their offsets.
    """

    __slots__ = ("_next", "_position", "_targets", "bytes")

    def __init__(self, targets: Iterable[tuple[int, np.ndarray]], payload_bytes: int) -> None:
        self._targets: list[tuple[int, int, Any]] = [
            (offset, offset + array.nbytes, raw(array)) for offset, array in targets if array.nbytes
        ]
        self._next = 0
        self._position = 0
        self.bytes = payload_bytes

    @property
    def complete(self) -> bool:
        return self._position >= self.bytes

    def write(self, message: Message | memoryview) -> None:
        """The next bytes. Raises InvalidArgumentError if they are more than announced."""
        begin, end = self._position, self._position + len(message)
        if end > self.bytes:
            raise InvalidArgumentError(
                f"a payload of {self.bytes:,} bytes was announced, {end:,} came"
            )
        source = memoryview(message)
        while self._next < len(self._targets):
            start, stop, view = self._targets[self._next]
            if start >= end:
                break
            low, high = max(start, begin), min(stop, end)
            if low < high:
                view[low - start : high - start] = source[low - begin : high - begin]
            if stop > end:
                break
            self._next += 1
        self._position = end

    def skip(self, size: int) -> None:
        """The next bytes belong nowhere any more."""
        self._position += size


class Sink:
    """Copies raw messages where they belong on the thread that receives them.

    gRPC makes a message on one thread and hands it to another; copying it there, while it is in
    that core's cache, halves what the copy costs. `take` is given to gRPC as the deserializer: it
    lets messages through, and while there is a `target` it swallows them. Since gRPC receives a
    message only when somebody asks for it, whoever asks has set the target before.
    """

    __slots__ = ("_error", "target")

    TAKEN = b"\0"

    def __init__(self) -> None:
        self.target: Callable[[Message], None] | None = None
        self._error: Exception | None = None

    def take(self, message: bytes) -> bytes:
        """The message; `TAKEN` in place of one that was copied."""
        if self.target is None:
            return message
        try:
            self.target(message)
        except Exception as error:  # noqa: BLE001 - gRPC would only log it; who asked raises it
            self._error = error
        return self.TAKEN

    def fill(
        self, scatter: Scatter, write: Callable[[Message], None], following: Callable[[], Message]
    ) -> None:
        """Receives messages until `scatter` is complete.

        Args:
          write: takes each message's bytes to the scatter.
          following: asks for the next message, of gRPC (then `take` sees it before) or another.

        Raises what `write` and `following` raise.
        """
        self.target = write
        try:
            while not scatter.complete:
                message = following()
                if message is not self.TAKEN:
                    write(message)
                elif self._error is not None:
                    raise self._error
        finally:
            self.target = None

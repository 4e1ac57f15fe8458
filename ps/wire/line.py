"""Messages between two processes of one host over a Unix socket.

A gRPC message costs some 120 us of processor time on either side, most of it in threads that hand
it to each other; a small message here costs 10. On a machine whose cores are busy with training
that is what a push through shared memory would otherwise be made of.

A message is its length (uint32, little-endian) and its bytes. The sockets have names in Linux's
abstract namespace, which vanish with the process.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import sys
import threading
from collections.abc import Iterable

from shardtape.errors import InvalidArgumentError, UnavailableError
from shardtape.ps.wire.frames import Message

_LENGTH = struct.Struct("<I")
_BUFFER_BYTES = 256 << 10
# A peer that takes or gives nothing in the middle of a message for so long is frozen.
_STALL_S = 30
_CREDENTIALS = struct.Struct("3i")


def available() -> bool:
    """Whether this system has such sockets."""
    return sys.platform.startswith("linux")


def listen(name: str) -> socket.socket:
    """A listening socket of this name. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        listener.bind(b"\0" + name.encode())
        listener.listen(64)
    except OSError:
        listener.close()
        raise
    return listener


def connect(name: str, timeout_s: float) -> socket.socket:
    """Connects. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        connection.settimeout(timeout_s)
        connection.connect(b"\0" + name.encode())
        connection.settimeout(None)
    except OSError:
        connection.close()
        raise
    return connection


def same_user(connection: socket.socket) -> bool:
    """Whether the other end runs as our user, or as root."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    return user in (0, os.geteuid())


class Line:
    """One end of a connection. One thread receives at a time; any may send.

    Args:
      connection: it belongs to the line from now on.
      message_bytes: largest message accepted.
    """

    def __init__(self, connection: socket.socket, message_bytes: int) -> None:
        stall = struct.pack("ll", _STALL_S, 0)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, stall)
        self._connection = connection
        self._message_bytes = message_bytes
        self._sending = threading.Lock()
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._begin = self._end = 0  # what was received and not yet taken
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def send(self, messages: Iterable[bytes]) -> None:
        """Sends messages, one after the other. Raises UnavailableError."""
        try:
            with self._sending:
                for message in messages:
                    if len(message) < _BUFFER_BYTES:
                        self._connection.sendall(_LENGTH.pack(len(message)) + message)
                    else:
                        self._connection.sendall(_LENGTH.pack(len(message)))
                        self._connection.sendall(message)
        except BlockingIOError:
            raise UnavailableError(f"the peer took nothing for {_STALL_S} s") from None
        except OSError as error:
            raise UnavailableError(f"the connection broke: {error.strerror}") from error

    def receive(self, timeout_s: float | None = None) -> Message | None:
        """The next message.

        Args:
          timeout_s: how long to wait for its beginning; None: for ever.

        Returns:
          None when the time is over.

        Raises:
          UnavailableError: the connection ended.
          InvalidArgumentError: the message is too long.
        """
        while True:
            held = self._end - self._begin
            if held >= _LENGTH.size:
                (size,) = _LENGTH.unpack_from(self._buffer, self._begin)
                if size > self._message_bytes:
                    raise InvalidArgumentError(
                        f"a message of {size:,} bytes is over the limit of {self._message_bytes:,}"
                    )
                begin = self._begin + _LENGTH.size
                if held - _LENGTH.size >= size:
                    self._begin = begin + size
                    return bytes(self._view[begin : self._begin])
                if _LENGTH.size + size > _BUFFER_BYTES:
                    return self._long(begin, size)
            if self._begin == self._end:
                self._begin = self._end = 0
            elif self._end == _BUFFER_BYTES:
                self._buffer[:held] = self._buffer[self._begin : self._end]
                self._begin, self._end = 0, held
            count = self._read(self._view[self._end :], timeout_s)
            if count is None:
                return None
            self._end += count

    def _long(self, begin: int, size: int) -> bytearray:
        message = bytearray(size)
        have = self._end - begin
        message[:have] = self._view[begin : self._end]
        self._begin = self._end = 0
        view = memoryview(message)
        while have < size:
            count = self._read(view[have:], _STALL_S)
            if count is None:
                raise UnavailableError(f"the peer stopped inside a message for {_STALL_S} s")
            have += count
        return message

    def _read(self, into: memoryview, timeout_s: float | None) -> int | None:
        try:
            if timeout_s is None:
                count = self._connection.recv_into(into)
            else:
                try:
                    count = self._connection.recv_into(into, 0, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    if not self._poll.poll(timeout_s * 1e3):
                        return None
                    count = self._connection.recv_into(into)
        except OSError as error:
            raise UnavailableError(f"the connection broke: {error.strerror}") from error
        if not count:
            raise UnavailableError("the peer ended the connection")
        return count

    def close(self) -> None:
        """Ends the connection; a thread that receives gets UnavailableError."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has ended already
        with self._sending:
            self._connection.close()

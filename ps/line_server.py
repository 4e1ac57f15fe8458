"""The shard's end of lines: data streams of workers of the same host (`ps.wire.line`)."""

from __future__ import annotations

import logging
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager

from shardtape.errors import OpError
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.session import Session, StreamEnded
from shardtape.ps.wire import frames, line
from shardtape.ps.wire.channel import Limits
from shardtape.ps.wire.frames import Message
from shardtape.ps.wire.line import Line
from shardtape.ps.wire.status import code_and_text, shortened

_LOG = logging.getLogger(__name__)

# Makes and registers a session of (secret, send_now); raises OpError if there are too many.
Admit = Callable[[bytes, Callable[[Iterable[bytes]], None]], AbstractContextManager[Session]]


class LineServer:
    """Listens, and serves each connection with a thread that reads, handles and answers.

    Attributes:
      name, secret: for workers; the secret is told over gRPC only, to who has the token.
      why_not: why there is no line, or "".
    """

    def __init__(self, admit: Admit, limits: Limits) -> None:
        self.name = f"shardtape-{secrets.token_hex(16)}"
        self.secret = secrets.token_bytes(32)
        self.why_not = ""
        self._admit = admit
        self._limits = limits
        self._lines: set[Line] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._listener: socket.socket | None = None
        if not line.available():
            self.why_not = "this system has no abstract Unix sockets"
            return
        try:
            self._listener = line.listen(self.name)
        except OSError as error:
            self.why_not = f"cannot listen on a Unix socket: {error.strerror}"
            return
        threading.Thread(target=self._accept, name="shard-lines", daemon=True).start()

    def offer(self) -> tuple[str, bytes] | None:
        """Name and secret, if there is a line."""
        return None if self._listener is None else (self.name, self.secret)

    def close(self) -> None:
        """Ends all lines."""
        with self._lock:
            self._closed = True
            lines = list(self._lines)
        if self._listener is not None:
            try:
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
            except OSError as error:
                _LOG.debug("closing the line's socket: %s", error)
            self._listener.close()
        for one in lines:
            one.close()

    def _accept(self) -> None:
        assert self._listener is not None
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            if not line.same_user(connection):
                connection.close()
                continue
            threading.Thread(
                target=self._serve, args=(connection,), name="shard-line", daemon=True
            ).start()

    def _serve(self, connection: socket.socket) -> None:
        one = Line(connection, self._limits.message_bytes)
        with self._lock:
            if self._closed:
                one.close()
                return
            self._lines.add(one)
        try:
            with self._admit(self.secret, one.send) as session:
                # parked pulls are answered from there; all else at once, by this thread
                threading.Thread(
                    target=_send_late, args=(session, one), name="shard-line-late", daemon=True
                ).start()
                session.read(_messages(one))
        except OpError as error:
            _say_why(one, error)
        finally:
            with self._lock:
                self._lines.discard(one)


def _messages(one: Line) -> Iterator[Message]:
    while True:
        try:
            message = one.receive()
        except OpError as error:
            raise StreamEnded from error
        assert message is not None  # there is no time limit
        yield message


def _send_late(session: Session, one: Line) -> None:
    try:
        for message in session.answers():
            one.send((message,))
    except OpError as error:
        _say_why(one, error)
    finally:
        one.close()


def _say_why(one: Line, error: OpError) -> None:
    code, text = code_and_text(error, "the line")
    refused = pb.FromShard(refused=pb.Refused(code=code, message=shortened(text)))
    try:
        one.send(frames.messages(refused.SerializeToString(), None, 1 << 20))
    except OpError:
        pass  # it is gone already
    one.close()

"""A client's end of one data stream: requests out, answers in, each answer to who waits for it.

A stream lives until it breaks; then everything that waits fails at once and the channel opens
another one. The carriers: `GrpcStream`, `LineStream` between processes of one host, and
`ValueCalls` for pulls of many bytes.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import grpc

from shardtape.errors import InternalError, OpError, UnavailableError
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.wire import frames, line
from shardtape.ps.wire.channel import Limits
from shardtape.ps.wire.frames import Message, Payload, Scatter
from shardtape.ps.wire.line import Line
from shardtape.ps.wire.status import from_call, from_code

_LOG = logging.getLogger(__name__)

METHOD = "/shardtape.ps.v1.Shard/Data"
VALUES = "/shardtape.ps.v1.Shard/Values"
# A thread that waits while another one reads looks so often whether its answer has come.
_POLL_S = 0.05
_CONNECT_S = 1.0


class Pending(Protocol):
    """Who waits for the answer to a request. Called on the thread that reads the stream."""

    def on_header(self, answer: pb.FromShard) -> Scatter | None:
        """An answer came; where its payload goes (it is complete when `on_answer` is called)."""

    def on_payload(self, scatter: Scatter, message: Message | memoryview) -> None:
        """Some of the payload came."""

    def on_answer(self, answer: pb.FromShard) -> bool:
        """The answer is here; False if another frame belongs to it."""

    def on_failure(self, error: OpError) -> None:
        """There will be no answer."""


class Stream:
    """What the carriers share.

    Args:
      name: "shard 1 at 127.0.0.1:4000".
      shard: its number, which errors carry.

    Attributes:
      broken: what ended the stream; None while it lives.
      reads_itself: whether a thread of its own reads; else `wait` does.
    """

    reads_itself = True

    def __init__(self, limits: Limits, name: str, shard: int) -> None:
        self._limits = limits
        self._name = name
        self._shard = shard
        self._pending: dict[int, Pending] = {}
        self._last = 0
        self._lock = threading.Lock()
        self._sink = frames.Sink()
        self.broken: OpError | None = None

    def send(self, request: pb.ToShard, payload: Payload | None, pending: Pending) -> int:
        """Sends a frame; `pending` hears of its answer. Its number.

        The arrays of the payload must not change until then. Raises what broke the stream.
        """
        if payload is not None:
            request.payload_bytes = payload.bytes
        with self._lock:
            if self.broken is not None:
                raise self.broken
            number = self._last = self._last + 1
            self._pending[number] = pending
        request.request = number
        header = request.SerializeToString()
        try:
            self._hand_over(number, frames.messages(header, payload, self._limits.chunk_bytes))
        except UnavailableError:
            self._forget(number)
            raise
        return number

    def give_up(self, number: int) -> None:
        """Nobody waits for the answer to a request any more."""

    def wait(self, done: Callable[[], bool], timeout_s: float | None) -> None:
        """Reads until `done`, or until the time is over (None: for ever)."""

    def alive(self) -> bool:
        """Whether the stream still stands, as far as can be told without waiting."""
        if not self.reads_itself:
            self.wait(lambda: False, 0.0)
        return self.broken is None

    def close(self) -> None:
        """Ends the stream; what waits fails with UnavailableError."""

    def _hand_over(self, number: int, messages: Iterable[bytes]) -> None: ...

    def _next(self) -> Message:
        """The next message, in the middle of an answer."""
        raise NotImplementedError

    def _end(self, error: BaseException) -> None:
        """Nothing comes any more: tells everybody who waits."""
        if isinstance(error, grpc.RpcError):
            reason = from_call(error, self._name, self._waited_for(), self._shard)
        elif isinstance(error, UnavailableError):
            reason = UnavailableError(
                f"{self._name} went away while waiting for {self._waited_for()}: {error.message}"
            )
        elif isinstance(error, OpError):
            reason = error
        else:
            _LOG.error("a stream to %s failed", self._name, exc_info=error)
            reason = InternalError(f"the stream to {self._name} failed: {error!r}")
        reason.shard = self._shard  # type: ignore[attr-defined]
        with self._lock:
            if self.broken is None:
                self.broken = reason
            pending, self._pending = self._pending, {}
        self.close()
        for one in pending.values():
            one.on_failure(reason)

    def _receive(self, message: Message) -> None:
        header, begins = frames.split(message, self._limits.header_bytes)
        answer = pb.FromShard.FromString(header)
        refused = answer.refused if answer.HasField("refused") else None
        if refused is not None and not answer.request:
            raise from_code(refused.code, f"{self._name}: {refused.message}", self._shard)
        pending = self._pending.get(answer.request)
        if pending is None:
            raise InternalError(f"{self._name} answered a request {answer.request} never made")
        if refused is not None:
            self._forget(answer.request)
            text = f"{self._name}: {refused.message}"
            pending.on_failure(from_code(refused.code, text, self._shard))
            return
        scatter = pending.on_header(answer)
        if answer.payload_bytes:
            if scatter is None:
                scatter = Scatter((), answer.payload_bytes)
            if begins:
                pending.on_payload(scatter, memoryview(message)[begins:])
            target = scatter
            self._sink.fill(scatter, lambda m: pending.on_payload(target, m), self._next)
        if pending.on_answer(answer):
            self._forget(answer.request)

    def _forget(self, request: int) -> None:
        with self._lock:
            self._pending.pop(request, None)

    def _waited_for(self) -> str:
        with self._lock:
            count = len(self._pending)
        return {0: "a connection", 1: "an answer"}.get(count, f"{count} answers")


class GrpcStream(Stream):
    """Frames over a gRPC stream; a thread reads the answers.

    Args:
      channel: with a connection of its own.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        metadata: tuple[tuple[str, str], ...],
        limits: Limits,
        name: str,
        shard: int,
    ) -> None:
        super().__init__(limits, name, shard)
        self._out: queue.SimpleQueue[Iterable[bytes] | None] = queue.SimpleQueue()
        call = channel.stream_stream(METHOD, response_deserializer=self._sink.take)
        self._call = call(self._requests(), metadata=metadata)
        self._reader = threading.Thread(target=self._read, name=f"stream-{name}", daemon=True)
        self._reader.start()

    def close(self) -> None:
        self._out.put(None)
        self._call.cancel()

    def _hand_over(self, number: int, messages: Iterable[bytes]) -> None:
        self._out.put(messages)

    def _requests(self) -> Iterator[bytes]:
        while True:
            messages = self._out.get()
            if messages is None:
                return
            yield from messages

    def _read(self) -> None:
        error: BaseException
        try:
            for message in self._call:
                self._receive(message)
            error = UnavailableError("it ended the stream")
        except Exception as wrong:  # noqa: BLE001 - whoever waits must hear of it
            error = wrong
        self._end(error)

    def _next(self) -> Message:
        for message in self._call:
            return message
        raise UnavailableError("it ended the stream inside an answer")


class ValueCalls(Stream):
    """Pulls over gRPC, each a call of its own; a thread makes the calls and reads the answers.

    gRPC for Python reads a stream with many requests on a thread of its own and hands each message
    over; of a call with one request the thread that wants the messages reads them itself.

    Args:
      channel: opened with `read_by_caller`.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        metadata: tuple[tuple[str, str], ...],
        limits: Limits,
        name: str,
        shard: int,
    ) -> None:
        super().__init__(limits, name, shard)
        self._metadata = metadata
        self._method = channel.unary_stream(VALUES, response_deserializer=self._sink.take)
        self._requests: queue.SimpleQueue[tuple[int, bytes] | None] = queue.SimpleQueue()
        # the call under way, its request, and requests that nobody waits for any more
        self._call: Iterator[Message] | None = None
        self._number = 0
        self._given_up: set[int] = set()
        self._calling = threading.Lock()
        self._closed = False
        self._reader = threading.Thread(target=self._read, name=f"values-{name}", daemon=True)
        self._reader.start()

    def close(self) -> None:
        with self._calling:
            self._closed = True
            call = self._call
        self._requests.put(None)
        if call is not None:
            call.cancel()  # type: ignore[attr-defined]

    def give_up(self, number: int) -> None:
        """Ends its call; those behind it need not wait for it."""
        with self._calling:
            with self._lock:
                if self._pending.pop(number, None) is None:
                    return
            self._given_up.add(number)
            call = self._call if self._number == number else None
        if call is not None:
            call.cancel()  # type: ignore[attr-defined]

    def _hand_over(self, number: int, messages: Iterable[bytes]) -> None:
        self._requests.put((number, b"".join(messages)))

    def _read(self) -> None:
        error: BaseException = UnavailableError("the channel was closed")
        try:
            while (asked := self._requests.get()) is not None:
                if not self._made(*asked):
                    break
        except Exception as wrong:  # noqa: BLE001 - whoever waits must hear of it
            error = wrong
        self._end(error)

    def _made(self, number: int, request: bytes) -> bool:
        """Makes a call and reads its answer; False if the channel was closed."""
        with self._calling:
            if self._closed:
                return False
            if number in self._given_up:
                self._given_up.remove(number)
                return True
            self._call, self._number = self._method(request, metadata=self._metadata), number
        try:
            for message in self._call:
                self._receive(message)
            if number in self._pending:
                raise UnavailableError("it ended the call without an answer")
        except (grpc.RpcError, OpError):  # also what cancelling it brings
            with self._calling:
                given_up = number in self._given_up
            if not given_up:
                raise
        finally:
            with self._calling:
                self._number = 0
                self._given_up.discard(number)
        return True

    def _next(self) -> Message:
        assert self._call is not None
        for message in self._call:
            return message
        raise UnavailableError("it ended the call inside an answer")


class LineStream(Stream):
    """Frames over a Unix socket, without threads: who waits for an answer reads.

    Raises UnavailableError if there is no connection.
    """

    reads_itself = False

    def __init__(self, name_of_line: str, limits: Limits, name: str, shard: int) -> None:
        super().__init__(limits, name, shard)
        try:
            connection = line.connect(name_of_line, _CONNECT_S)
        except OSError as error:
            raise UnavailableError(f"{name}: cannot open its line: {error.strerror}") from error
        self._line = Line(connection, limits.message_bytes)
        self._reading = threading.Lock()

    def close(self) -> None:
        self._line.close()

    def _hand_over(self, number: int, messages: Iterable[bytes]) -> None:
        try:
            self._line.send(messages)
        except UnavailableError as error:
            # who waits for earlier answers hears of it when he reads
            self.broken = self.broken or UnavailableError(f"{self._name}: {error.message}")
            raise self.broken from error

    def wait(self, done: Callable[[], bool], timeout_s: float | None) -> None:
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while not done():
            left = _POLL_S if end is None else end - time.monotonic()
            # another thread may read the answer meanwhile: not longer than that at a time
            if self._reading.acquire(timeout=max(0.0, min(left, _POLL_S))):
                try:
                    if not done():
                        self._read(max(0.0, left))
                finally:
                    self._reading.release()
            if end is not None and time.monotonic() >= end:
                return

    def _read(self, timeout_s: float) -> None:
        try:
            message = self._line.receive(timeout_s)
            if message is not None:
                self._receive(message)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            self._end(error)

    def _next(self) -> Message:
        message = self._line.receive()
        assert message is not None  # there is no time limit
        return message


class Reply:
    """Waits for an answer without payload."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._answer: pb.FromShard | None = None
        self._error: OpError | None = None

    def on_header(self, answer: pb.FromShard) -> Scatter | None:
        return None

    def on_payload(self, scatter: Scatter, message: Message | memoryview) -> None:
        scatter.write(message)

    def on_answer(self, answer: pb.FromShard) -> bool:
        self._answer = answer
        self._event.set()
        return True

    def on_failure(self, error: OpError) -> None:
        self._error = error
        self._event.set()

    def wait(self, stream: Stream, deadline_s: float) -> pb.FromShard | None:
        """The answer; None if it did not come in time. Raises what the shard answered."""
        if stream.reads_itself:
            self._event.wait(deadline_s)
        else:
            stream.wait(self._event.is_set, deadline_s)
        if self._error is not None:
            raise self._error
        return self._answer

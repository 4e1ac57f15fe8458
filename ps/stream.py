"""A client's end of one data stream: requests out, answers in, each answer to who waits for it.

A stream lives until it breaks; then everything that waits fails at once and the channel opens
another one.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import grpc

from shardtape.errors import InternalError, OpError, UnavailableError
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.wire import frames
from shardtape.ps.wire.channel import Limits
from shardtape.ps.wire.frames import Payload, Scatter
from shardtape.ps.wire.status import from_call, from_code

_LOG = logging.getLogger(__name__)

METHOD = "/shardtape.ps.v1.Shard/Data"


class Pending(Protocol):
    """Who waits for the answer to a request. Called on the stream's reading thread."""

    def on_header(self, answer: pb.FromShard) -> Scatter | None:
        """An answer came; where its payload goes (it is complete when `on_answer` is called)."""

    def on_payload(self, scatter: Scatter, message: bytes | memoryview) -> None:
        """Some of the payload came."""

    def on_answer(self, answer: pb.FromShard) -> bool:
        """The answer is here; False if another frame belongs to it."""

    def on_failure(self, error: OpError) -> None:
        """There will be no answer."""


class Stream:
    """One data stream.

    Args:
      channel: with a connection of its own.
      name: "shard 1 at 127.0.0.1:4000".
      shard: its number, which errors carry.
    """

    def __init__(
        self,
        channel: grpc.Channel,
        metadata: tuple[tuple[str, str], ...],
        limits: Limits,
        name: str,
        shard: int,
    ) -> None:
        self._limits = limits
        self._name = name
        self._shard = shard
        self._out: queue.SimpleQueue[Iterable[bytes] | None] = queue.SimpleQueue()
        self._pending: dict[int, Pending] = {}
        self._last = 0
        self._lock = threading.Lock()
        self.broken: OpError | None = None
        self._call = channel.stream_stream(METHOD)(self._requests(), metadata=metadata)
        self._reader = threading.Thread(target=self._read, name=f"stream-{name}", daemon=True)
        self._reader.start()

    def send(self, request: pb.ToShard, payload: Payload | None, pending: Pending) -> None:
        """Sends a frame; `pending` hears of its answer.

        The arrays of the payload must not change until then. Raises what broke the stream.
        """
        if payload is not None:
            request.payload_bytes = payload.bytes
        with self._lock:
            if self.broken is not None:
                raise self.broken
            self._last += 1
            request.request = self._last
            self._pending[self._last] = pending
            self._out.put(
                frames.messages(request.SerializeToString(), payload, self._limits.chunk_bytes)
            )

    def close(self) -> None:
        """Ends the stream; what waits fails with UnavailableError."""
        self._out.put(None)
        self._call.cancel()

    def _requests(self) -> Iterator[bytes]:
        while True:
            messages = self._out.get()
            if messages is None:
                return
            yield from messages

    def _read(self) -> None:
        error: OpError
        try:
            for message in self._call:
                self._receive(message)
            error = UnavailableError(f"{self._name} ended the stream")
        except grpc.RpcError as broken:
            error = from_call(broken, self._name, self._waited_for(), self._shard)
        except OpError as wrong:
            error = wrong
        except Exception as wrong:  # noqa: BLE001 - whoever waits must hear of it
            _LOG.error("a stream to %s failed", self._name, exc_info=wrong)
            error = InternalError(f"the stream to {self._name} failed: {wrong!r}")
        error.shard = self._shard  # type: ignore[attr-defined]
        with self._lock:
            self.broken = error
            pending, self._pending = self._pending, {}
        self.close()
        for one in pending.values():
            one.on_failure(error)

    def _receive(self, message: bytes) -> None:
        header, begins = frames.split(message, self._limits.header_bytes)
        answer = pb.FromShard.FromString(header)
        pending = self._pending.get(answer.request)
        if pending is None:
            raise InternalError(f"{self._name} answered a request {answer.request} never made")
        if answer.HasField("refused"):
            refused = answer.refused
            text = f"{self._name}: {refused.message}"
            self._forget(answer.request)
            pending.on_failure(from_code(refused.code, text, self._shard))
            return
        scatter = pending.on_header(answer)
        if answer.payload_bytes:
            if scatter is None:
                scatter = Scatter((), answer.payload_bytes)
            if begins:
                pending.on_payload(scatter, memoryview(message)[begins:])
            while not scatter.complete:
                pending.on_payload(scatter, self._next())
        if pending.on_answer(answer):
            self._forget(answer.request)

    def _next(self) -> bytes:
        for message in self._call:
            return message
        raise UnavailableError(f"{self._name} ended the stream inside an answer")

    def _forget(self, request: int) -> None:
        with self._lock:
            self._pending.pop(request, None)

    def _waited_for(self) -> str:
        with self._lock:
            count = len(self._pending)
        return f"{count} answers" if count != 1 else "an answer"


class Reply:
    """Waits for an answer without payload.

    Attributes:
      answer: None while there is none.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self.answer: pb.FromShard | None = None
        self._error: OpError | None = None

    def on_header(self, answer: pb.FromShard) -> Scatter | None:
        return None

    def on_payload(self, scatter: Scatter, message: Any) -> None:
        scatter.write(message)

    def on_answer(self, answer: pb.FromShard) -> bool:
        self.answer = answer
        self._event.set()
        return True

    def on_failure(self, error: OpError) -> None:
        self._error = error
        self._event.set()

    def wait(self, deadline_s: float) -> pb.FromShard | None:
        """The answer; None if it did not come in time. Raises what the shard answered."""
        if not self._event.wait(deadline_s):
            return None
        if self._error is not None:
            raise self._error
        return self.answer

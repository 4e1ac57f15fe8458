"""A shard's end of one data stream: frames in, frames out.

One thread reads and handles requests in their order. Answers are sent by another one (gRPC), or
at once (a line); a pull that has to wait for its clock is answered when the clock comes, and holds
up nothing behind it.
"""

from __future__ import annotations

import hmac
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import grpc
import numpy as np
from google.protobuf.message import DecodeError

from shardtape.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    OpError,
    ResourceExhaustedError,
)
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.host import ShardHost
from shardtape.ps.messages import Part, Pull, PullResult
from shardtape.ps.wire import codec, frames
from shardtape.ps.wire.buffers import BufferPool
from shardtape.ps.wire.channel import PROTOCOL, Limits
from shardtape.ps.wire.frames import Message, Payload
from shardtape.ps.wire.shared_memory import PeerMemory, host_identity
from shardtape.ps.wire.status import code_and_text, from_code, shortened

# Decoded tables that a stream keeps, and memories of its worker that it maps.
_TABLES = 64
_MEMORIES = 16
# Answers that wait because the worker does not read.
_ANSWERS = 256

Answer = Iterable[bytes]


class Session:
    """One data stream.

    Args:
      find_host: the shard's host; raises FailedPreconditionError while it has no role.
      share: False: memory is neither offered nor read.
      line: name and secret of the host's line, which is offered to clients of the host.
      secret: what a client must show, if this stream is a line itself.
      send_now: sends an answer from the reading thread; without it answers wait in a queue.

    Attributes:
      sink: its `take` may see gRPC's messages first.
    """

    def __init__(
        self,
        find_host: Callable[[], ShardHost],
        job: str,
        limits: Limits,
        pool: BufferPool,
        *,
        share: bool = True,
        line: tuple[str, bytes] | None = None,
        secret: bytes = b"",
        send_now: Callable[[Answer], None] | None = None,
    ) -> None:
        self._line = line
        self._secret = secret
        self._send_now = send_now
        self._reader = 0
        self.sink = frames.Sink()
        self._find_host = find_host
        self._job = job
        self._limits = limits
        self._pool = pool
        self._share = share
        self._host: ShardHost | None = None
        self._worker = -1
        self._answers: queue.SimpleQueue[Answer | OpError | None] = queue.SimpleQueue()
        self._tables: dict[bytes, codec.Table] = {}
        self._in_memory: dict[tuple[bytes, int], list[Part]] = {}
        self._memories: dict[int, PeerMemory] = {}

    # ---- the two threads --------------------------------------------------------------------

    def read(self, messages: Iterator[Message]) -> None:
        """Handles requests until the stream ends; then the answers end, too."""
        self._reader = threading.get_ident()
        try:
            for message in messages:
                self._handle(message, messages)
        except (grpc.RpcError, StreamEnded):
            pass  # the worker went away
        except Exception as error:  # noqa: BLE001 - whatever it is, the worker must hear of it
            self._answers.put(from_code(*code_and_text(error, "the data stream")))
        finally:
            self.close()

    def answers(self) -> Iterator[bytes]:
        """Messages to send; raises OpError if the stream must be given up."""
        while True:
            answer = self._answers.get()
            if answer is None:
                return
            if isinstance(answer, OpError):
                raise answer
            yield from answer

    def answer_alone(self, message: Message) -> Iterator[bytes]:
        """Messages of the answer to a pull that came without a stream.

        Raises OpError if the request is none.
        """
        header, _ = frames.split(message, self._limits.header_bytes)
        try:
            request = pb.ToShard.FromString(header)
        except DecodeError as error:
            raise InvalidArgumentError(f"not a request: {error}") from error
        if request.WhichOneof("body") != "pull" or not request.pull.HasField("hello"):
            raise InvalidArgumentError("a call for values must be a pull that says who asks")
        try:
            self._enter(request.pull.hello, claims=False)
            self._pull(request.request, request.pull)
        except Exception as error:  # noqa: BLE001 - every request is answered
            self._refuse(request.request, error, "pull")
        answer = self._answers.get()
        if answer is not None:
            assert not isinstance(answer, OpError)
            yield from answer

    def close(self) -> None:
        """What this stream still holds counts no more."""
        if self._host is not None:
            self._host.release(self)
        self._answers.put(None)

    # ---- requests ---------------------------------------------------------------------------

    def _handle(self, message: Message, more: Iterator[Message]) -> None:
        if self._answers.qsize() > _ANSWERS:
            raise ResourceExhaustedError(
                f"the worker does not read its answers: {_ANSWERS} of them wait"
            )
        header, begins = frames.split(message, self._limits.header_bytes)
        request = pb.ToShard.FromString(header)
        if request.payload_bytes > self._limits.payload_bytes:
            raise ResourceExhaustedError(
                f"a payload of {request.payload_bytes:,} bytes is over the limit of "
                f"{self._limits.payload_bytes:,}"
            )
        kind = request.WhichOneof("body")
        if self._secret and self._host is None and kind != "hello":
            raise _OutOfStep("a line begins with a Hello")
        try:
            if kind == "push":
                self._push(request, message, begins, more)
            elif kind == "pull":
                self._pull(request.request, request.pull)
            elif kind == "attach":
                self._attach(request.request, request.attach)
            elif kind == "hello":
                self._hello(request.request, request.hello)
            else:
                raise InvalidArgumentError("a frame without a known request came")
        except (StreamEnded, _OutOfStep):
            raise
        except Exception as error:  # noqa: BLE001 - every request is answered
            self._refuse(request.request, error, kind or "request")

    def _refuse(self, number: int, error: BaseException, what: str) -> None:
        code, text = code_and_text(error, what)
        self._send(
            pb.FromShard(request=number, refused=pb.Refused(code=code, message=shortened(text)))
        )

    def _send(self, answer: pb.FromShard, payload: Payload | None = None) -> None:
        if payload is not None:
            answer.payload_bytes = payload.bytes
        if self._secret:
            answer.answered_ns = time.monotonic_ns()
        self._put(frames.messages(answer.SerializeToString(), payload, self._limits.chunk_bytes))

    def _put(self, answer: Answer) -> None:
        if self._send_now is not None and threading.get_ident() == self._reader:
            self._send_now(answer)
        else:
            self._answers.put(answer)

    def _attached_host(self) -> ShardHost:
        if self._host is None:
            raise FailedPreconditionError("the first frame of a stream must be a Hello")
        return self._host

    # ---- hello ------------------------------------------------------------------------------

    def _enter(self, hello: pb.Hello, *, claims: bool) -> ShardHost:
        """Checks who speaks; the host, which knows this stream from now on.

        Args:
          claims: pushes of the worker come over this stream from now on.
        """
        if hello.protocol != PROTOCOL:
            raise FailedPreconditionError(
                f"the client speaks protocol {hello.protocol}, this shard {PROTOCOL}: "
                "run one version of shardtape everywhere"
            )
        if hello.job != self._job:
            raise FailedPreconditionError(
                f"this shard belongs to job {self._job!r}, the client to {hello.job!r}"
            )
        if self._secret and not hmac.compare_digest(hello.line_secret, self._secret):
            raise _OutOfStep("the line was opened without its secret")
        host = self._find_host()
        host.check_client(
            hello.worker,
            hello.generation,
            (hello.term, hello.number),
            hello.placement_digest,
            hello.specs_digest,
        )
        if self._host is not None:
            self._host.release(self)
        self._host, self._worker = host, hello.worker
        if claims and hello.worker >= 0:
            host.claim(hello.worker, self)
        return host

    def _hello(self, number: int, hello: pb.Hello) -> None:
        host = self._enter(hello, claims=True)
        shard = host.shard
        welcome = pb.Welcome(
            protocol=PROTOCOL,
            shard=shard.index,
            generation=shard.generation,
            term=shard.incarnation[0],
            number=shard.incarnation[1],
            mode=shard.consistency.mode,
            max_payload_bytes=self._limits.payload_bytes,
        )
        memory = host.memory
        if memory is not None:
            welcome.layout_bytes = memory.layout.bytes
            for (key, part), offset in memory.layout.offsets.items():
                welcome.layout.add(key=key, part=part, offset=offset)
        offer = memory.offer() if memory is not None else None
        own = host_identity()
        if not hello.boot_id:
            welcome.not_shared_because = "the client did not ask for it"
        elif not self._share:
            welcome.not_shared_because = "the shard was told not to share memory"
        elif hello.boot_id != own:
            welcome.not_shared_because = "the client runs on another host or in another container"
        elif offer is None:
            welcome.not_shared_because = (
                memory.private_because if memory is not None else "the shard has no shared memory"
            )
        else:
            welcome.parameters.CopyFrom(codec.encode_offer(offer))
            if self._line is not None:
                welcome.line_name, welcome.line_secret = self._line
        self._send(pb.FromShard(request=number, welcome=welcome))

    def _attach(self, number: int, attach: pb.Attach) -> None:
        for id in attach.detach:
            self._memories.pop(id, None)
            for key in [key for key in self._in_memory if key[1] == id]:
                del self._in_memory[key]
        attached = pb.Attached(readable=True)
        if attach.HasField("memory"):
            try:
                self._attached_host()
                if not self._share:
                    raise FailedPreconditionError("the shard was told not to share memory")
                if len(self._memories) >= _MEMORIES:
                    raise ResourceExhaustedError(f"{_MEMORIES} memories are attached already")
                memory = PeerMemory(codec.decode_offer(attach.memory))
                self._memories[memory.id] = memory
            except (FailedPreconditionError, ResourceExhaustedError) as error:
                attached = pb.Attached(readable=False, reason=error.message)
        self._send(pb.FromShard(request=number, attached=attached))

    # ---- push -------------------------------------------------------------------------------

    def _push(
        self, request: pb.ToShard, message: Message, begins: int, more: Iterator[Message]
    ) -> None:
        push, size = request.push, request.payload_bytes
        try:
            host = self._attached_host()
            table = self._table(push.parts)
            self._check(push, table, size)
        except Exception:
            # the payload comes whatever is wrong with it; the next frame is behind it
            if not begins:
                _drain(size, more)
            raise
        data: np.ndarray | None = None
        if size:
            data = self._payload(message, begins, size, more)
        parts = self._parts(push, table, data)
        result = host.push(codec.decode_push(push, parts), self if self._worker >= 0 else None)
        self._send(pb.FromShard(request=request.request, pushed=codec.encode_push_result(result)))

    def _table(self, table: bytes) -> codec.Table:
        found = self._tables.get(table)
        if found is None:
            host = self._attached_host()
            found = codec.decode_table(table, host.declared, host.largest_payload_bytes)
            if found.repeats:
                if len(self._tables) >= _TABLES:
                    self._tables.clear()
                    self._in_memory.clear()
                self._tables[table] = found
        return found

    def _check(self, push: pb.Push, table: codec.Table, size: int) -> None:
        if self._worker >= 0 and push.worker != self._worker:
            raise InvalidArgumentError(
                f"worker {self._worker} sent a push in the name of worker {push.worker}"
            )
        if size != table.payload_bytes:
            raise InvalidArgumentError(
                f"the parts of the push need {table.payload_bytes:,} bytes of payload, "
                f"{size:,} were announced"
            )
        if table.memory_bytes:
            memory = self._memories.get(push.memory)
            if memory is None:
                raise FailedPreconditionError(
                    f"memory {push.memory} of worker {self._worker} is not attached"
                )
            if table.memory_bytes > memory.bytes:
                raise InvalidArgumentError(
                    f"parts end at byte {table.memory_bytes:,} of a memory of {memory.bytes:,}"
                )

    def _payload(
        self, message: Message, begins: int, size: int, more: Iterator[Message]
    ) -> np.ndarray:
        """All bytes of a payload in one piece."""
        if begins:
            if len(message) - begins != size:
                raise InvalidArgumentError(
                    f"a payload of {size:,} bytes was announced, {len(message) - begins:,} came"
                )
            return np.frombuffer(message, np.uint8, size, begins)
        try:
            data = self._pool.take(size)
        except ResourceExhaustedError:
            _drain(size, more)
            raise
        scatter = frames.Scatter([(0, data)], size)
        try:
            self.sink.fill(scatter, scatter.write, lambda: _next(more))
        except InvalidArgumentError as error:
            raise _OutOfStep(error.message) from error
        return data

    def _parts(self, push: pb.Push, table: codec.Table, data: np.ndarray | None) -> list[Part]:
        if table.memory_bytes and not table.payload_bytes and table.repeats:
            key = (push.parts, push.memory)
            parts = self._in_memory.get(key)
            if parts is None:
                parts = self._in_memory[key] = self._built(table, push.memory, data)
            return parts
        return self._built(table, push.memory, data)

    def _built(self, table: codec.Table, memory: int, data: np.ndarray | None) -> list[Part]:
        payload = np.empty(0, np.uint8) if data is None else data
        return [
            row.build(self._memories[memory].data, private=False)
            if row.in_memory
            else row.build(payload, private=True)
            for row in table.rows
        ]

    # ---- pull -------------------------------------------------------------------------------

    def _pull(self, number: int, header: pb.Pull) -> None:
        host = self._attached_host()
        pull = codec.decode_pull(header)

        def answer() -> None:
            try:
                if header.only_ready:
                    pull.keys = ()
                self._answer_pull(number, pull, host)
            except Exception as error:  # noqa: BLE001 - every request is answered
                self._refuse(number, error, "pull")

        host.when_ready(pull, answer, self)

    def _answer_pull(self, number: int, pull: Pull, host: ShardHost) -> None:
        def take(result: PullResult) -> Answer:
            answer = pb.PullResult(version=result.version, lsn=result.lsn)
            payload = Payload()
            whole = pull.keys is None and host.memory is not None
            for (key, part), array in result.arrays.items():
                offset = payload.add(array)
                if not whole:
                    answer.layout.add(key=key, part=part, offset=offset)
            message = pb.FromShard(request=number, payload_bytes=payload.bytes, pulled=answer)
            header = message.SerializeToString()
            if not frames.fits(header, payload, self._limits.chunk_bytes):
                message.pulled.in_pieces = True
                return self._long_pull(number, message.SerializeToString(), payload, host)
            # copied while nobody writes
            return frames.messages(header, payload, self._limits.chunk_bytes)

        self._put(host.pull(pull, take))

    def _long_pull(
        self, number: int, header: bytes, payload: Payload, host: ShardHost
    ) -> Iterator[bytes]:
        """Copied message by message as they are sent, each while nobody writes."""
        yield frames.PREFIX.pack(len(header), 0) + header
        yield from host.copied(payload.chunks(self._limits.chunk_bytes))
        end = pb.FromShard(request=number, pull_end=pb.PullEnd(version=host.shard.version))
        yield from frames.messages(end.SerializeToString(), None, self._limits.chunk_bytes)


class StreamEnded(Exception):
    """The worker went away in the middle of a payload."""


class _OutOfStep(InvalidArgumentError):
    """The stream must end, for example because nobody knows where the next frame begins."""


def _next(messages: Iterator[Message]) -> Message:
    try:
        return next(messages)
    except (StopIteration, grpc.RpcError):
        raise StreamEnded from None


def _drain(size: int, messages: Iterator[Message]) -> None:
    while size > 0:
        size -= len(_next(messages))

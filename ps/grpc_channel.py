"""The channel to a shard behind a socket; on one host its values go through shared memory."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import grpc
import numpy as np

from shardtape.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    OpError,
    UnavailableError,
)
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.channels import Answer, Greeting, named
from shardtape.ps.consistency import Consistency
from shardtape.ps.control_client import ControlClient
from shardtape.ps.host import FIRST, specs_digest
from shardtape.ps.ids import AttemptId, BatchId, Incarnation, RangeId, VariableSpec
from shardtape.ps.messages import Pull, PullResult, Push, PushResult, RoundDecision, RoundResult
from shardtape.ps.partition import Placement
from shardtape.ps.shared_reader import SharedReader
from shardtape.ps.stream import GrpcStream, LineStream, Reply, Stream
from shardtape.ps.wire import codec
from shardtape.ps.wire.channel import (
    PROTOCOL,
    Deadlines,
    Limits,
    RetryPolicy,
    Tls,
    call_metadata,
    open_channel,
)
from shardtape.ps.wire.codec import Parts
from shardtape.ps.wire.frames import Scatter
from shardtape.ps.wire.shared_memory import OwnMemory, PeerMemory, host_identity

_LOG = logging.getLogger(__name__)

TRANSPORTS = ("auto", "grpc", "shared")


class GrpcChannel:
    """One shard behind a socket. Connects at the first call, and again after the stream broke.

    Args:
      address: "host:port".
      token, job: of the job.
      shard: its number, for error texts; learnt from the shard if -1.
      transport: "auto": shared memory where both are on one host, else gRPC; "grpc": never shared
        memory; "shared": FailedPreconditionError where it cannot be had.

    Attributes:
      transport: what became of it: "shared" or "grpc"; "" before `hello`.
      reason: why it is not "shared".
    """

    def __init__(
        self,
        address: str,
        token: str = "",
        *,
        job: str = "",
        shard: int = -1,
        transport: str = "auto",
        tls: Tls | None = None,
        limits: Limits | None = None,
        deadlines: Deadlines | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        if transport not in TRANSPORTS:
            raise InvalidArgumentError(
                f"unknown transport {transport!r}: expected one of {', '.join(TRANSPORTS)}"
            )
        self.address = address
        self.shard = shard
        self.transport = ""
        self.reason = ""
        self._wanted = transport
        self._job = job
        self._tls = tls
        self._limits = limits or Limits()
        self._deadlines = deadlines or Deadlines()
        self._metadata = call_metadata(token, job)
        self._control = ControlClient(
            address,
            self.name,
            shard,
            self._metadata,
            tls,
            self._limits,
            self._deadlines,
            retry or RetryPolicy(),
        )
        self._channel: grpc.Channel | None = None
        # Pushes, and pulls without values: over the line if there is one. Values: over gRPC.
        self._stream: Stream | None = None
        self._values: GrpcStream | None = None
        self._connecting = threading.RLock()
        self._closed = False
        # What the last `hello` said is said again after a broken stream.
        self._boot_id = "" if transport == "grpc" else host_identity()
        self._hello = pb.Hello(protocol=PROTOCOL, job=job, worker=-1, boot_id=self._boot_id)
        self._incarnation: Incarnation | None = None
        self._greeting: Greeting | None = None
        self._layout: dict[RangeId, int] = {}
        self._layout_bytes = 0
        self._parameters: SharedReader | None = None
        self._memories: dict[int, OwnMemory] = {}
        self._readable: set[int] = set()
        self._targets: tuple[Any, list[tuple[int, np.ndarray]]] = (None, [])

    @property
    def name(self) -> str:
        number = f" {self.shard}" if self.shard >= 0 else ""
        return f"shard{number} at {self.address}"

    # ---- connecting -------------------------------------------------------------------------

    def hello(
        self,
        worker: int,
        *,
        generation: int = 0,
        incarnation: Incarnation | None = None,
        placement: Placement | None = None,
        specs: Sequence[VariableSpec] = (),
    ) -> Greeting:
        with self._connecting:
            self._drop_streams()
            self._hello = pb.Hello(
                protocol=PROTOCOL,
                job=self._job,
                worker=worker,
                generation=generation,
                placement_digest=placement.digest() if placement is not None else "",
                specs_digest=specs_digest(specs) if specs else "",
                boot_id=self._boot_id,
            )
            self._incarnation = None if incarnation is None else Incarnation(*incarnation)
            self._connected()
            assert self._greeting is not None
            return self._greeting

    def _connected(self) -> Stream:
        """The live stream; opens one if there is none. Raises OpError."""
        stream = self._stream
        if stream is not None and stream.broken is None:
            return stream
        with self._connecting:
            stream = self._stream
            if stream is not None and stream.broken is None:
                return stream
            if self._closed:
                raise named(UnavailableError(f"the channel to {self.name} is closed"), self.shard)
            self._drop_streams()
            stream = self._open()
            try:
                line = self._greet(stream)
                if line is not None:
                    self._values, stream = stream, line
                for memory in list(self._memories.values()):
                    self._announce(stream, memory)
            except BaseException:
                stream.close()
                raise
            self._stream = stream
            return stream

    def _open(self) -> GrpcStream:
        if self._channel is None:
            self._channel = open_channel(self.address, self._limits, self._tls)
        return GrpcStream(self._channel, self._metadata, self._limits, self.name, self.shard)

    def _value_stream(self) -> Stream:
        """A live gRPC stream. Raises OpError."""
        stream = self._connected()
        if isinstance(stream, GrpcStream):
            return stream
        with self._connecting:
            values = self._values
            if values is None or values.broken is not None:
                values = self._open()
                hello = pb.Hello()
                hello.CopyFrom(self._hello)
                hello.only_reads = True
                try:
                    self._ask(values, pb.ToShard(hello=hello), "its welcome")
                except BaseException:
                    values.close()
                    raise
                self._values = values
            return values

    def _ask(self, stream: Stream, request: pb.ToShard, waited_for: str) -> pb.FromShard:
        reply = Reply()
        stream.send(request, None, reply)
        answer = reply.wait(stream, self._deadlines.connect_s)
        if answer is None:
            raise named(
                DeadlineExceededError(
                    f"{self.name} did not answer within {self._deadlines.connect_s:.3g} s: "
                    f"waited for {waited_for}"
                ),
                self.shard,
            )
        return answer

    def _greet(self, stream: GrpcStream) -> LineStream | None:
        """Says hello; a line, if there is one."""
        hello = self._hello
        if self._incarnation is None and hello.worker >= 0:
            self._incarnation = self._learn(stream)
        if self._incarnation is not None:
            hello.term, hello.number = self._incarnation
        welcome = self._ask(stream, pb.ToShard(hello=hello), "its welcome").welcome
        incarnation = Incarnation(welcome.term, welcome.number)
        if self.shard < 0:
            self.shard = welcome.shard
        elif welcome.shard != self.shard:
            raise FailedPreconditionError(
                f"{self.name} says that it is shard {welcome.shard}: the addresses are mixed up"
            )
        self._layout = {(place.key, place.part): place.offset for place in welcome.layout}
        self._layout_bytes = welcome.layout_bytes
        self._targets = (None, [])
        self._open_parameters(welcome)
        self._readable.clear()
        self._greeting = Greeting(
            welcome.shard,
            welcome.generation,
            incarnation,
            welcome.mode,
            self.transport,
            self.reason,
        )
        return self._open_line(welcome) if self.transport == "shared" else None

    def _open_line(self, welcome: pb.Welcome) -> LineStream | None:
        if not welcome.line_name:
            return None
        hello = pb.Hello()
        hello.CopyFrom(self._hello)
        hello.line_secret = welcome.line_secret
        try:
            line = LineStream(welcome.line_name, self._limits, self.name, self.shard)
        except UnavailableError as error:
            _LOG.info("%s; pushes go over gRPC", error.message)
            return None
        try:
            self._ask(line, pb.ToShard(hello=hello), "its welcome on the line")
        except BaseException:
            line.close()
            raise
        return line

    def _learn(self, stream: Stream) -> Incarnation:
        """The shard's incarnation, if nobody said which: the first one found stays expected."""
        hello = pb.Hello(protocol=PROTOCOL, job=self._job, worker=-1)
        welcome = self._ask(stream, pb.ToShard(hello=hello), "its welcome").welcome
        return Incarnation(welcome.term, welcome.number)

    def _open_parameters(self, welcome: pb.Welcome) -> None:
        self._parameters = None
        self.transport, self.reason = "grpc", welcome.not_shared_because
        if welcome.HasField("parameters"):
            try:
                memory = PeerMemory(codec.decode_offer(welcome.parameters))
                self._parameters = SharedReader(
                    memory, self._layout, (welcome.generation, welcome.term, welcome.number)
                )
                self.transport, self.reason = "shared", ""
            except FailedPreconditionError as error:
                self.reason = error.message
        elif self._wanted == "grpc":
            self.reason = "the client was told to use gRPC"
        if self._wanted == "shared" and self.transport != "shared":
            raise FailedPreconditionError(
                f"{self.name}: shared memory was asked for and cannot be had: {self.reason}"
            )

    def attach(self, memory: OwnMemory) -> bool:
        with self._connecting:
            self._memories[memory.id] = memory
            if self.transport != "shared":
                return False
            stream = self._connected()
            if memory.id not in self._readable:
                self._announce(stream, memory)
            return memory.id in self._readable

    def replace_memory(self, old: OwnMemory | None, new: OwnMemory | None) -> None:
        # Without the lock: a thread that connects to a frozen shard may hold it for long.
        request = pb.ToShard(attach=pb.Attach())
        if old is not None:
            self._memories.pop(old.id, None)
            self._readable.discard(old.id)
            request.attach.detach.append(old.id)
        if new is not None:
            self._memories[new.id] = new
            request.attach.memory.CopyFrom(codec.encode_offer(new.offer()))
        stream = self._stream
        if self.transport == "shared" and stream is not None and stream.broken is None:
            try:
                stream.send(request, None, Reply())
            except OpError:
                return  # the next stream announces what is in _memories
            if new is not None:
                self._readable.add(new.id)  # as the one before; a push would be refused if not

    def _announce(self, stream: Stream, memory: OwnMemory) -> None:
        if self.transport != "shared":
            return
        request = pb.ToShard(attach=pb.Attach(memory=codec.encode_offer(memory.offer())))
        attached = self._ask(stream, request, "gradient memory to be opened").attached
        if attached.readable:
            self._readable.add(memory.id)
        else:
            self.reason = f"the shard cannot read gradients in place: {attached.reason}"

    def _drop_streams(self) -> None:
        streams = (self._stream, self._values)
        self._stream = self._values = None
        for stream in streams:
            if stream is not None:
                stream.close()

    # ---- data -------------------------------------------------------------------------------

    def push(self, push: Push) -> Answer[PushResult]:
        answer: Answer[PushResult] = Answer(
            self.name, f"{push.batch}, attempt {push.attempt}, to be acknowledged"
        )
        try:
            stream = self._connected()
            parts = push.parts
            in_memory = isinstance(parts, Parts) and parts.fixed.memory_id in self._readable
            header, payload = codec.encode_push(push, memory_readable=in_memory)
            answer.bytes = 0 if payload is None else payload.array_bytes
            if in_memory and isinstance(parts, Parts):
                answer.bytes += parts.fixed.bytes
            answer.carrier = None if stream.reads_itself else stream
            stream.send(pb.ToShard(push=header), payload, _PushPending(answer, push))
        except OpError as error:
            answer.fail(error)
        return answer

    def pull(self, pull: Pull, into: Mapping[RangeId, np.ndarray]) -> Answer[PullResult]:
        answer = _PullAnswer(self, pull, into)
        try:
            stream = self._connected()
            if self._parameters is None:
                answer.ask_for_values()
            elif self._greeting is not None and self._greeting.mode == "async":
                # nobody to wait for: no message at all, but a dead shard's values must not do
                if not stream.alive():
                    stream = self._connected()
                answer.read_shared(stream)
            else:
                answer.ask_when_ready(stream)
        except OpError as error:
            answer.fail(error)
        return answer

    def _targets_of(
        self, pull: Pull, into: Mapping[RangeId, np.ndarray], answer: pb.PullResult
    ) -> list[tuple[int, np.ndarray]]:
        """Offsets in a payload and the arrays that they belong to, by offset."""
        if pull.keys is not None:
            layout = {(place.key, place.part): place.offset for place in answer.layout}
        elif self._targets[0] is into:
            return self._targets[1]
        else:
            layout = self._layout
        try:
            targets = sorted(((layout[id], into[id]) for id in layout), key=lambda pair: pair[0])
        except KeyError as error:
            raise InternalError(
                f"{self.name} sent a range {error} that was not asked for"
            ) from None
        if pull.keys is None:
            self._targets = (into, targets)
        return targets

    # ---- control ----------------------------------------------------------------------------

    def initialize(self, values: Mapping[RangeId, np.ndarray]) -> str:
        return self._control.initialize(values)

    def decide(self, decision: RoundDecision) -> RoundResult:
        return self._control.decide(decision)

    def members(self, live: Iterable[int], idle: Iterable[int]) -> None:
        self._control.members(live, idle)

    def counters(self) -> dict[str, Any]:
        return self._control.counters()

    def missing(self, expected: Mapping[tuple[int, int], int]) -> list[BatchId]:
        return self._control.missing(expected)

    def staged(self) -> list[AttemptId]:
        return self._control.staged()

    def close_epoch(self, epoch: int) -> None:
        self._control.close_epoch(epoch)

    def set_learning_rate(self, rate: float | None) -> None:
        self._control.set_learning_rate(rate)

    def assume(
        self,
        index: int,
        placement: Placement,
        specs: Iterable[VariableSpec],
        optimizer: dict[str, Any],
        consistency: Consistency,
        *,
        generation: int = 0,
        incarnation: Incarnation = FIRST,
    ) -> None:
        self._control.assume(
            index,
            placement,
            specs,
            optimizer,
            consistency,
            generation=generation,
            incarnation=incarnation,
        )

    def digest(self) -> str:
        return self._control.digest()

    def snapshot(self, directory: str, *, mark: str = "", step: int = 0) -> dict[str, Any]:
        return self._control.snapshot(directory, mark=mark, step=step)

    def restore(self, directory: str) -> dict[str, Any]:
        return self._control.restore(directory)

    def heartbeat(self, deadline_s: float = 1.0) -> dict[str, Any]:
        return self._control.heartbeat(deadline_s)

    def shutdown(self) -> None:
        self._control.shutdown()

    def close(self) -> None:
        with self._connecting:
            self._closed = True
            self._drop_streams()
            channel, self._channel = self._channel, None
            self._parameters = None
        self._control.close()
        if channel is not None:
            channel.close()


class _PushPending:
    """Turns the answer to a push into its result."""

    __slots__ = ("_answer", "_push")

    def __init__(self, answer: Answer[PushResult], push: Push) -> None:
        self._answer = answer
        self._push = push

    def on_header(self, answer: pb.FromShard) -> Scatter | None:
        return None

    def on_payload(self, scatter: Scatter, message: Any) -> None:
        scatter.write(message)

    def on_answer(self, answer: pb.FromShard) -> bool:
        result = codec.decode_push_result(answer.pushed, self._push)
        self._answer.succeed(result, answer.answered_ns)
        return True

    def on_failure(self, error: OpError) -> None:
        self._answer.fail(error)


class _PullAnswer(Answer[PullResult]):
    """A pull under way: through the stream, or from shared memory once the shard says ready."""

    def __init__(
        self, channel: GrpcChannel, pull: Pull, into: Mapping[RangeId, np.ndarray]
    ) -> None:
        super().__init__(channel.name, f"values of clock {pull.clock}")
        self._channel = channel
        self._pull = pull
        self._into = into
        self._stream: Stream | None = None
        self._only_ready = False
        self._given_up = False
        self._writing = threading.Lock()
        self._values = PullResult(0, 0, {})

    # ---- asking -----------------------------------------------------------------------------

    def ask_for_values(self) -> None:
        stream = self._channel._value_stream()
        self._stream, self._only_ready = stream, False
        self.carrier = None
        stream.send(pb.ToShard(pull=codec.encode_pull(self._pull)), None, self)

    def ask_when_ready(self, stream: Stream) -> None:
        self._stream, self._only_ready = stream, True
        self.carrier = None if stream.reads_itself else stream
        header = codec.encode_pull(self._pull, only_ready=True)
        stream.send(pb.ToShard(pull=header), None, self)

    def read_shared(self, stream: Stream) -> None:
        """Copies from shared memory; where writers do not leave it alone, asks for values."""
        reader = self._channel._parameters
        greeting = self._channel._greeting
        done = None
        if reader is not None and greeting is not None:
            with self._writing:
                if self._given_up:
                    return
                done = reader.read(
                    self._pull.keys,
                    self._into,
                    consistent=greeting.mode == "sync",
                    alive=stream.alive,
                )
        if done is None:
            self.ask_for_values()
            return
        version, lsn, self.bytes = done
        self.succeed(PullResult(version, lsn, dict(self._into)))

    # ---- answers (on the stream's thread) ---------------------------------------------------

    def on_header(self, answer: pb.FromShard) -> Scatter | None:
        if answer.HasField("pull_end"):
            return None
        pulled = answer.pulled
        self._values = PullResult(pulled.version, pulled.lsn, {})
        if self._only_ready:
            return None
        targets = self._channel._targets_of(self._pull, self._into, pulled)
        self.bytes = sum(target.nbytes for _, target in targets)
        if targets and targets[-1][0] + targets[-1][1].nbytes > answer.payload_bytes:
            raise InternalError(
                f"{self._channel.name} sent {answer.payload_bytes:,} bytes of values, "
                f"{targets[-1][0] + targets[-1][1].nbytes:,} were expected"
            )
        return Scatter(targets, answer.payload_bytes)

    def on_payload(self, scatter: Scatter, message: Any) -> None:
        with self._writing:
            if self._given_up:
                scatter.skip(len(message))
            else:
                scatter.write(message)

    def on_answer(self, answer: pb.FromShard) -> bool:
        stream = self._stream
        assert stream is not None
        if self._only_ready:
            try:
                self.read_shared(stream)
            except OpError as error:
                self.fail(error)
            return True
        if answer.pulled.in_pieces:
            return False
        if answer.HasField("pull_end"):
            changed = answer.pull_end.version != self._values.version
            greeting = self._channel._greeting
            if changed and greeting is not None and greeting.mode == "sync":
                # of two rounds: not a state that ever was
                try:
                    self.ask_for_values()
                except OpError as error:
                    self.fail(error)
                return True
        self._values.arrays = dict(self._into)
        self.succeed(self._values)
        return True

    def on_failure(self, error: OpError) -> None:
        self.fail(error)

    def give_up(self) -> None:
        with self._writing:
            self._given_up = True

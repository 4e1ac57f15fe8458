"""The channel to a shard behind a socket; on one host its values go through shared memory."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from shardtape.errors import InternalError, OpError
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.channels import Answer
from shardtape.ps.connection import Connection
from shardtape.ps.consistency import Consistency
from shardtape.ps.control_client import ControlClient
from shardtape.ps.host import FIRST
from shardtape.ps.ids import AttemptId, BatchId, Incarnation, RangeId, VariableSpec
from shardtape.ps.messages import Pull, PullResult, Push, PushResult, RoundDecision, RoundResult
from shardtape.ps.partition import Placement
from shardtape.ps.stream import Stream
from shardtape.ps.wire import codec
from shardtape.ps.wire.channel import Deadlines, Limits, RetryPolicy, Tls
from shardtape.ps.wire.codec import Parts
from shardtape.ps.wire.frames import Scatter


class GrpcChannel(Connection):
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
        limits, deadlines = limits or Limits(), deadlines or Deadlines()
        super().__init__(address, token, job, shard, transport, tls, limits, deadlines)
        self._control = ControlClient(
            address,
            self.name,
            shard,
            self._metadata,
            tls,
            limits,
            deadlines,
            retry or RetryPolicy(),
        )
        # (`into` and layout of the newest pull, where its arrays lie in a payload)
        self._targets: tuple[Any, Any, list[tuple[int, np.ndarray]]] = (None, None, [])

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
            elif self.greeting is not None and self.greeting.mode == "async":
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
        elif self._targets[0] is into and self._targets[1] is self._layout:
            return self._targets[2]
        else:
            layout = self._layout
        try:
            targets = sorted(((layout[id], into[id]) for id in layout), key=lambda pair: pair[0])
        except KeyError as error:
            raise InternalError(
                f"{self.name} sent a range {error} that was not asked for"
            ) from None
        if pull.keys is None:
            self._targets = (into, layout, targets)
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
        super().close()
        self._control.close()


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
        self._asked: tuple[Stream, int] | None = None  # for values
        self._only_ready = False
        self._given_up = False
        self._writing = threading.Lock()
        self._values = PullResult(0, 0, {})

    # ---- asking -----------------------------------------------------------------------------

    def ask_for_values(self) -> None:
        self._only_ready = False
        self.carrier = None
        keys = self._into if self._pull.keys is None else self._pull.keys
        size = sum(self._into[key].nbytes for key in keys)
        header = codec.encode_pull(self._pull)
        self._asked = self._channel._ask_for_values(header, size, self)
        if self._given_up:  # meanwhile, where values are asked for again
            self.give_up()

    def ask_when_ready(self, stream: Stream) -> None:
        self._stream, self._only_ready = stream, True
        self.carrier = None if stream.reads_itself else stream
        header = codec.encode_pull(self._pull, only_ready=True)
        stream.send(pb.ToShard(pull=header), None, self)

    def read_shared(self, stream: Stream) -> None:
        """Copies from shared memory; where writers do not leave it alone, asks for values."""
        reader = self._channel._parameters
        greeting = self._channel.greeting
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
        if self._only_ready:
            assert self._stream is not None
            try:
                self.read_shared(self._stream)
            except OpError as error:
                self.fail(error)
            return True
        if answer.pulled.in_pieces:
            return False
        if answer.HasField("pull_end"):
            changed = answer.pull_end.version != self._values.version
            greeting = self._channel.greeting
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
        if self._asked is not None:
            stream, number = self._asked
            stream.give_up(number)

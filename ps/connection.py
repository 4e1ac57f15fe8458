"""A client's connection to one shard: who it is, by which carriers, and which memory is shared."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import grpc

from shardtape.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    OpError,
    UnavailableError,
)
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.channels import Greeting, named
from shardtape.ps.host import specs_digest
from shardtape.ps.ids import Incarnation, RangeId, VariableSpec
from shardtape.ps.partition import Placement
from shardtape.ps.shared_reader import SharedReader
from shardtape.ps.stream import GrpcStream, LineStream, Pending, Reply, Stream, ValueCalls
from shardtape.ps.wire import codec
from shardtape.ps.wire.channel import (
    PROTOCOL,
    Deadlines,
    Limits,
    Tls,
    call_metadata,
    open_channel,
)
from shardtape.ps.wire.shared_memory import OwnMemory, PeerMemory, host_identity

_LOG = logging.getLogger(__name__)

TRANSPORTS = ("auto", "grpc", "shared")


class Connection:
    """Connects at the first use, and again after the stream broke.

    Args: see `ps.grpc_channel.GrpcChannel`.

    Attributes:
      shard: number of the shard; -1 while it is not known.
      transport: "shared" or "grpc"; "" while there is no connection.
      reason: why it is not "shared".
      greeting: of the newest connection.
    """

    def __init__(
        self,
        address: str,
        token: str,
        job: str,
        shard: int,
        transport: str,
        tls: Tls | None,
        limits: Limits,
        deadlines: Deadlines,
    ) -> None:
        if transport not in TRANSPORTS:
            raise InvalidArgumentError(
                f"unknown transport {transport!r}: expected one of {', '.join(TRANSPORTS)}"
            )
        self.address = address
        self.shard = shard
        self.transport = ""
        self.reason = ""
        self.greeting: Greeting | None = None
        self._wanted = transport
        self._job = job
        self._tls = tls
        self._limits = limits
        self._deadlines = deadlines
        self._metadata = call_metadata(token, job)
        self._channel: grpc.Channel | None = None
        # Pushes, small pulls, and pulls without values: over the line if there is one. Values of
        # more than a message: over gRPC.
        self._stream: Stream | None = None
        self._values: ValueCalls | None = None
        self._value_channel: grpc.Channel | None = None
        self._connecting = threading.RLock()
        self._closed = False
        # What the last `hello` said is said again after a broken stream.
        self._boot_id = "" if transport == "grpc" else host_identity()
        self._hello = pb.Hello(protocol=PROTOCOL, job=job, worker=-1, boot_id=self._boot_id)
        self._incarnation: Incarnation | None = None
        self._layout: dict[RangeId, int] = {}
        self._parameters: SharedReader | None = None
        self._memories: dict[int, OwnMemory] = {}
        self._readable: set[int] = set()

    @property
    def name(self) -> str:
        """For error texts: "shard 1 at 127.0.0.1:4000"."""
        number = f" {self.shard}" if self.shard >= 0 else ""
        return f"shard{number} at {self.address}"

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
            assert self.greeting is not None
            return self.greeting

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
                    stream.close()
                    stream = line
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

    def _ask_for_values(self, pull: pb.Pull, bytes: int, pending: Pending) -> tuple[Stream, int]:
        """Sends a pull whose answer has about so many bytes; who carries it, under which number.

        Raises OpError.
        """
        stream = self._connected()
        if bytes > self._limits.chunk_bytes or not isinstance(stream, GrpcStream):
            with self._connecting:
                stream = self._values_calls()
                pull.hello.CopyFrom(self._hello)
        return stream, stream.send(pb.ToShard(pull=pull), None, pending)

    def _values_calls(self) -> ValueCalls:
        values = self._values
        if values is None or values.broken is not None:
            if self._closed:
                raise named(UnavailableError(f"the channel to {self.name} is closed"), self.shard)
            if self._value_channel is None:
                self._value_channel = open_channel(
                    self.address, self._limits, self._tls, read_by_caller=True
                )
            values = self._values = ValueCalls(
                self._value_channel, self._metadata, self._limits, self.name, self.shard
            )
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
        self._open_parameters(welcome)
        self._readable.clear()
        self.greeting = Greeting(
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

    def close(self) -> None:
        """Ends the connection; pending answers fail with UnavailableError."""
        with self._connecting:
            self._closed = True
            self._drop_streams()
            channels = (self._channel, self._value_channel)
            self._channel = self._value_channel = None
            self._parameters = None
        for channel in channels:
            if channel is not None:
                channel.close()

"""A shard's control calls: decode, call the host, encode. They have threads of their own."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import grpc
import numpy as np

from shardtape.errors import InvalidArgumentError
from shardtape.protos import shard_pb2 as pb
from shardtape.ps import stored
from shardtape.ps.consistency import Consistency
from shardtape.ps.host import ShardHost
from shardtape.ps.ids import Incarnation, RangeId, VariableSpec
from shardtape.ps.partition import Placement
from shardtape.ps.wire import codec, frames
from shardtape.ps.wire.channel import Limits
from shardtape.ps.wire.layout import array_at
from shardtape.ps.wire.status import grpc_status


class Roles(Protocol):
    """What a server tells its control calls."""

    limits: Limits

    def host(self) -> ShardHost:
        """Raises FailedPreconditionError while there is no role."""

    def assume(
        self,
        index: int,
        placement: Placement,
        specs: tuple[VariableSpec, ...],
        optimizer: dict[str, Any],
        consistency: Consistency,
        *,
        generation: int,
        incarnation: Incarnation,
    ) -> None: ...

    def heartbeat(self) -> pb.HeartbeatAnswer: ...

    def request_shutdown(self) -> None: ...


def _mapped(call: Callable[..., Any]) -> Callable[..., Any]:
    """Errors of a call become its status."""

    @functools.wraps(call)
    def mapped(self: Control, request: Any, context: grpc.ServicerContext) -> Any:
        try:
            return call(self, request)
        except Exception as error:  # noqa: BLE001 - every call gets a status that says what failed
            context.abort(*grpc_status(error, call.__name__))

    return mapped


class Control:
    """The control half of the service `shardtape.ps.v1.Shard` (see protos/shard.proto)."""

    def __init__(self, roles: Roles) -> None:
        self._roles = roles

    @_mapped
    def SetInitialValues(self, messages: Iterator[bytes]) -> pb.Digest:
        host, limits = self._roles.host(), self._roles.limits
        header_bytes, begins = frames.split(next(messages, b""), limits.header_bytes)
        header = pb.Initialize.FromString(header_bytes)
        table = codec.decode_table(header.parts, host.declared, host.largest_payload_bytes)
        if begins or header.payload_bytes != table.payload_bytes or table.memory_bytes:
            raise InvalidArgumentError(
                f"first values of {table.payload_bytes:,} bytes are needed, "
                f"{header.payload_bytes:,} were announced"
            )
        data = np.empty(table.payload_bytes, np.uint8)
        scatter = frames.Scatter([(0, data)], table.payload_bytes)
        for message in messages:
            scatter.write(message)
        if not scatter.complete:
            raise InvalidArgumentError("the first values are cut off")
        values: dict[RangeId, np.ndarray] = {
            (row.key, row.part): array_at(data, row.offset, row.shape, row.dtype)
            for row in table.rows
        }
        return pb.Digest(digest=host.initialize(values))

    @_mapped
    def Heartbeat(self, request: pb.HeartbeatRequest) -> pb.HeartbeatAnswer:
        return self._roles.heartbeat()

    @_mapped
    def Decide(self, request: pb.RoundDecision) -> pb.RoundResult:
        decision = codec.decode_decision(request)
        return codec.encode_round_result(self._roles.host().decide(decision))

    @_mapped
    def SetMembers(self, request: pb.Members) -> pb.Done:
        self._roles.host().members(set(request.live), set(request.idle))
        return pb.Done()

    @_mapped
    def GetCounters(self, request: pb.Nothing) -> pb.Json:
        return pb.Json(json=json.dumps(self._roles.host().counters()))

    @_mapped
    def GetMissing(self, request: pb.Expected) -> pb.Batches:
        expected = {(s.epoch, s.split): s.batches for s in request.splits}
        lacking = self._roles.host().missing(expected)
        return pb.Batches(batches=[codec.encode_batch(batch) for batch in lacking])

    @_mapped
    def GetStaged(self, request: pb.Nothing) -> pb.Attempts:
        staged = self._roles.host().staged()
        return pb.Attempts(attempts=[codec.encode_attempt(*name) for name in staged])

    @_mapped
    def CloseEpoch(self, request: pb.Epoch) -> pb.Done:
        self._roles.host().close_epoch(request.epoch)
        return pb.Done()

    @_mapped
    def SetLearningRate(self, request: pb.LearningRate) -> pb.Done:
        rate = request.rate if request.HasField("rate") else None
        self._roles.host().set_learning_rate(rate)
        return pb.Done()

    @_mapped
    def Assume(self, request: pb.Role) -> pb.Done:
        self._roles.assume(
            request.shard,
            Placement.from_json(request.placement_json),
            tuple(VariableSpec(v.key, tuple(v.shape), v.dtype, v.role) for v in request.variables),
            _from_json(request.optimizer_json, "optimizer"),
            Consistency.from_dict(_from_json(request.consistency_json, "consistency")),
            generation=request.generation,
            incarnation=Incarnation(request.term, request.number),
        )
        return pb.Done()

    @_mapped
    def GetDigest(self, request: pb.Nothing) -> pb.Digest:
        return pb.Digest(digest=self._roles.host().digest())

    @_mapped
    def TakeSnapshot(self, request: pb.SnapshotRequest) -> pb.Json:
        snapshot = self._roles.host().snapshot(request.mark)
        fragment = stored.write(snapshot.state(), request.directory, request.step)
        return pb.Json(json=json.dumps(fragment))

    @_mapped
    def Restore(self, request: pb.RestoreRequest) -> pb.Json:
        host = self._roles.host()
        state = stored.read(request.directory, host.shard.placement, host.shard.index)
        host.restore(state)
        return pb.Json(json=json.dumps(host.counters()))

    @_mapped
    def Shutdown(self, request: pb.Nothing) -> pb.Done:
        self._roles.request_shutdown()
        return pb.Done()


def _from_json(text: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidArgumentError(f"the role's {what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"the role's {what} must be a JSON object")
    return value

"""Control calls to one shard, over a connection of their own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import grpc
import numpy as np

from shardtape.errors import OpError, UnavailableError
from shardtape.protos import shard_pb2 as pb
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import AttemptId, BatchId, Incarnation, RangeId, VariableSpec
from shardtape.ps.messages import ASSIGN, Part, RoundDecision, RoundResult
from shardtape.ps.partition import Placement
from shardtape.ps.wire import codec, frames
from shardtape.ps.wire.channel import Deadlines, Limits, RetryPolicy, Tls, open_channel
from shardtape.ps.wire.status import from_call

_SERVICE = "/shardtape.ps.v1.Shard/"


class ControlClient:
    """Control calls. Each can be repeated, so one whose connection broke is tried again.

    Args:
      name: "shard 1 at 127.0.0.1:4000".
      shard: its number, which errors carry.
    """

    def __init__(
        self,
        address: str,
        name: str,
        shard: int,
        metadata: tuple[tuple[str, str], ...],
        tls: Tls | None,
        limits: Limits,
        deadlines: Deadlines,
        retry: RetryPolicy,
    ) -> None:
        self._address = address
        self._name = name
        self._shard = shard
        self._metadata = metadata
        self._tls = tls
        self._limits = limits
        self._deadlines = deadlines
        self._retry = retry
        self._channel: grpc.Channel | None = None
        self._calls: dict[str, Callable[..., Any]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        with self._lock:
            self._closed = True
            channel, self._channel = self._channel, None
            self._calls.clear()
        if channel is not None:
            channel.close()

    def _method(self, name: str) -> Callable[..., Any]:
        with self._lock:
            if self._closed:
                raise UnavailableError(f"the channel to {self._name} is closed")
            if self._channel is None:
                self._channel = open_channel(self._address, self._limits, self._tls)
            call = self._calls.get(name)
            if call is None:
                method = pb.DESCRIPTOR.services_by_name["Shard"].methods_by_name[name]
                answer = getattr(pb, method.output_type.name).FromString
                if name == "SetInitialValues":
                    call = self._channel.stream_unary(_SERVICE + name, response_deserializer=answer)
                else:
                    request = getattr(pb, method.input_type.name).SerializeToString
                    call = self._channel.unary_unary(_SERVICE + name, request, answer)
                self._calls[name] = call
            return call

    def _call(
        self,
        method: str,
        request: Any,
        waited_for: str,
        deadline_s: float,
        *,
        retry: bool = True,
    ) -> Any:
        """One call. `request` is a message, or a function that gives an iterator of messages."""
        started = time.monotonic()
        give_up = started + (min(self._retry.total_s, deadline_s) if retry else 0.0)
        waits = self._retry.waits_s()
        while True:
            left = deadline_s - (time.monotonic() - started)
            try:
                return self._method(method)(
                    request() if callable(request) else request,
                    timeout=max(left, 0.001),
                    metadata=self._metadata,
                )
            except grpc.RpcError as error:
                if self._closed:
                    text = f"the channel to {self._name} was closed while waiting for {waited_for}"
                    raise UnavailableError(text) from error
                failed = from_call(error, self._name, waited_for, self._shard)
            except ValueError as error:  # gRPC's way to say that the channel was closed meanwhile
                failed = UnavailableError(f"the channel to {self._name} is closed: {error}")
            wait = next(waits)
            if not isinstance(failed, UnavailableError) or time.monotonic() + wait > give_up:
                raise failed
            time.sleep(wait)

    def _quick(self, method: str, request: Any, waited_for: str) -> Any:
        return self._call(method, request, waited_for, self._deadlines.control_s)

    # ---- calls ------------------------------------------------------------------------------

    def initialize(self, values: Mapping[RangeId, np.ndarray]) -> str:
        parts = [Part(key, part, ASSIGN, np.asarray(v)) for (key, part), v in values.items()]
        table, payload = codec.encode_parts(parts)
        header = pb.Initialize(payload_bytes=payload.bytes, parts=table).SerializeToString()

        def messages() -> Iterator[bytes]:
            yield frames.PREFIX.pack(len(header), 0) + header
            yield from payload.chunks(self._limits.chunk_bytes)

        return self._call(
            "SetInitialValues",
            messages,
            "its first values to be taken",
            self._deadlines.transfer_s,
        ).digest

    def decide(self, decision: RoundDecision) -> RoundResult:
        answer = self._call(
            "Decide",
            codec.encode_decision(decision),
            f"round {decision.round} to be applied",
            self._deadlines.push_s,
        )
        return codec.decode_round_result(answer)

    def members(self, live: Iterable[int], idle: Iterable[int]) -> None:
        request = pb.Members(live=sorted(live), idle=sorted(idle))
        self._quick("SetMembers", request, "the list of workers to be taken")

    def counters(self) -> dict[str, Any]:
        answer = self._quick("GetCounters", pb.Nothing(), "its counters")
        return with_tuples(json.loads(answer.json))

    def missing(self, expected: Mapping[tuple[int, int], int]) -> list[BatchId]:
        request = pb.Expected()
        for (epoch, split), batches in expected.items():
            request.splits.add(epoch=epoch, split=split, batches=batches)
        answer = self._quick("GetMissing", request, "the list of missing batches")
        return [codec.decode_batch(batch) for batch in answer.batches]

    def staged(self) -> list[AttemptId]:
        answer = self._quick("GetStaged", pb.Nothing(), "the list of staged attempts")
        return [codec.decode_attempt(name) for name in answer.attempts]

    def close_epoch(self, epoch: int) -> None:
        self._quick("CloseEpoch", pb.Epoch(epoch=epoch), f"epoch {epoch} to be closed")

    def set_learning_rate(self, rate: float | None) -> None:
        self._quick("SetLearningRate", pb.LearningRate(rate=rate), "a learning rate to be set")

    def assume(
        self,
        index: int,
        placement: Placement,
        specs: Iterable[VariableSpec],
        optimizer: dict[str, Any],
        consistency: Consistency,
        *,
        generation: int,
        incarnation: Incarnation,
    ) -> None:
        request = pb.Role(
            shard=index,
            placement_json=placement.to_json(),
            optimizer_json=json.dumps(optimizer),
            consistency_json=json.dumps(consistency.to_dict()),
            generation=generation,
            term=incarnation[0],
            number=incarnation[1],
        )
        for spec in specs:
            request.variables.add(key=spec.key, shape=spec.shape, dtype=spec.dtype, role=spec.role)
        self._call("Assume", request, "its role to be taken", self._deadlines.transfer_s)

    def digest(self) -> str:
        answer = self._call("GetDigest", pb.Nothing(), "its digest", self._deadlines.transfer_s)
        return answer.digest

    def snapshot(self, directory: str, *, mark: str, step: int) -> dict[str, Any]:
        answer = self._call(
            "TakeSnapshot",
            pb.SnapshotRequest(directory=directory, mark=mark, step=step),
            f"its part of the checkpoint {directory}",
            self._deadlines.transfer_s,
            # a marked snapshot is handed out once: a repeated call would not find it
            retry=not mark,
        )
        return json.loads(answer.json)

    def restore(self, directory: str) -> dict[str, Any]:
        answer = self._call(
            "Restore",
            pb.RestoreRequest(directory=directory),
            f"the checkpoint {directory} to be loaded",
            self._deadlines.transfer_s,
        )
        return with_tuples(json.loads(answer.json))

    def heartbeat(self, deadline_s: float) -> dict[str, Any]:
        answer = self._call(
            "Heartbeat", pb.HeartbeatRequest(), "a heartbeat", deadline_s, retry=False
        )
        return {field.name: getattr(answer, field.name) for field in answer.DESCRIPTOR.fields}

    def shutdown(self) -> None:
        try:
            self._call(
                "Shutdown",
                pb.Nothing(),
                "its process to end",
                self._deadlines.control_s,
                retry=False,
            )
        except OpError as error:
            if not isinstance(error, UnavailableError):
                raise  # one that is gone already has done what was asked


def with_tuples(counters: dict[str, Any]) -> dict[str, Any]:
    """Counters as the shard gave them: JSON has neither tuples nor numbers as keys."""
    if "incarnation" in counters:
        counters["incarnation"] = tuple(counters["incarnation"])
    if "clocks" in counters:
        counters["clocks"] = {int(worker): clock for worker, clock in counters["clocks"].items()}
    return counters

"""What a client sees of one shard, wherever the shard is: the `Channel` protocol.

`LocalChannel` (`ps.local_channel`) calls a shard of this process, `GrpcChannel`
(`ps.grpc_channel`) one behind a socket; both behave alike, and tests use either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

from shardtape.errors import DeadlineExceededError, OpError
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import AttemptId, BatchId, Incarnation, RangeId, VariableSpec
from shardtape.ps.messages import Pull, PullResult, Push, PushResult, RoundDecision, RoundResult
from shardtape.ps.partition import Placement
from shardtape.ps.wire.shared_memory import OwnMemory

Result = TypeVar("Result")


class Carrier(Protocol):
    """What brings answers while somebody waits for them (`ps.stream.LineStream`)."""

    def wait(self, done: Callable[[], bool], timeout_s: float | None) -> None:
        """Reads until `done`, or until the time is over."""


class Answer(Future[Result]):
    """The answer to a push or pull, and how long it took.

    Where no thread reads answers, asking for the result, or whether it is there, does.

    Args:
      shard: "shard 1 at 127.0.0.1:4000", for error texts.
      waits_for: "batch 0/1/2, attempt 0, to be acknowledged".

    Attributes:
      milliseconds: from sending to the answer; 0 while there is none.
      bytes: of values that were moved.
      carrier: what has to be read for the answer; None: a thread reads.
    """

    def __init__(self, shard: str, waits_for: str) -> None:
        super().__init__()
        self._shard = shard
        self._waits_for = waits_for
        self._started_ns = time.monotonic_ns()
        self.carrier: Carrier | None = None
        self.milliseconds = 0.0
        self.bytes = 0

    def succeed(self, result: Result, answered_ns: int = 0) -> None:
        """Sets the result, unless somebody gave up or the stream broke before.

        Args:
          answered_ns: when the answer was sent, by this host's monotonic clock; 0: now.
        """
        self.milliseconds = ((answered_ns or time.monotonic_ns()) - self._started_ns) / 1e6
        if not super().done():
            self.set_result(result)

    def fail(self, error: BaseException) -> None:
        """Sets the error, unless there is an answer already."""
        if not super().done():
            self.set_exception(error)

    def done(self) -> bool:
        if self.carrier is not None:
            self._read(0.0)
        return super().done()

    def result(self, timeout: float | None = None) -> Result:
        """The result. Raises TimeoutError; see `wait`."""
        return super().result(self._read(timeout))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """The error, or None. Raises TimeoutError."""
        return super().exception(self._read(timeout))

    def _read(self, timeout_s: float | None) -> float | None:
        """Reads until the answer is here, or somebody else reads; the seconds that are left."""
        is_done = super().done
        carrier = self.carrier
        if carrier is None or is_done():
            return timeout_s
        end = None if timeout_s is None else time.monotonic() + timeout_s
        left = timeout_s
        while carrier is not None and not is_done():
            # the question may be asked again over another stream meanwhile
            asked = carrier
            carrier.wait(lambda: is_done() or self.carrier is not asked, left)  # noqa: B023
            carrier = self.carrier
            if end is not None:
                left = max(0.0, end - time.monotonic())
                if not left:
                    break
        return left

    def wait(self, deadline_s: float) -> Result:
        """The result.

        Raises:
          DeadlineExceededError: names the shard and what it was waited for.
          OpError: what the shard answered, or UnavailableError if it went away.
        """
        try:
            return self.result(deadline_s)
        except FutureTimeout:
            if super().done():
                return self.result(0.0)
            self.give_up()
            raise DeadlineExceededError(
                f"{self._shard} did not answer within {deadline_s:.3g} s: waited for "
                f"{self._waits_for}"
            ) from None

    def give_up(self) -> None:
        """Nobody waits any more: nothing of the answer may be written anywhere."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a shard says of itself when a client connects.

    Fields:
      mode: "async", "ssp" or "sync".
      transport: "local" (this process), "shared" (memory of the host) or "grpc".
      reason: why it is not "shared", or "".
    """

    shard: int
    generation: int
    incarnation: Incarnation
    mode: str
    transport: str
    reason: str = ""


class Channel(Protocol):
    """One shard. Calls raise `shardtape.errors`; those that return an `Answer` never do.

    Attributes:
      name: "shard 1 at 127.0.0.1:4000".
      transport: see `Greeting`; "" before `hello`.
    """

    name: str
    transport: str

    def hello(
        self,
        worker: int,
        *,
        generation: int = 0,
        incarnation: Incarnation | None = None,
        placement: Placement | None = None,
        specs: Sequence[VariableSpec] = (),
    ) -> Greeting:
        """Connects as a worker (-1: who only reads). None: whatever incarnation the shard has."""

    def attach(self, memory: OwnMemory) -> bool:
        """Announces memory of gradients; whether the shard reads it in place."""

    def replace_memory(self, old: OwnMemory | None, new: OwnMemory | None) -> None:
        """Announces `new` in place of `old`, without waiting: the shard may be dead or frozen."""

    def push(self, push: Push) -> Answer[PushResult]:
        """Sends parts. Their arrays must not change before the answer."""

    def pull(self, pull: Pull, into: Mapping[RangeId, np.ndarray]) -> Answer[PullResult]:
        """Reads values into arrays, which nobody else may touch before the answer."""

    def initialize(self, values: Mapping[RangeId, np.ndarray]) -> str:
        """First values of all ranges of the shard; their digest."""

    def decide(self, decision: RoundDecision) -> RoundResult: ...

    def members(self, live: Iterable[int], idle: Iterable[int]) -> None: ...

    def counters(self) -> dict[str, Any]: ...

    def missing(self, expected: Mapping[tuple[int, int], int]) -> list[BatchId]: ...

    def staged(self) -> list[AttemptId]: ...

    def close_epoch(self, epoch: int) -> None: ...

    def set_learning_rate(self, rate: float | None) -> None: ...

    def assume(
        self,
        index: int,
        placement: Placement,
        specs: Iterable[VariableSpec],
        optimizer: dict[str, Any],
        consistency: Consistency,
        *,
        generation: int = 0,
        incarnation: Incarnation = ...,
    ) -> None:
        """Gives the process its role (`ShardServer.assume`)."""

    def digest(self) -> str:
        """Of the whole state; equal for bit-identical replicas."""

    def snapshot(self, directory: str, *, mark: str = "", step: int = 0) -> dict[str, Any]:
        """Writes the shard's file of a checkpoint; its fragment for the manifest."""

    def restore(self, directory: str) -> dict[str, Any]:
        """Loads the shard's rows from a checkpoint; its counters."""

    def heartbeat(self, deadline_s: float = 1.0) -> dict[str, Any]:
        """State and numbers, from a thread that no payload delays.

        Raises UnavailableError or DeadlineExceededError when the shard is dead or frozen.
        """

    def shutdown(self) -> None:
        """Asks the shard's process to end."""

    def close(self) -> None:
        """Ends the connection; pending answers fail with UnavailableError."""


def named(error: OpError, shard: int) -> OpError:
    """The same error, with the number of the shard that it came from as an attribute."""
    error.shard = shard  # type: ignore[attr-defined]
    return error

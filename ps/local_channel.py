"""The in-process channel: the same calls as over sockets, on a shard of this process."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from shardtape.errors import FailedPreconditionError, OpError, UnavailableError
from shardtape.ps import stored
from shardtape.ps.channels import Answer, Greeting, named
from shardtape.ps.consistency import Consistency
from shardtape.ps.host import FIRST, ShardHost, specs_digest
from shardtape.ps.ids import AttemptId, BatchId, Incarnation, RangeId, VariableSpec
from shardtape.ps.messages import Pull, PullResult, Push, PushResult, RoundDecision, RoundResult
from shardtape.ps.partition import Placement
from shardtape.ps.shard import Shard
from shardtape.ps.wire.shared_memory import OwnMemory
from shardtape.ps.wire.status import code_and_text, from_code


class LocalChannel:
    """A shard of this process. Channels of several threads share one `ShardHost`.

    Args:
      shard: a shard, its host, or None: `assume` makes one.
    """

    def __init__(self, shard: Shard | ShardHost | None = None) -> None:
        self._host = ShardHost(shard) if isinstance(shard, Shard) else shard
        self._role: tuple[Any, ...] = ()
        self._closed = False
        self._waiting: set[_LocalPull] = set()
        self.transport = ""

    @property
    def name(self) -> str:
        number = "" if self._host is None else f" {self._host.shard.index}"
        return f"shard{number} of this process"

    @property
    def host(self) -> ShardHost:
        """Raises FailedPreconditionError while there is no role, UnavailableError when closed."""
        if self._closed:
            raise UnavailableError(f"the channel to {self.name} is closed")
        if self._host is None:
            raise FailedPreconditionError(f"{self.name} has no role yet: call `assume` first")
        return self._host

    def hello(
        self,
        worker: int,
        *,
        generation: int = 0,
        incarnation: Incarnation | None = None,
        placement: Placement | None = None,
        specs: Sequence[VariableSpec] = (),
    ) -> Greeting:
        host = self.host
        shard = host.shard
        host.check_client(
            worker,
            generation,
            shard.incarnation if incarnation is None else incarnation,
            placement.digest() if placement is not None else "",
            specs_digest(specs) if specs else "",
        )
        if worker >= 0:
            host.claim(worker, self)
        self.transport = "local"
        return Greeting(
            shard.index, shard.generation, shard.incarnation, shard.consistency.mode, "local"
        )

    def attach(self, memory: OwnMemory) -> bool:
        return True

    def replace_memory(self, old: OwnMemory | None, new: OwnMemory | None) -> None:
        pass

    def push(self, push: Push) -> Answer[PushResult]:
        answer: Answer[PushResult] = Answer(self.name, f"a push of {push.batch}")
        try:
            answer.bytes = sum(part.values.nbytes for part in push.parts)
            answer.succeed(self.host.push(push, self if push.worker >= 0 else None))
        except Exception as error:  # noqa: BLE001 - the answer carries whatever it was
            answer.fail(self._error(error, "push"))
        return answer

    def pull(self, pull: Pull, into: Mapping[RangeId, np.ndarray]) -> Answer[PullResult]:
        answer = _LocalPull(self.name, f"values of clock {pull.clock}")

        def take(result: PullResult) -> PullResult:
            with answer.writing:
                for id, array in result.arrays.items():
                    if not answer.given_up:
                        np.copyto(into[id], array)
                        answer.bytes += array.nbytes
            return PullResult(result.version, result.lsn, dict(into))

        def ready() -> None:
            try:
                answer.succeed(self.host.pull(pull, take))
            except Exception as error:  # noqa: BLE001 - the answer carries whatever it was
                answer.fail(self._error(error, "pull"))
            self._waiting.discard(answer)

        self._waiting.add(answer)
        try:
            self.host.when_ready(pull, ready, self)
        except OpError as error:
            self._waiting.discard(answer)
            answer.fail(self._error(error, "pull"))
        return answer

    def _error(self, error: BaseException, what: str) -> OpError:
        shard = -1 if self._host is None else self._host.shard.index
        if isinstance(error, OpError):
            return named(error, shard)
        return from_code(*code_and_text(error, what), shard)

    def initialize(self, values: Mapping[RangeId, np.ndarray]) -> str:
        return self.host.initialize(values)

    def decide(self, decision: RoundDecision) -> RoundResult:
        return self.host.decide(decision)

    def members(self, live: Iterable[int], idle: Iterable[int]) -> None:
        self.host.members(live, idle)

    def counters(self) -> dict[str, Any]:
        return self.host.counters()

    def missing(self, expected: Mapping[tuple[int, int], int]) -> list[BatchId]:
        return self.host.missing(expected)

    def staged(self) -> list[AttemptId]:
        return self.host.staged()

    def close_epoch(self, epoch: int) -> None:
        self.host.close_epoch(epoch)

    def set_learning_rate(self, rate: float | None) -> None:
        self.host.set_learning_rate(rate)

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
        specs = tuple(specs)
        role = (index, placement, specs, repr(optimizer), consistency, generation, incarnation)
        if role == self._role:
            return
        if self._host is not None:
            self._host.retire(generation, Incarnation(*incarnation))
        self._host = ShardHost.create(
            index,
            placement,
            specs,
            optimizer,
            consistency,
            generation=generation,
            incarnation=incarnation,
            shared=False,
        )
        self._role = role

    def digest(self) -> str:
        return self.host.digest()

    def snapshot(self, directory: str, *, mark: str = "", step: int = 0) -> dict[str, Any]:
        return stored.write(self.host.snapshot(mark).state(), directory, step)

    def restore(self, directory: str) -> dict[str, Any]:
        host = self.host
        host.restore(stored.read(directory, host.shard.placement, host.shard.index))
        return host.counters()

    def heartbeat(self, deadline_s: float = 1.0) -> dict[str, Any]:
        shard = self.host.shard
        state = "failed" if self.host.failure else "ready" if shard.ready else "empty"
        return {"state": state, "shard": shard.index, "version": shard.version, "lsn": shard.lsn}

    def shutdown(self) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        if self._host is not None:
            self._host.release(self)
        while self._waiting:
            self._waiting.pop().fail(UnavailableError(f"the channel to {self.name} is closed"))


class _LocalPull(Answer[PullResult]):
    def __init__(self, shard: str, waits_for: str) -> None:
        super().__init__(shard, waits_for)
        self.given_up = False
        self.writing = threading.Lock()

    def give_up(self) -> None:
        with self.writing:
            self.given_up = True

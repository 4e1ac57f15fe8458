"""All shards of a job as the coordinator speaks to them: the same call to each, side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np

from shardtape.errors import DeadlineExceededError, OpError, UnavailableError
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId, Incarnation, VariableSpec, dtype_of
from shardtape.ps.messages import Pull, Push, RoundDecision, Scalars
from shardtape.ps.partition import FixedShardsPartitioner, Placement, place

# Final values up to this size are collected to tell runs apart by one digest.
DIGEST_LIMIT_BYTES = 256 << 20
_PULL_DEADLINE_S = 60.0
# Errors that say that a shard is gone, not that what it was asked is wrong.
_GONE = (UnavailableError, DeadlineExceededError)


class ShardLostError(UnavailableError):
    """A shard did not answer. Fields: shard (its number)."""

    def __init__(self, message: str, shard: int = 0) -> None:
        super().__init__(message)
        self.shard = shard

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.message, self.shard)


class ShardGroup:
    """The shards' channels, and one thread per shard to call them with.

    Args:
      channels: one per shard, in their order.
      term: of the coordinator.
    """

    def __init__(self, channels: Sequence[Any], term: int = 0) -> None:
        self.channels = list(channels)
        self.generation = 0
        self.incarnations = [Incarnation(term, 0)] * len(self.channels)
        self._threads = ThreadPoolExecutor(
            max(1, len(self.channels)), thread_name_prefix="shard-control"
        )

    def __len__(self) -> int:
        return len(self.channels)

    def each(self, call: Callable[[int, Any], Any]) -> list[Any]:
        """`call(index, channel)` for all shards at once; results in their order.

        Raises:
          ShardLostError: a shard is gone; it names the first such one.
          Another OpError: what a shard answered.
        """
        if len(self.channels) == 1:  # no thread between, which would cost more than the call
            alone: Future[Any] = Future()
            try:
                alone.set_result(call(0, self.channels[0]))
            except OpError as error:
                alone.set_exception(error)
            return self.gather([alone])
        return self.gather(
            [
                self._threads.submit(call, index, channel)
                for index, channel in enumerate(self.channels)
            ]
        )

    def gather(self, futures: Sequence[Future[Any]]) -> list[Any]:
        """Results of one call per shard, in their order; all are waited for. Raises as `each`."""
        results: list[Any] = []
        first: OpError | None = None
        for index, future in enumerate(futures):
            try:
                results.append(future.result())
            except OpError as error:
                lost = isinstance(error, _GONE)
                if lost and not isinstance(first, ShardLostError):
                    first = ShardLostError(error.message, index)
                elif first is None:
                    first = error
        if first is not None:
            raise first
        return results

    def replace(self, index: int, channel: Any) -> None:
        """Another process takes the place of a dead one."""
        self.channels[index].close()
        self.channels[index] = channel

    def next_generation(self) -> int:
        """Raises generation and incarnations; the shards learn of it with `assume`/`restore`."""
        self.generation += 1
        self.incarnations = [Incarnation(i.term, i.number + 1) for i in self.incarnations]
        return self.generation

    def assume(
        self,
        placement: Placement,
        specs: Sequence[VariableSpec],
        optimizer: dict[str, Any],
        consistency: Consistency,
    ) -> None:
        """Gives every shard its role in this generation; they have no values then."""

        def call(index: int, channel: Any) -> None:
            channel.assume(
                index,
                placement,
                specs,
                optimizer,
                consistency,
                generation=self.generation,
                incarnation=self.incarnations[index],
            )

        self.each(call)

    def restore(self, directory: str) -> None:
        """Loads a checkpoint into all shards. Raises DataLossError: it is damaged."""
        self.each(lambda _, channel: channel.restore(directory))

    def decide(
        self, number: int, contributions: tuple[tuple[BatchId, int], ...], mark: str = ""
    ) -> None:
        """Applies a sync round on every shard."""

        def call(index: int, channel: Any) -> Any:
            return channel.decide(
                RoundDecision(
                    number,
                    contributions,
                    self.generation,
                    self.incarnations[index],
                    mark=mark,
                )
            )

        self.each(call)

    def members(self, live: Iterable[int], idle: Iterable[int]) -> None:
        live_set, idle_set = set(live), set(idle)
        self.each(lambda _, channel: channel.members(live_set, idle_set))

    def counters(self) -> list[dict[str, Any]]:
        return self.each(lambda _, channel: channel.counters())

    def missing(self, expected: Mapping[tuple[int, int], int]) -> set[BatchId]:
        """Batches that any range of any shard lacks."""
        lacking = self.each(lambda _, channel: channel.missing(dict(expected)))
        return {BatchId(*batch) for part in lacking for batch in part}

    def close_epoch(self, epoch: int) -> None:
        self.each(lambda _, channel: channel.close_epoch(epoch))

    def skip(self, batch: BatchId, attempt: int, based_on: int) -> set[str]:
        """Gives every ledger a skip mark for a batch; the shards' answers."""

        def call(index: int, channel: Any) -> str:
            push = Push(
                batch=batch,
                attempt=attempt,
                worker=-1,
                generation=self.generation,
                incarnation=self.incarnations[index],
                based_on=max(0, based_on),
                commit=Scalars(skip=True),
            )
            return channel.push(push).result().status

        return set(self.each(call))

    def values_digest(self, placement: Placement, specs: Sequence[VariableSpec]) -> str:
        """SHA-256 of all variables by key, whatever shards hold them; "" where they are larger
        than what is worth collecting for it."""
        if sum(spec.bytes for spec in specs) > DIGEST_LIMIT_BYTES:
            return ""
        by_key = {spec.key: spec for spec in specs}

        def call(index: int, channel: Any) -> dict[Any, np.ndarray]:
            arrays = {
                r.id: np.empty(r.shape(by_key[r.key]), dtype_of(by_key[r.key].dtype))
                for r in placement.of_shard(index)
            }
            incarnation = self.incarnations[index]
            channel.hello(-1, generation=self.generation, incarnation=incarnation)
            pull = Pull(-1, 0, self.generation, incarnation)
            channel.pull(pull, arrays).wait(_PULL_DEADLINE_S)
            return arrays

        found: dict[Any, np.ndarray] = {}
        for arrays in self.each(call):
            found.update(arrays)
        digest = hashlib.sha256()
        for key in sorted(by_key):
            digest.update(f"{key} {by_key[key].dtype} {by_key[key].shape}".encode())
            for r in placement.of_variable(key):
                digest.update(found[r.id].tobytes())
        return digest.hexdigest()

    def dead(self, deadline_s: float) -> list[int]:
        """Shards that do not answer a heartbeat in time."""

        def call(_: int, channel: Any) -> bool:
            try:
                channel.heartbeat(deadline_s)
            except _GONE:
                return True
            return False

        return [index for index, gone in enumerate(self.each(call)) if gone]

    def close(self) -> None:
        """Ends the threads and the channels."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for channel in self.channels:
            channel.close()


def placement_for(specs: Sequence[VariableSpec], shards: int, partitioner: Any) -> Placement:
    """Where the variables live.

    Args:
      partitioner: "auto", a number of parts as text, or a partitioner object.

    Raises:
      InvalidArgumentError: more parts than a variable has rows.
    """
    if isinstance(partitioner, str) and partitioner != "auto":
        partitioner = FixedShardsPartitioner(int(partitioner))
    return place(specs, shards, partitioner)

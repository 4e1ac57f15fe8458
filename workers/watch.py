"""Watches the shards: a dead or frozen one becomes an event, the learning rate a curve."""

from __future__ import annotations

import threading
from typing import Protocol

from shardtape.errors import OpError
from shardtape.workers.sessions import ShardGone
from shardtape.workers.shard_group import ShardGroup, ShardLostError

# Between two looks. A broken connection is seen by the workers much earlier; this is for
# frozen processes, and for times when no worker pushes.
_EVERY_S = 1.0


class Watched(Protocol):
    """The coordinator, as far as the watch needs it."""

    def post(self, event: ShardGone) -> None: ...
    def learning_rate(self, rate: float) -> None: ...


class ShardWatch:
    """A thread that asks every shard for a sign of life.

    Args:
      timeout_s: silence after which a shard counts as dead.
    """

    def __init__(self, shards: ShardGroup, coordinator: Watched, timeout_s: float) -> None:
        self._shards = shards
        self._coordinator = coordinator
        self._timeout_s = timeout_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shard-watch", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._closed.wait(_EVERY_S):
            for index, channel in enumerate(list(self._shards.channels)):
                try:
                    state = channel.heartbeat(self._timeout_s)
                except OpError as error:
                    if not self._closed.is_set():
                        self._coordinator.post(ShardGone(index, channel, error))
                        # what waits for this shard learns of it now: the coordinator itself may
                        channel.close()
                    continue
                if state["state"] == "failed":
                    broken = ShardLostError("it failed inside an update", index)
                    self._coordinator.post(ShardGone(index, channel, broken))
            self._look_at_learning_rate()

    def _look_at_learning_rate(self) -> None:
        try:
            rate = self._shards.channels[0].counters().get("learning_rate")
        except OpError:
            return  # no role yet, or gone: the heartbeat tells
        if rate is not None:
            self._coordinator.learning_rate(float(rate))

    def close(self) -> None:
        """Ends the thread; may be called twice."""
        self._closed.set()

"""Both ends of the control stream between a worker and the coordinator, and their in-process twin.

The worker's end is a `Session`: it sends and receives messages of `coordinator.proto`. The
coordinator's end is a `Peer`: what arrives on it becomes events in the coordinator's one queue,
so that only the coordinator's own thread ever touches its state.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shardtape.errors import UnavailableError
from shardtape.protos import coordinator_pb2 as pb

# Version of coordinator.proto; a worker of another one is refused.
PROTOCOL = 1


class Session(Protocol):
    """The worker's end."""

    def send(self, message: pb.FromWorker) -> None:
        """Sends at once. Raises UnavailableError when the coordinator is gone."""

    def receive(self, timeout_s: float) -> pb.ToWorker | None:
        """The next message, or None after `timeout_s`. Raises UnavailableError as `send`."""

    def close(self) -> None:
        """Ends the stream; may be called twice."""


class Peer(Protocol):
    """The coordinator's end of one worker's stream."""

    heard_s: float  # time.monotonic() of the last message

    def send(self, message: pb.ToWorker) -> None:
        """Queues a message; a peer that is gone drops it (its end is an event of its own)."""

    def close(self) -> None:
        """Ends the stream."""


@dataclass
class Received:
    """Event: a message of a worker."""

    peer: Peer
    message: pb.FromWorker


@dataclass
class Gone:
    """Event: a stream ended, on purpose or not."""

    peer: Peer
    reason: str


@dataclass
class Asked:
    """Event: somebody asks the coordinator to stop."""

    reason: str


@dataclass
class Started:
    """Event: a worker's process begins; it has yet to build the model and to join."""

    worker: int


@dataclass
class ShardGone:
    """Event: the shard behind `channel`, number `shard`, does not answer."""

    shard: int
    channel: object
    error: Exception


@dataclass
class Saved:
    """Event: a checkpoint is finished, or failed with `error`."""

    path: str
    error: Exception | None = None
    steps: int = 0
    abandoned: bool = False  # it belonged to a generation that is over


Event = Received | Gone | Asked | Started | ShardGone | Saved
Post = Callable[[Event], None]


class LocalSession:
    """Both ends in one process: the worker's calls on one side, `peer` on the other.

    Args:
      post: takes the coordinator's events.
    """

    def __init__(self, post: Post) -> None:
        self._post = post
        self._inbox: queue.SimpleQueue[pb.ToWorker | None] = queue.SimpleQueue()
        self._closed = False
        self.peer: Peer = _LocalPeer(self._inbox)

    def send(self, message: pb.FromWorker) -> None:
        if self._closed:
            raise UnavailableError("the coordinator closed the connection to this worker")
        self.peer.heard_s = time.monotonic()
        copy = pb.FromWorker()
        copy.CopyFrom(message)
        self._post(Received(self.peer, copy))

    def receive(self, timeout_s: float) -> pb.ToWorker | None:
        if self._closed:
            raise UnavailableError("the coordinator closed the connection to this worker")
        try:
            message = self._inbox.get(timeout=timeout_s) if timeout_s else self._inbox.get_nowait()
        except queue.Empty:
            return None
        if message is None:
            self._closed = True
            raise UnavailableError("the coordinator closed the connection to this worker")
        return message

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._post(Gone(self.peer, "the worker ended its session"))


class _LocalPeer:
    def __init__(self, inbox: queue.SimpleQueue[pb.ToWorker | None]) -> None:
        self._inbox = inbox
        self.heard_s = time.monotonic()

    def send(self, message: pb.ToWorker) -> None:
        self._inbox.put(message)

    def close(self) -> None:
        self._inbox.put(None)

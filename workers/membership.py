"""Who belongs to a job: the workers that joined, what they built, who is silent or overdue."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shardtape.errors import DeadlineExceededError, FailedPreconditionError
from shardtape.protos import coordinator_pb2 as pb
from shardtape.ps.ids import VariableSpec
from shardtape.workers.sessions import PROTOCOL, Peer

# A worker is given about so much work at once, within these numbers of batches.
WORK_AHEAD_S = 0.5
MIN_AHEAD, MAX_AHEAD = 4, 256


@dataclass
class Member:
    """A worker that has joined.

    Fields:
      ready: connected to the shards of this generation.
      cut_off: times in a row that it lost shards which were alive.
      ahead: batches that it is given at once, from its speed.
    """

    worker: int
    peer: Peer
    host: str
    ready: bool = False
    cut_off: int = 0
    ahead: int = MIN_AHEAD
    _steps: int = 0
    _since_s: float = 0.0

    def pace(self, steps: int, now_s: float) -> None:
        """Takes in a report of `steps` batches, to measure how many it shall have ahead."""
        if not self._since_s:
            self._since_s = now_s
            return
        self._steps += steps
        passed = now_s - self._since_s
        if passed > WORK_AHEAD_S:
            ahead = round(self._steps / passed * WORK_AHEAD_S)
            self.ahead = min(MAX_AHEAD, max(MIN_AHEAD, ahead))
            self._steps, self._since_s = 0, now_s


class Membership:
    """The workers of a job by number.

    Args:
      job: its name.
      workers: how many are expected, from 0.
      now_s: time from which they are waited for.
    """

    def __init__(self, job: str, workers: int, now_s: float) -> None:
        self._job = job
        self._members: dict[int, Member] = {}
        self._expected = dict.fromkeys(range(workers), now_s)
        self._starting: set[int] = set()
        self.specs: tuple[VariableSpec, ...] = ()

    def __iter__(self) -> Iterator[Member]:
        return iter(list(self._members.values()))

    def ready(self) -> list[Member]:
        return [member for member in self._members.values() if member.ready]

    def find(self, peer: Peer) -> Member | None:
        """The member behind a stream; None for a stream that was replaced or never joined."""
        return next((m for m in self._members.values() if m.peer is peer), None)

    def of(self, worker: int) -> Member | None:
        return self._members.get(worker)

    def refusal(self, join: pb.Join) -> str | None:
        """Why a worker that wants to join is sent away, or None."""
        if join.protocol != PROTOCOL:
            return f"it speaks protocol {join.protocol}, this coordinator {PROTOCOL}"
        if join.job != self._job:
            return f"it belongs to job {join.job!r}, this is {self._job!r}"
        return None

    def add(self, peer: Peer, join: pb.Join) -> Member:
        """Takes a worker in; the first one says what the variables of the job are.

        Raises:
          FailedPreconditionError: it built other variables than the first one.
        """
        specs = specs_of(join)
        if not self.specs:
            self.specs = specs
        elif specs_digest(specs) != specs_digest(self.specs):
            raise FailedPreconditionError(
                f"worker-{join.worker} on {join.host} built other variables than the first "
                f"worker: {difference(self.specs, specs)}. The model must not depend on the "
                "worker, the time or unseeded randomness"
            )
        self._expected.pop(join.worker, None)
        self._starting.discard(join.worker)
        member = Member(join.worker, peer, join.host)
        self._members[join.worker] = member
        return member

    def started(self, worker: int) -> bool:
        """A process of this worker begins. Returns whether the one before never joined."""
        again = worker in self._starting
        self._starting.add(worker)
        return again

    def remove(self, member: Member, now_s: float) -> None:
        """It died; another process is expected in its place."""
        self._members.pop(member.worker, None)
        self._expected[member.worker] = now_s

    def silent(self, now_s: float, timeout_s: float) -> list[tuple[Member, float]]:
        """Members that were not heard of for too long, with the seconds."""
        silences = [(member, now_s - member.peer.heard_s) for member in self._members.values()]
        return [(member, silence) for member, silence in silences if silence > timeout_s]

    def check_overdue(self, now_s: float, limit_s: float) -> None:
        """Raises DeadlineExceededError if a worker did not join in time."""
        for worker, since in self._expected.items():
            if now_s - since > limit_s:
                raise DeadlineExceededError(
                    f"worker-{worker} did not join within {limit_s:.0f} s (start_timeout_s): does "
                    "the cluster have room for it, and can it reach the coordinator?"
                )


def specs_of(join: pb.Join) -> tuple[VariableSpec, ...]:
    return tuple(VariableSpec(v.key, tuple(v.shape), v.dtype, v.role) for v in join.variables)


def specs_digest(specs: Iterable[VariableSpec]) -> str:
    """Hexadecimal digest of the variables' keys, shapes, dtypes and roles, in any order."""
    rows = sorted((s.key, s.shape, s.dtype, s.role) for s in specs)
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def difference(ours: Iterable[VariableSpec], theirs: Iterable[VariableSpec]) -> str:
    """The first variable that differs, for an error text."""
    a, b = {s.key: s for s in ours}, {s.key: s for s in theirs}
    for key in sorted(set(a) | set(b)):
        if a.get(key) != b.get(key):
            return f"{_text(b.get(key))} where the first has {_text(a.get(key))}"
    return "none"


def _text(spec: VariableSpec | None) -> str:
    if spec is None:
        return "nothing"
    return f"{spec.key} {spec.dtype}{list(spec.shape)} ({spec.role})"

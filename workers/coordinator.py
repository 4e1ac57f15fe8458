"""The coordinator: one thread, one queue of events, explicit states.

Whatever happens to a job (a worker's message, a broken stream, a shard that is silent, Ctrl-C, a
finished checkpoint) becomes an event in one queue, so that only `run`'s thread touches the job's
state. `Training` knows what to do with batches, the policies of `recovery` decide on deaths, this
class holds them together. It knows neither Ray nor gRPC: a `Fleet` replaces processes, a
`ShardGroup` talks to shards, and peers are the workers' streams.
"""

from __future__ import annotations

import enum
import logging
import queue
import time
from typing import Any

from shardtape.errors import AbortedError, OpError, ResourceExhaustedError, UnavailableError
from shardtape.protos import coordinator_pb2 as pb
from shardtape.ps.consistency import Consistency
from shardtape.ps.partition import Placement
from shardtape.workers import failures
from shardtape.workers.config import JobConfig
from shardtape.workers.data import DataSpec
from shardtape.workers.fleet import Fleet
from shardtape.workers.membership import Member, Membership
from shardtape.workers.recovery import GiveUp, Restart, RollBack, ShardDeaths, WorkerDeaths
from shardtape.workers.reporting import Reporter
from shardtape.workers.resuming import Checkpoints
from shardtape.workers.saving import Position, Saver
from shardtape.workers.sessions import (
    Asked,
    Event,
    Gone,
    Peer,
    Received,
    Saved,
    ShardGone,
    Started,
)
from shardtape.workers.shard_group import ShardGroup, ShardLostError, placement_for
from shardtape.workers.status import Outcome, Status
from shardtape.workers.training import Phase, Training

_log = logging.getLogger("shardtape.workers")

# Longest sleep of the loop, which then looks at its clocks.
_TICK_S = 0.2
# The status for the display is put together at most so often.
_PUBLISH_EVERY_S = 0.2
# How often a worker may be cut off from shards that are all alive, without finishing a batch.
_CUT_OFF_LIMIT = 5
# After a request to stop, batches that are under way are waited for so long.
_STOP_DEADLINE_S = 15.0
# Shards answer a heartbeat in so many seconds, or count as dead.
_ALIVE_DEADLINE_S = 2.0


class State(enum.Enum):
    """STARTING: nobody has joined. INITIALIZING: a worker gives the shards their first values,
    or all connect again after a roll-back. RUNNING: see `Phase`. STOPPING: what workers hold is
    still finished. FINISHED: only the last checkpoint is left."""

    STARTING = "starting"
    INITIALIZING = "initializing"
    RUNNING = "training"
    STOPPING = "stopping"
    FINISHED = "finished"


class Coordinator:
    """Runs one job.

    Args:
      config: validated options.
      train, test: the data sets, of which only lengths and signatures are looked at.
      optimizer: the update rule's configuration.
      partitioner: a partitioner object in place of the option.
    """

    def __init__(
        self,
        config: JobConfig,
        train: DataSpec,
        test: DataSpec | None,
        optimizer: dict[str, Any],
        shards: ShardGroup,
        fleet: Fleet,
        saver: Saver,
        reporter: Reporter,
        partitioner: Any = None,
    ) -> None:
        self.config = config
        self.shards = shards
        self._optimizer = optimizer
        self._partitioner = partitioner
        self._fleet = fleet
        self._saver = saver
        self._reporter = reporter
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._state = State.STARTING
        self._members = Membership(config.job, max(1, config.workers), time.monotonic())
        self._training = Training(
            config, train, test, shards, self._members, saver, reporter, self.post
        )
        self._checkpoints = Checkpoints(config, shards, saver, self._training, reporter)
        self._placement: Placement | None = None
        self._initialized = False  # the shards have values
        self._had_values = False  # and had them once: what is lost is in a checkpoint or nowhere
        self._initializer: int | None = None
        self._worker_deaths = WorkerDeaths(config.max_worker_restarts)
        self._shard_deaths = ShardDeaths()
        self._stop_reason: str | None = None
        self._stop_at_s = 0.0
        self._published_s = 0.0

    # ---- what other threads call ------------------------------------------------------------

    def post(self, event: Event) -> None:
        """Takes in an event, from any thread."""
        self._events.put(event)

    def stop(self, reason: str) -> None:
        """Asks the job to stop: batches under way are finished, a checkpoint is written; asked
        again it stops at once."""
        self.post(Asked(reason))

    def status(self, after_note: int = 0) -> Status:
        """The newest status, with the notes after number `after_note`."""
        return self._reporter.status(after_note)

    def learning_rate(self, rate: float) -> None:
        """The shards' present learning rate, for the curves."""
        self._reporter.learning_rate = rate

    # ---- the loop ---------------------------------------------------------------------------

    def run(self) -> Outcome:
        """Runs the job to its end. Errors of the job are in the outcome, not raised."""
        outcome = Outcome()
        try:
            finished = False
            while not finished:
                try:
                    if self._state is State.FINISHED:
                        self._finish(outcome)
                        finished = True
                        continue
                    self._handle(self._next_event())
                    self._look_at_clocks(time.monotonic())
                except ShardLostError as error:
                    self._shard_lost(error)
                self._publish()
        except Exception as error:  # noqa: BLE001 - the driver must hear of every failure
            if not isinstance(error, OpError):
                _log.exception("the coordinator failed")
            outcome.error = error
            self._fill(outcome, [])
        self._dismiss(outcome)
        return outcome

    def _next_event(self) -> Event | None:
        try:
            return self._events.get(timeout=_TICK_S)
        except queue.Empty:
            return None

    def _handle(self, event: Event | None) -> None:
        match event:
            case Received():
                self._received(event.peer, event.message)
            case Gone():
                member = self._members.find(event.peer)
                if member is not None:
                    self._drop(member, event.reason)
                    self._training.advance()
            case Asked():
                self._asked(event.reason)
            case Started():
                self._started(event.worker)
            case ShardGone():
                # not of a process that was replaced meanwhile
                if self.shards.channels[event.shard] is event.channel:
                    raise ShardLostError(str(event.error), event.shard)
            case Saved():
                self._saver.finished(event)
                if isinstance(event.error, ShardLostError) and not event.abandoned:
                    raise event.error
                if event.error is not None:
                    text = f"a checkpoint failed, training goes on: {event.error}"
                    self._reporter.note(text, warning=True)
                self._training.saved()
        if self._state is State.RUNNING and self._training.phase is Phase.OVER:
            self._state = State.FINISHED

    def _received(self, peer: Peer, message: pb.FromWorker) -> None:
        kind = message.WhichOneof("body") or "heartbeat"
        if kind == "join":
            self._join(peer, message.join)
            return
        member = self._members.find(peer)
        if kind == "failed":
            self._failed(member, message.failed)
            return
        if member is None or kind == "heartbeat":
            return
        body = getattr(message, kind)
        if body.generation != self.shards.generation:
            return  # of before a roll-back
        if kind == "ready":
            self._ready(member)
        elif kind == "report":
            if body.outcomes:
                self._worker_deaths.progressed(member.worker)
                member.cut_off = 0
            self._training.report(member, body)
        elif kind == "evaluated":
            self._training.evaluated(member, body)
        elif kind == "unavailable":
            self._unavailable(member, body)

    def _look_at_clocks(self, now_s: float) -> None:
        """Deadlines: frozen workers, workers that do not come, checkpoints, the stop."""
        if self.config.workers:
            for member, silence in self._members.silent(now_s, self.config.heartbeat_timeout_s):
                self._drop(member, f"silent for {silence:.0f} s")
                member.peer.close()
                self._fleet.restart_worker(member.worker)
                self._training.advance()
        if self._state is State.STOPPING:
            # what workers hold is finished before the last checkpoint is cut
            if self._training.quiet or now_s > self._stop_at_s:
                self._state = State.FINISHED
        else:
            self._members.check_overdue(now_s, self.config.start_timeout_s)
            self._training.save_if_due(now_s)

    # ---- joining ----------------------------------------------------------------------------

    def _join(self, peer: Peer, join: pb.Join) -> None:
        refusal = self._members.refusal(join)
        if refusal is not None:
            _log.warning("a worker was sent away: %s", refusal)
            self._send_away(peer, refusal)
            return
        old = self._members.of(join.worker)
        if old is not None:
            self._drop(old, "another process joined in its place")
            old.peer.close()
        member = self._members.add(peer, join)
        self._reporter.graph(join.graph)
        if self._placement is None:
            # the first worker has said what the variables are
            how = self._partitioner or self.config.partitioner
            self._placement = placement_for(self._members.specs, len(self.shards), how)
            self._warn_of_empty_shards(self._placement)
            self._give_roles()
            self._initialized = self._checkpoints.resume(self._members.specs)
        if self._initialized:
            self._welcome(member)
        elif self._initializer is None:
            self._initializer = member.worker
            self._welcome(member)

    def _warn_of_empty_shards(self, placement: Placement) -> None:
        shards = len(self.shards)
        empty = sum(not placement.of_shard(index) for index in range(shards))
        if empty:
            text = f"{empty} of {shards} shards hold nothing: the model's variables are small, and "
            self._reporter.note(text + "partitioner=auto does not cut such ones", warning=True)

    def _give_roles(self) -> None:
        """The shards learn what they hold; they have no values then."""
        config, placement = self.config, self._placement
        assert placement is not None
        consistency = Consistency(
            mode=config.mode,
            staleness=config.staleness,
            backup_workers=config.backup_workers,
            aggregation=config.round_reduction,
            nan=config.nan,
        )
        self.shards.assume(placement, self._members.specs, self._optimizer, consistency)
        self._state = State.INITIALIZING

    def _welcome(self, member: Member) -> None:
        assert self._placement is not None
        welcome = pb.Welcome(
            generation=self.shards.generation,
            placement_json=self._placement.to_json(),
            initialize=not self._initialized,
        )
        for index, (term, number) in enumerate(self.shards.incarnations):
            welcome.shards.add(address=self._fleet.address(index), term=term, number=number)
        member.ready = False
        member.peer.send(pb.ToWorker(welcome=welcome))

    def _ready(self, member: Member) -> None:
        member.ready = True
        self._had_values = True
        if not self._initialized:
            self._initialized = True
            for other in self._members:
                if other is not member:
                    self._welcome(other)
        self._training.joined(member)
        if self._state is State.INITIALIZING:
            self._state = State.RUNNING
            self._training.begin()
        # all of the epoch may be in the ledgers that a checkpoint brought
        self._training.advance()

    # ---- deaths -----------------------------------------------------------------------------

    def _started(self, worker: int) -> None:
        """A worker's process begins. Where the one before never joined, it died building the
        model, and nobody saw a stream break."""
        if not self._members.started(worker) or self._state is State.STOPPING:
            return
        reason = "its process ended while it built the model or opened the data"
        decision = self._worker_deaths.died(worker, reason)
        if isinstance(decision, GiveUp):
            raise UnavailableError(decision.reason)
        self._reporter.note(f"worker-{worker} died: {reason}", warning=True)

    def _drop(self, member: Member, reason: str) -> None:
        """A worker is dead: what it held goes to others."""
        self._members.remove(member, time.monotonic())
        back = self._training.lost(member.worker)
        if self._state in (State.STOPPING, State.FINISHED):
            return
        self._reporter.note(
            f"worker-{member.worker} died ({reason}); {len(back)} batches go to others",
            warning=True,
        )
        decision = self._worker_deaths.died(member.worker, reason)
        if isinstance(decision, GiveUp):
            raise UnavailableError(decision.reason)
        if self._initialized:
            self._training.tell_members()
        elif self._initializer == member.worker:
            heir = next(iter(self._members), None)
            self._initializer = heir.worker if heir is not None else None
            if heir is not None:
                self._welcome(heir)

    def _unavailable(self, member: Member, message: pb.Unavailable) -> None:
        """A worker lost a shard: is the shard dead, or only the connection?"""
        self._training.lost(member.worker)
        member.ready = False
        dead = self.shards.dead(_ALIVE_DEADLINE_S)
        if dead:
            raise ShardLostError(message.reason, dead[0])
        member.cut_off += 1
        if member.cut_off >= _CUT_OFF_LIMIT:
            raise AbortedError(
                f"worker-{member.worker} was cut off from shards that are alive {_CUT_OFF_LIMIT} "
                f"times in a row: {message.reason}"
            )
        text = f"worker-{member.worker} connects again: {message.reason}"
        self._reporter.note(text, warning=True)
        if self._initialized:
            self._training.tell_members()
        self._welcome(member)
        self._training.advance()

    def _shard_lost(self, error: ShardLostError) -> None:
        """Without replicas a shard's values are lost with it: back to a checkpoint."""
        if self._stop_reason is not None:
            raise UnavailableError(
                f"shard-{error.shard} died while the job was stopping ({error.message}); the "
                f"newest checkpoint is {self._saver.last or 'none'}"
            )
        for _ in range(len(self.shards) + 1):
            try:
                self._replace_shards(error)
                return
            except ShardLostError as again:  # another one died meanwhile
                error = again
        raise error

    def _decide_on(self, error: ShardLostError) -> RollBack | Restart | GiveUp:
        if not self._had_values:
            return self._shard_deaths.died_empty(error.shard, error.message)
        newest = next(iter(self._saver.candidates(own=True)), None)
        return self._shard_deaths.died(
            error.shard,
            error.message,
            checkpoint=newest,
            periodic=self._saver.periodic,
            generation=self.shards.generation,
            steps=self._training.dispatcher.steps,
            checkpoint_steps=self._saver.position_of(newest).steps if newest else 0,
        )

    def _replace_shards(self, error: ShardLostError) -> None:
        """Others take the place of dead shards, all under a new generation."""
        self._saver.abandon()
        decision = self._decide_on(error)
        if isinstance(decision, GiveUp):
            raise UnavailableError(decision.reason)
        steps = self._training.dispatcher.steps
        self._training.pause()
        self._initialized, self._initializer = False, None
        generation = self.shards.next_generation()
        for index in sorted({*self.shards.dead(_ALIVE_DEADLINE_S), error.shard}):
            self.shards.replace(index, self._fleet.replace_shard(index))
        text = f"shard-{error.shard} died ({error.message}); "
        if self._placement is not None:
            self._give_roles()
        if isinstance(decision, RollBack):
            found = self._checkpoints.restore(self._members.specs, own=True)
            if found is None:
                self._training.go_to(Position())
            self._initialized = found is not None
            place = found or "their first values, there was no checkpoint yet,"
            redone = max(0, steps - self._training.dispatcher.steps)
            text += f"all shards rolled back to {place} as generation {generation}: "
            text += f"{redone} updates are done again"
        else:
            text += "it had no values yet: another one takes its place"
            if self._placement is not None:
                self._initialized = self._checkpoints.resume(self._members.specs)
        self._reporter.note(text, warning=True)
        for member in self._members:
            self._training.lost(member.worker)
            member.ready = False
            if self._initialized or self._initializer is None:
                self._initializer = member.worker
                self._welcome(member)

    def _failed(self, member: Member | None, failed: pb.Failed) -> None:
        """User code raised: in the model (the job fails), or in a batch (others try it too)."""
        if member is None or not failed.HasField("batch"):
            raise failures.to_error(failed, -1 if member is None else member.worker)
        if failed.generation == self.shards.generation:
            self._training.failed(member, failed)

    # ---- the end ----------------------------------------------------------------------------

    def _asked(self, reason: str) -> None:
        if self._stop_reason is not None:
            raise AbortedError(f"stopped at once: {reason}")
        self._stop_reason = reason
        self._stop_at_s = time.monotonic() + _STOP_DEADLINE_S
        self._reporter.note(f"stopping: {reason}")
        running = self._state is State.RUNNING
        self._training.pause()
        self._state = State.STOPPING if running else State.FINISHED

    def _finish(self, outcome: Outcome) -> None:
        """The last checkpoint and the end figures. Raises ShardLostError: there is more to do."""
        outcome.interrupted = self._stop_reason is not None
        outcome.checkpoint_failed = False  # a shard that died here has this begin again
        counters: list[dict[str, Any]] = []
        if self._initialized:
            self._reporter.meter.running(False)
            self._publish("saving")
            try:
                self._saver.final(self.shards, self._training.position())
            except ResourceExhaustedError as error:  # the disk is full; the shards are all right
                text = f"the last checkpoint failed: {error}"
                self._reporter.note(text, warning=True)
                outcome.checkpoint_failed = True
            counters = self.shards.counters()
            assert self._placement is not None
            outcome.digest = self.shards.values_digest(self._placement, self._members.specs)
        outcome.checkpoint, outcome.checkpoint_step = self._saver.last, self._saver.last_step
        self._fill(outcome, counters)

    def _fill(self, outcome: Outcome, counters: list[dict[str, Any]]) -> None:
        restarts = self._worker_deaths.restarts
        self._reporter.fill(outcome, self._training.dispatcher, counters, restarts)

    def _publish(self, state: str | None = None) -> None:
        now = time.monotonic()
        if state is None and now - self._published_s < _PUBLISH_EVERY_S:
            return
        self._published_s = now
        if state is None:
            running = self._state is State.RUNNING
            state = self._training.phase.value if running else self._state.value
        live = len(self._members.ready())
        self._reporter.publish(state, self._training.dispatcher, live)

    def _send_away(self, peer: Peer, reason: str) -> None:
        peer.send(pb.ToWorker(stop=pb.Stop(reason=reason)))
        peer.close()

    def _dismiss(self, outcome: Outcome) -> None:
        reason = str(outcome.error) if outcome.error else "the job is over"
        for member in self._members:
            self._send_away(member.peer, reason)
        self._reporter.close()
        self._publish("failed" if outcome.error else "finished")
        self._reporter.finish()

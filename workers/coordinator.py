"""The coordinator: one thread, one queue of events, explicit states.

Whatever happens to a job (a worker's message, a broken stream, a shard that is silent, Ctrl-C, a
finished checkpoint) becomes an event in one queue, so that only `run`'s thread touches the job's
state. The dispatcher and the policies of `recovery` decide, this class carries out. It knows
neither Ray nor gRPC: a `Fleet` replaces processes, a `ShardGroup` talks to shards, and peers are
the workers' streams.
"""

from __future__ import annotations

import enum
import logging
import queue
import time
from typing import Any, Protocol

from shardtape.errors import (
    AbortedError,
    DataLossError,
    OpError,
    ResourceExhaustedError,
    UnavailableError,
)
from shardtape.protos import coordinator_pb2 as pb
from shardtape.ps.consistency import Consistency
from shardtape.ps.ids import BatchId
from shardtape.ps.partition import Placement
from shardtape.workers import failures
from shardtape.workers.config import JobConfig
from shardtape.workers.data import DataSpec
from shardtape.workers.dispatcher import RETRY, SKIP, BadBatches, Dispatcher
from shardtape.workers.evaluation import Evaluation
from shardtape.workers.membership import Member, Membership
from shardtape.workers.recovery import GiveUp, ShardDeaths, WorkerDeaths
from shardtape.workers.reporting import Reporter
from shardtape.workers.rounds import RoundDispatcher
from shardtape.workers.saving import Position, Saver, check_variables
from shardtape.workers.sessions import Asked, Event, Gone, Peer, Received, Saved, ShardGone
from shardtape.workers.shard_group import ShardGroup, ShardLostError, placement_for
from shardtape.workers.status import Outcome, Status

_log = logging.getLogger("shardtape.workers")

# Longest sleep of the loop, which then looks at its clocks.
_TICK_S = 0.2
# The status for the display is put together at most so often.
_PUBLISH_EVERY_S = 0.1
# How often a worker may be cut off from shards that are all alive, without finishing a batch.
_CUT_OFF_LIMIT = 5
# After a request to stop, batches that are under way are waited for so long.
_STOP_DEADLINE_S = 15.0
# Shards answer a heartbeat in so many seconds, or count as dead.
_ALIVE_DEADLINE_S = 2.0


class Fleet(Protocol):
    """Replaces the processes of a job."""

    def replace_shard(self, index: int) -> Any:
        """Makes sure that a shard's process is dead and starts another; its channel."""

    def restart_worker(self, index: int) -> None:
        """Kills a worker that is frozen; another one starts in its place."""

    def address(self, index: int) -> str:
        """Where workers reach a shard."""


class State(enum.Enum):
    """STARTING: nobody has joined. INITIALIZING: a worker gives the shards their first values,
    or all connect again after a roll-back. TRAINING, EVALUATING: in turn. STOPPING: what workers
    hold is still finished. FINISHED: only the last checkpoint is left."""

    STARTING = "starting"
    INITIALIZING = "initializing"
    TRAINING = "training"
    EVALUATING = "evaluating"
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
        self._train, self._test = train, test
        self._optimizer = optimizer
        self._partitioner = partitioner
        self._fleet = fleet
        self._saver = saver
        self._reporter = reporter
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._state = State.STARTING
        self._members = Membership(config.job, max(1, config.workers), time.monotonic())
        self._placement: Placement | None = None
        self._initialized = False
        self._initializer: int | None = None
        self._dispatcher = self._make_dispatcher()
        self._evaluation: Evaluation | None = None
        self._worker_deaths = WorkerDeaths(config.max_worker_restarts)
        self._shard_deaths = ShardDeaths()
        self._told: tuple[frozenset[int], frozenset[int]] | None = None  # what shards know
        self._only_histograms = False
        self._split_base = 0
        self._stop_reason: str | None = None
        self._stop_at_s = 0.0
        self._mark_wanted = False
        self._published_s = 0.0

    def _make_dispatcher(self) -> Dispatcher:
        config = self.config
        limit = min(config.bad_batch_workers, max(1, config.workers))
        common: dict[str, Any] = {
            "any_order": self._train.any_order,
            "bad": BadBatches(limit, config.on_bad_batch),
        }
        if config.mode != "sync":
            return Dispatcher(self._train.lengths(), config.epochs, **common)
        common |= {"round_batches": config.round_length, "backup": config.backup_workers}
        return RoundDispatcher(self._train.lengths(), config.epochs, **common)

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
            self._reporter.fill(outcome, self._dispatcher, [], self._worker_deaths.restarts)
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
                    self._advance()
            case Asked():
                self._asked(event.reason)
            case ShardGone():
                # not of a process that was replaced meanwhile
                if self.shards.channels[event.shard] is event.channel:
                    raise ShardLostError(str(event.error), event.shard)
            case Saved():
                self._saver.finished(event)
                if event.error is not None:
                    text = f"a checkpoint failed, training goes on: {event.error}"
                    self._reporter.note(text, warning=True)

    def _received(self, peer: Peer, message: pb.FromWorker) -> None:
        kind = message.WhichOneof("body")
        if kind == "join":
            self._join(peer, message.join)
            return
        member = self._members.find(peer)
        if kind == "failed":
            self._failed(member, message.failed)
        elif member is not None and kind != "heartbeat":
            body = getattr(message, kind)
            if body.generation == self.shards.generation:
                handlers: dict[str, Any] = {
                    "ready": self._ready,
                    "report": self._report,
                    "evaluated": self._evaluated,
                    "unavailable": self._unavailable,
                }
                handlers[kind](member, body)

    def _look_at_clocks(self, now_s: float) -> None:
        """Deadlines: frozen workers, workers that do not come, checkpoints, the stop."""
        if self.config.workers:
            for member, silence in self._members.silent(now_s, self.config.heartbeat_timeout_s):
                self._drop(member, f"silent for {silence:.0f} s")
                member.peer.close()
                self._fleet.restart_worker(member.worker)
                self._advance()
        if self._state is not State.STOPPING:
            self._members.check_overdue(now_s, self.config.start_timeout_s)
        if self._state is State.TRAINING and self._saver.due(now_s, self._dispatcher.steps):
            self._save()
        if self._state is State.STOPPING:
            self._stop_when_quiet()

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
            self._begin()
        if self._initialized:
            self._welcome(member)
        elif self._initializer is None:
            self._initializer = member.worker
            self._welcome(member)

    def _begin(self) -> None:
        """The shards get their roles, and their values from a checkpoint if there is one."""
        self._assume()
        self._state = State.INITIALIZING
        if not self.config.resume:
            return
        found = self._restore_newest()
        if found is None:
            text = f"no checkpoint in {self.config.checkpoint_dir} yet: starting anew"
        else:
            text = f"resumed from {found} at step {self._dispatcher.steps:,}"
        self._reporter.note(text)

    def _assume(self) -> None:
        config, placement = self.config, self._placement
        assert placement is not None
        consistency = Consistency(
            mode=config.mode,
            staleness=config.staleness,
            backup_workers=config.backup_workers,
            aggregation=config.round_reduction,
        )
        self.shards.assume(placement, self._members.specs, self._optimizer, consistency)

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

    def _ready(self, member: Member, _: pb.Ready) -> None:
        member.ready = True
        self._dispatcher.joined(member.worker)
        if not self._initialized:
            self._initialized = True
            for other in self._members:
                if other is not member:
                    self._welcome(other)
        self._tell_members()
        if self._state is State.INITIALIZING:
            if self._dispatcher.finished:  # resumed from a checkpoint of the end
                self._evaluate(self.config.epochs - 1)
            else:
                self._state = State.TRAINING
                self._reporter.meter.running(True)
                self._saver.begin(time.monotonic(), self._dispatcher.steps)
        self._hand_out()

    # ---- work -------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        """Gives work to whoever can take some."""
        if self._state is State.EVALUATING:
            self._hand_out_pieces()
        if self._state is not State.TRAINING:
            return
        works = []
        for member in self._members.ready():
            held = self._dispatcher.book.held_by(member.worker)
            if held <= (0 if self.config.mode == "sync" else member.ahead // 2):
                work = self._dispatcher.take(member.worker, member.ahead - held)
                if work is not None:
                    works.append((member, work))
        if self.config.mode == "ssp" and works:
            self._tell_members()  # who gets work is idle no more, before others run ahead of it
        for member, work in works:
            message = pb.Work(
                generation=self.shards.generation, round=work.round, split_base=self._split_base
            )
            for (epoch, split, index), attempt in work.items:
                message.batches.add(epoch=epoch, split=split, index=index, attempt=attempt)
            member.peer.send(pb.ToWorker(work=message))

    def _tell_members(self) -> None:
        """Tells the shards who lives and who idles, if that changed (it bounds ssp's waits)."""
        if not self._initialized:
            return
        live = frozenset(member.worker for member in self._members.ready())
        idle: frozenset[int] = frozenset()
        if self.config.mode == "ssp":
            idle = frozenset(w for w in live if not self._dispatcher.book.held_by(w))
        if (live, idle) != self._told:
            self.shards.members(live, idle)
            self._told = (live, idle)

    def _report(self, member: Member, report: pb.Report) -> None:
        for outcome in report.outcomes:
            b = outcome.batch
            self._outcome(BatchId(b.epoch, b.split, b.index), b.attempt, outcome.status)
        for ended in report.ended:
            if ended.epoch == self._dispatcher.epoch:
                self._dispatcher.ended(ended.split, ended.length)
        if report.outcomes:
            self._worker_deaths.progressed(member.worker)
            member.cut_off = 0
        self._reporter.figures(report.figures)
        member.pace(report.figures.steps, time.monotonic())
        self._advance()

    def _outcome(self, batch: BatchId, attempt: int, status: int) -> None:
        dispatcher = self._dispatcher
        if status in (pb.Outcome.APPLIED, pb.Outcome.DUPLICATE):
            dispatcher.done(batch)
        elif isinstance(dispatcher, RoundDispatcher):
            if status == pb.Outcome.STAGED:
                dispatcher.staged(batch, attempt)
            elif status == pb.Outcome.DROPPED:
                dispatcher.dropped(batch, attempt)

    def _advance(self) -> None:
        """Goes on as far as the state allows: rounds, the epoch's end, the stop, new work."""
        if isinstance(self._dispatcher, RoundDispatcher) and self._state is State.TRAINING:
            self._decide(self._dispatcher)
        self._reporter.point(self._dispatcher.steps)
        if self._state is State.TRAINING and self._dispatcher.ready_to_verify:
            self._verify()
        if self._state is State.STOPPING:
            self._stop_when_quiet()
        if self.config.mode == "ssp":
            self._tell_members()
        self._hand_out()

    def _decide(self, dispatcher: RoundDispatcher) -> None:
        decision = dispatcher.decide()
        if decision is None:
            return
        mark = f"step-{dispatcher.steps}" if self._mark_wanted else ""
        self.shards.decide(decision.round, decision.contributions, mark)
        dispatcher.decided(decision.round)
        if mark:
            self._mark_wanted = False
            self._saver.start(self.shards, self._position(), self.post, mark)

    def _verify(self) -> None:
        """Every batch of the epoch is reported: the ledgers decide whether it is over."""
        epoch = self._dispatcher.epoch
        missing = self.shards.missing(self._dispatcher.expected())
        if not self._dispatcher.verified(missing):
            text = f"{len(missing)} batches are not in every ledger: handed out again"
            self._reporter.note(text, warning=True)
            return
        self._split_base = 0
        self.shards.close_epoch(epoch)
        self._reporter.meter.running(False)
        self._reporter.epoch()
        self._evaluate(epoch)

    # ---- evaluation -------------------------------------------------------------------------

    def _evaluate(self, epoch: int) -> None:
        """Has the test set evaluated, if it is time, and histograms made."""
        every = self.config.evaluate_every
        last = epoch + 1 >= self.config.epochs
        batches: int | None = 0
        self._only_histograms = False
        if self._test is not None and (last or (every and (epoch + 1) % every == 0)):
            lengths = self._test.lengths()
            batches = None if None in lengths else sum(n or 0 for n in lengths)
        elif self.config.logdir:
            batches, self._only_histograms = 1, True
        self._evaluation = Evaluation(epoch, batches)
        self._state = State.EVALUATING
        if self._evaluation.complete:
            self._evaluation_over()

    def _hand_out_pieces(self) -> None:
        assert self._evaluation is not None
        for member in self._members.ready():
            piece = self._evaluation.take(member.worker)
            if piece is None:
                continue
            message = pb.Evaluate(
                generation=self.shards.generation,
                epoch=self._evaluation.epoch,
                start=piece.start,
                stop=piece.stop,
                histograms=piece.start == 0 and self.config.logdir is not None,
                clock=getattr(self._dispatcher, "rounds_done", -1),
                only_histograms=self._only_histograms,
            )
            member.peer.send(pb.ToWorker(evaluate=message))

    def _evaluated(self, member: Member, found: pb.Evaluated) -> None:
        evaluation = self._evaluation
        if evaluation is None or found.epoch != evaluation.epoch:
            return
        metrics = dict(found.metrics)
        evaluation.add(member.worker, found.start, found.examples, found.loss, metrics)
        self._reporter.histograms(found.histograms)
        if evaluation.complete:
            self._evaluation_over()
        self._hand_out()

    def _evaluation_over(self) -> None:
        assert self._evaluation is not None
        evaluation, self._evaluation = self._evaluation, None
        self._reporter.evaluated(evaluation.result())
        if self._dispatcher.finished:
            self._state = State.FINISHED
            return
        self._state = State.TRAINING
        self._reporter.meter.running(True)
        if self._saver.due_after_epoch(evaluation.epoch + 1):
            self._save()
        self._hand_out()

    # ---- checkpoints ------------------------------------------------------------------------

    def _position(self) -> Position:
        book = self._dispatcher.book
        return Position(
            epoch=book.epoch,
            steps=self._dispatcher.steps,
            split_base=self._split_base,
            signature=self._train.signature(),
            lengths=list(book.lengths.values()),
            epoch_begun=book.done_count > 0,
            history=[dict(means) for means in self._reporter.history],
        )

    def _save(self) -> None:
        """Begins a checkpoint; in sync the next round's decision cuts it, so that all shards
        cut at one round while training goes on."""
        if self.config.mode == "sync":
            self._mark_wanted = self._saver.wanted and not self._saver.busy
        else:
            self._saver.start(self.shards, self._position(), self.post)

    def _restore_newest(self, own: bool = False) -> str | None:
        """Loads the newest checkpoint that is intact into all shards; None: there is none.

        Raises DataLossError: there are some, and all of them are damaged.
        """
        damaged: DataLossError | None = None
        for path in self._saver.candidates(own):
            try:
                position = self._saver.position_of(path)
                check_variables(path, self._members.specs)
                self.shards.restore(path)
            except DataLossError as error:
                damaged = error
                self._reporter.note(f"not used: {error}", warning=True)
                continue
            self._initialized = True
            self._saver.restored(path, position.steps)
            self._go_to(position)
            return path
        if damaged is not None:
            raise damaged
        self._saver.refuse_broken()
        return None

    def _go_to(self, position: Position) -> None:
        """Derives from the ledgers what is still to be done."""
        epoch, base = position.epoch, position.split_base
        if position.signature != self._train.signature() and position.epoch_begun:
            # a BatchId would mean other examples: the epoch is run again under new names
            base += len(position.lengths)
            text = f"other data or batch size than in the checkpoint: epoch {epoch + 1} begins anew"
            self._reporter.note(text, warning=True)
        self._split_base = base
        expected = {(epoch, base + s): n or 0 for s, n in enumerate(self._train.lengths())}
        missing = self.shards.missing(expected) if epoch < self.config.epochs else set()
        dispatcher = self._dispatcher
        if isinstance(dispatcher, RoundDispatcher):
            dispatcher.rounds_done = max(c["round"] for c in self.shards.counters())
        dispatcher.restart(epoch, missing, base)
        dispatcher.steps = position.steps
        self._reporter.restarted(position.steps, position.history)

    # ---- deaths -----------------------------------------------------------------------------

    def _drop(self, member: Member, reason: str) -> None:
        """A worker is dead: what it held goes to others."""
        self._members.remove(member, time.monotonic())
        back = self._dispatcher.lost(member.worker)
        if self._evaluation is not None:
            self._evaluation.lost(member.worker)
        if self._state in (State.STOPPING, State.FINISHED):
            return
        self._reporter.note(
            f"worker-{member.worker} died ({reason}); {len(back)} batches go to others",
            warning=True,
        )
        decision = self._worker_deaths.died(member.worker, reason)
        if isinstance(decision, GiveUp):
            raise UnavailableError(decision.reason)
        if self._initializer == member.worker and not self._initialized:
            heir = next(iter(self._members), None)
            self._initializer = heir.worker if heir is not None else None
            if heir is not None:
                self._welcome(heir)
        self._tell_members()

    def _unavailable(self, member: Member, message: pb.Unavailable) -> None:
        """A worker lost a shard: is the shard dead, or only the connection?"""
        self._dispatcher.lost(member.worker)
        if self._evaluation is not None:
            self._evaluation.lost(member.worker)
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
        self._tell_members()
        self._welcome(member)
        self._advance()

    def _shard_lost(self, error: ShardLostError) -> None:
        """Without replicas a shard's values are lost with it: back to a checkpoint."""
        if self._stop_reason is not None:
            raise UnavailableError(
                f"shard-{error.shard} died while the job was stopping ({error.message}); the "
                f"newest checkpoint is {self._saver.last or 'none'}"
            )
        for _ in range(len(self.shards) + 1):
            try:
                self._roll_back(error)
                return
            except ShardLostError as again:  # another one died meanwhile
                error = again
        raise error

    def _roll_back(self, error: ShardLostError) -> None:
        self._saver.abandon()
        begun, steps = self._initialized, self._dispatcher.steps
        newest = next(iter(self._saver.candidates(own=True)), None)
        if begun:
            decision = self._shard_deaths.died(
                error.shard,
                error.message,
                checkpoint=newest,
                generation=self.shards.generation,
                steps=steps,
                checkpoint_steps=self._saver.position_of(newest).steps if newest else 0,
            )
        else:
            decision = self._shard_deaths.died_empty(error.shard, error.message)
        if isinstance(decision, GiveUp):
            raise UnavailableError(decision.reason)
        self._reporter.meter.running(False)
        self._evaluation = None
        self._mark_wanted = False
        self._told = None
        self._initialized = False
        self._initializer = None
        generation = self.shards.next_generation()
        for index in sorted({*self.shards.dead(_ALIVE_DEADLINE_S), error.shard}):
            self.shards.replace(index, self._fleet.replace_shard(index))
        text = f"shard-{error.shard} died ({error.message}); "
        if begun:
            self._assume()
            self._state = State.INITIALIZING
            found = self._restore_newest(own=True)
            redone = max(0, steps - self._dispatcher.steps)
            text += f"all shards rolled back to {found} as generation {generation}: "
            text += f"{redone} updates are done again"
        elif self._placement is not None:
            self._begin()
            text += "it had no values yet: another one takes its place"
        self._reporter.note(text, warning=True)
        for member in self._members:
            self._dispatcher.lost(member.worker)
            member.ready = False
            if self._initialized or self._initializer is None:
                self._initializer = member.worker
                self._welcome(member)

    def _failed(self, member: Member | None, failed: pb.Failed) -> None:
        """User code raised: in the model (the job fails), or in a batch (others try it too)."""
        if member is None or not failed.HasField("batch"):
            raise failures.to_error(failed)
        if failed.generation != self.shards.generation:
            return
        b = failed.batch
        batch = BatchId(b.epoch, b.split, b.index)
        verdict = self._dispatcher.failed(member.worker, batch)
        raised_on = len(self._dispatcher.bad.raised.get(batch, ()))
        error = failures.to_error(failed, member.worker, raised_on)
        if verdict == RETRY:
            self._reporter.note(f"another worker tries again: {error}", warning=True)
        elif verdict == SKIP:
            self._reporter.note(f"skipped: {error}", warning=True)
            item = self._dispatcher.skip(batch)
            based_on = getattr(self._dispatcher, "rounds_done", 0)
            for status in self.shards.skip(item.batch, item.attempt, based_on):
                self._outcome(batch, item.attempt, pb.Outcome.Status.Value(status.upper()))
        else:
            raise error
        self._advance()

    # ---- the end ----------------------------------------------------------------------------

    def _asked(self, reason: str) -> None:
        if self._stop_reason is not None:
            raise AbortedError(f"stopped at once: {reason}")
        self._stop_reason = reason
        self._stop_at_s = time.monotonic() + _STOP_DEADLINE_S
        self._reporter.note(f"stopping: {reason}")
        if self._initialized and self._state in (State.TRAINING, State.EVALUATING):
            self._state = State.STOPPING
            self._evaluation = None
            self._reporter.meter.running(False)
            self._stop_when_quiet()
        else:
            self._state = State.FINISHED

    def _stop_when_quiet(self) -> None:
        """What workers hold is finished before the last checkpoint is cut."""
        if not self._dispatcher.book.held or time.monotonic() > self._stop_at_s:
            self._state = State.FINISHED

    def _finish(self, outcome: Outcome) -> None:
        """The last checkpoint and the end figures. Raises ShardLostError: there is more to do."""
        outcome.interrupted = self._stop_reason is not None
        counters: list[dict[str, Any]] = []
        if self._initialized:
            self._reporter.meter.running(False)
            self._publish("saving")
            try:
                outcome.checkpoint = self._saver.final(self.shards, self._position())
            except ResourceExhaustedError as error:  # the disk is full; the shards are all right
                outcome.checkpoint = self._saver.last
                text = f"the last checkpoint failed: {error}"
                self._reporter.note(text, warning=True)
            counters = self.shards.counters()
            assert self._placement is not None
            outcome.digest = self.shards.values_digest(self._placement, self._members.specs)
        else:
            outcome.checkpoint = self._saver.last
        self._reporter.fill(outcome, self._dispatcher, counters, self._worker_deaths.restarts)

    def _publish(self, state: str | None = None) -> None:
        now = time.monotonic()
        if state is None and now - self._published_s < _PUBLISH_EVERY_S:
            return
        self._published_s = now
        live = len(self._members.ready())
        self._reporter.publish(state or self._state.value, self._dispatcher, live)

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

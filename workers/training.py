"""The way of a job's batches: handed out, reported, decided in rounds, checked against the
ledgers at each epoch's end, then the test set, and so on to the last epoch."""

from __future__ import annotations

import enum
import logging
import time
from typing import Any

from shardtape.errors import InvalidArgumentError
from shardtape.protos import coordinator_pb2 as pb
from shardtape.ps.ids import BatchId
from shardtape.workers import failures
from shardtape.workers.config import JobConfig
from shardtape.workers.data import DataSpec
from shardtape.workers.dispatcher import RETRY, SKIP, BadBatches, Dispatcher
from shardtape.workers.evaluation import Evaluation
from shardtape.workers.ledger_progress import Progress, read_progress
from shardtape.workers.membership import Member, Membership
from shardtape.workers.reporting import Reporter
from shardtape.workers.rounds import RoundDispatcher
from shardtape.workers.saving import Position, Saver
from shardtape.workers.sessions import Post
from shardtape.workers.shard_group import ShardGroup

_log = logging.getLogger("shardtape.workers")

# Different errors of batches that the user is told; the log has the others.
_TOLD_ERRORS = 10


class Phase(enum.Enum):
    """PAUSED: nothing is handed out (before the start, in a roll-back, after a stop)."""

    PAUSED = "initializing"
    TRAINING = "training"
    EVALUATING = "evaluating"
    OVER = "finished"


class Training:
    """What the coordinator does with batches. All calls come from the coordinator's thread.

    Calls that reach the shards raise ShardLostError when one is gone.

    Args:
      train, test: the data sets, of which only lengths and signatures are looked at.
      post: takes the event of a finished checkpoint.
    """

    def __init__(
        self,
        config: JobConfig,
        train: DataSpec,
        test: DataSpec | None,
        shards: ShardGroup,
        members: Membership,
        saver: Saver,
        reporter: Reporter,
        post: Post,
    ) -> None:
        self._config = config
        self._train, self._test = train, test
        self._shards = shards
        self._members = members
        self._saver = saver
        self._reporter = reporter
        self._post = post
        self.phase = Phase.PAUSED
        self.dispatcher = self._make_dispatcher()
        self._evaluation: Evaluation | None = None
        self._only_histograms = False
        self._told: tuple[frozenset[int], frozenset[int]] | None = None  # what shards know
        self._split_base = 0
        self._mark_wanted = False
        self._save_wanted = False
        self._warned_of_nan = False
        self._warned_of: set[tuple[str, str]] = set()  # what batches raised
        splits = len(train.lengths())
        if splits < config.workers and not train.any_order:
            reporter.note(
                f"train is read in {splits} splits, each by one worker at a time: "
                f"{config.workers - splits} of {config.workers} workers have nothing to train. "
                f"Give splits={config.workers} or more",
                warning=True,
            )

    def _make_dispatcher(self) -> Dispatcher:
        config = self._config
        limit = min(config.bad_batch_workers, max(1, config.workers))
        common: dict[str, Any] = {
            "any_order": self._train.any_order,
            "bad": BadBatches(limit, config.on_bad_batch),
        }
        if config.mode != "sync":
            return Dispatcher(self._train.lengths(), config.epochs, **common)
        common |= {"round_batches": config.round_length, "backup": config.backup_workers}
        return RoundDispatcher(self._train.lengths(), config.epochs, **common)

    # ---- beginning and pausing --------------------------------------------------------------

    def begin(self) -> None:
        """The shards have values, and a worker is ready."""
        if self.dispatcher.finished:  # resumed from a checkpoint of the end
            self._evaluate(self._config.epochs - 1)
        else:
            self._train_on()
            self._saver.begin(time.monotonic(), self.dispatcher.steps)
            if self._saver.last is None and self._saver.periodic:
                self._save()  # so that a shard's death in the first epoch does not end the job

    def _train_on(self) -> None:
        self._reporter.learning_rate = self._shards.counters()[0]["learning_rate"]
        self.phase = Phase.TRAINING
        self._reporter.meter.running(True)

    def pause(self) -> None:
        """Nothing is handed out any more; an evaluation is given up."""
        self.phase = Phase.PAUSED
        self._evaluation = None
        self._mark_wanted = self._save_wanted = False
        self._told = None
        self._reporter.meter.running(False)

    @property
    def quiet(self) -> bool:
        """No worker holds a batch."""
        return not self.dispatcher.book.held

    def joined(self, member: Member) -> None:
        """A worker is ready for work."""
        self.dispatcher.joined(member.worker)
        self.tell_members()

    def lost(self, worker: int) -> list[BatchId]:
        """A worker died or gave up: what it held goes to others."""
        if self._evaluation is not None:
            self._evaluation.lost(worker)
        return self.dispatcher.lost(worker)

    # ---- work -------------------------------------------------------------------------------

    def advance(self) -> None:
        """Goes on as far as it can: rounds, the epoch's end, new work."""
        if self.phase is Phase.TRAINING and isinstance(self.dispatcher, RoundDispatcher):
            self._decide(self.dispatcher)
        self._reporter.point(self.dispatcher.steps)
        if self.phase is Phase.TRAINING and self.dispatcher.ready_to_verify:
            self._verify()
        if self._config.mode == "ssp":
            self.tell_members()
        self.hand_out()

    def hand_out(self) -> None:
        """Gives work to whoever can take some."""
        if self.phase is Phase.EVALUATING:
            self._hand_out_pieces()
        if self.phase is not Phase.TRAINING:
            return
        works = []
        for member in self._members.ready():
            held = self.dispatcher.book.held_by(member.worker)
            if held <= (0 if self._config.mode == "sync" else member.ahead // 2):
                work = self.dispatcher.take(member.worker, member.ahead - held)
                if work is not None:
                    works.append((member, work))
        if self._config.mode == "ssp" and works:
            self.tell_members()  # who gets work is idle no more, before others run ahead of it
        for member, work in works:
            message = pb.Work(
                generation=self._shards.generation, round=work.round, split_base=self._split_base
            )
            for (epoch, split, index), attempt in work.items:
                message.batches.add(epoch=epoch, split=split, index=index, attempt=attempt)
            member.peer.send(pb.ToWorker(work=message))

    def tell_members(self) -> None:
        """Tells the shards who lives and who idles, if that changed (it bounds ssp's waits)."""
        live = frozenset(member.worker for member in self._members.ready())
        idle: frozenset[int] = frozenset()
        if self._config.mode == "ssp":
            idle = frozenset(w for w in live if not self.dispatcher.book.held_by(w))
        if (live, idle) != self._told:
            self._shards.members(live, idle)
            self._told = (live, idle)

    def report(self, member: Member, report: pb.Report) -> None:
        """Takes in what a worker did."""
        for outcome in report.outcomes:
            b = outcome.batch
            self._outcome(BatchId(b.epoch, b.split, b.index), b.attempt, outcome.status)
        for ended in report.ended:
            if ended.epoch == self.dispatcher.epoch:
                self.dispatcher.ended(ended.split, ended.length)
        if report.HasField("not_finite") and not self._warned_of_nan:
            self._warned_of_nan = True
            self._warn_of_nan(member, report.not_finite)
        self._reporter.figures(report.figures)
        member.pace(report.figures.steps, time.monotonic())
        self.advance()

    def _warn_of_nan(self, member: Member, b: pb.Batch) -> None:
        batch = BatchId(b.epoch, b.split, b.index)
        advice = (
            "the shards refuse what is not finite in its gradients"
            if self._config.nan == "refuse"
            else "training goes on with what it gives; nan=refuse stops before it is applied"
        )
        self._reporter.note(
            f"the loss is not finite (NaN or infinite) for the first time in {batch} on "
            f"worker-{member.worker}: {advice}. Is the learning rate too high, is there a NaN "
            "in the data?",
            warning=True,
        )

    def _outcome(self, batch: BatchId, attempt: int, status: int) -> None:
        dispatcher = self.dispatcher
        if status in (pb.Outcome.APPLIED, pb.Outcome.DUPLICATE):
            dispatcher.done(batch)
        elif isinstance(dispatcher, RoundDispatcher):
            if status == pb.Outcome.STAGED:
                dispatcher.staged(batch, attempt)
            elif status == pb.Outcome.DROPPED:
                dispatcher.dropped(batch, attempt)

    def failed(self, member: Member, failed: pb.Failed) -> None:
        """A batch raised on a worker: others try it too.

        Raises:
          OpError: it raised on enough of them; the error has the user's own words.
        """
        b = failed.batch
        batch = BatchId(b.epoch, b.split, b.index)
        verdict = self.dispatcher.failed(member.worker, batch)
        raised_on = len(self.dispatcher.bad.raised.get(batch, ()))
        error = failures.to_error(failed, member.worker, raised_on)
        if verdict == RETRY:
            self._warn_of(failed, f"another worker tries again: {error}")
        elif verdict == SKIP:
            self._warn_of(failed, f"skipped: {error}")
            item = self.dispatcher.skip(batch)
            based_on = getattr(self.dispatcher, "rounds_done", 0)
            for status in self._shards.skip(item.batch, item.attempt, based_on):
                self._outcome(batch, item.attempt, pb.Outcome.Status.Value(status.upper()))
        else:
            raise error
        self.advance()

    def _warn_of(self, failed: pb.Failed, text: str) -> None:
        """Tells the user what a batch raised, once: where all batches raise it, one text says
        as much as a thousand. The summary counts what was skipped."""
        what = (failed.error_type, failed.message)
        if what in self._warned_of or len(self._warned_of) >= _TOLD_ERRORS:
            _log.info("%s", text)
            return
        self._warned_of.add(what)
        self._reporter.note(text, warning=True)

    def _decide(self, dispatcher: RoundDispatcher) -> None:
        decision = dispatcher.decide()
        if decision is None:
            return
        mark = f"step-{dispatcher.steps}" if self._mark_wanted else ""
        self._shards.decide(decision.round, decision.contributions, mark)
        dispatcher.decided(decision.round)
        if mark:
            self._mark_wanted = False
            self._saver.start(self._shards, self.position(), self._post, mark)

    def _verify(self) -> None:
        """Every batch of the epoch is reported: the ledgers decide whether it is over.

        Raises:
          InvalidArgumentError: it had none, so that a job would end without having trained.
        """
        epoch = self.dispatcher.epoch
        expected = self.dispatcher.expected()
        missing = self._shards.missing(expected)
        if not self.dispatcher.verified(missing):
            text = f"{len(missing)} batches are not in every ledger: handed out again"
            self._reporter.note(text, warning=True)
            return
        if not sum(expected.values()):
            raise InvalidArgumentError(
                f"train gave no batch in epoch {epoch + 1}: its {len(self._train.lengths())} "
                "splits are empty"
            )
        self._split_base = 0
        self._shards.close_epoch(epoch)
        self._reporter.meter.running(False)
        self._reporter.epoch()
        self._evaluate(epoch)

    # ---- evaluation -------------------------------------------------------------------------

    def _evaluate(self, epoch: int) -> None:
        """Has the test set evaluated, if it is time, and histograms made."""
        every = self._config.evaluate_every
        last = epoch + 1 >= self._config.epochs
        batches: int | None = 0
        self._only_histograms = False
        if self._test is not None and (last or (every and (epoch + 1) % every == 0)):
            lengths = self._test.lengths()
            batches = None if None in lengths else sum(n or 0 for n in lengths)
        elif self._config.logdir:
            batches, self._only_histograms = 1, True
        self._evaluation = Evaluation(epoch, batches)
        self.phase = Phase.EVALUATING
        if self._evaluation.complete:
            self._evaluation_over()

    def _hand_out_pieces(self) -> None:
        assert self._evaluation is not None
        for member in self._members.ready():
            piece = self._evaluation.take(member.worker)
            if piece is None:
                continue
            message = pb.Evaluate(
                generation=self._shards.generation,
                epoch=self._evaluation.epoch,
                start=piece.start,
                stop=piece.stop,
                histograms=piece.start == 0 and self._config.logdir is not None,
                clock=getattr(self.dispatcher, "rounds_done", -1),
                only_histograms=self._only_histograms,
            )
            member.peer.send(pb.ToWorker(evaluate=message))

    def evaluated(self, member: Member, found: pb.Evaluated) -> None:
        """Takes in a worker's piece of the test set."""
        evaluation = self._evaluation
        if evaluation is None or found.epoch != evaluation.epoch:
            return
        metrics = dict(found.metrics)
        evaluation.add(member.worker, found.start, found.examples, found.loss, metrics)
        self._reporter.histograms(found.histograms)
        if evaluation.complete:
            self._evaluation_over()
        self.hand_out()

    def _evaluation_over(self) -> None:
        assert self._evaluation is not None
        evaluation, self._evaluation = self._evaluation, None
        self._reporter.evaluated(evaluation.result())
        if self.dispatcher.finished:
            self.phase = Phase.OVER
            return
        self._train_on()
        if self._saver.due_after_epoch(evaluation.epoch + 1):
            self._save()
        self.hand_out()

    # ---- checkpoints ------------------------------------------------------------------------

    def save_if_due(self, now_s: float) -> None:
        """Begins a checkpoint when an interval of steps or seconds is over."""
        if self.phase is Phase.TRAINING and self._saver.due(now_s, self.dispatcher.steps):
            self._save()

    def _save(self) -> None:
        """Begins a checkpoint; in sync the next round's decision cuts it, so that all shards
        cut at one round while training goes on."""
        self._save_wanted = self._saver.busy  # the one under way is of an older state
        if self._save_wanted:
            return
        if self._config.mode == "sync":
            self._mark_wanted = self._saver.wanted
        else:
            self._saver.start(self._shards, self.position(), self._post)

    def saved(self) -> None:
        """A checkpoint is finished; another one may have become due meanwhile."""
        if self._save_wanted and self.phase is Phase.TRAINING:
            self._save()

    def position(self) -> Position:
        """Where the job is in its data."""
        book = self.dispatcher.book
        return Position(
            epoch=book.epoch,
            steps=self.dispatcher.steps,
            split_base=self._split_base,
            signature=self._train.signature(),
            lengths=list(book.lengths.values()),
            epoch_begun=book.done_count > 0,
            history=[dict(means) for means in self._reporter.history],
            epoch_steps=book.done_count,
        )

    def go_to(self, position: Position) -> None:
        """All shards have loaded a checkpoint: what is still to be done follows from their
        ledgers."""
        epoch, base = position.epoch, position.split_base
        same = position.signature == self._train.signature()
        # ends of splits that were found by then are known
        lengths = (same and position.lengths) or self._train.lengths()
        steps, progress = position.steps, Progress()
        if epoch < self._config.epochs:
            before = lengths if same else position.lengths
            progress = read_progress(self._shards.missing, epoch, before, base)
            steps = position.steps_with(progress.taken)
            if not same:
                # a BatchId would mean other examples: the epoch is run again under new names, also
                # where only one ledger has a batch of it
                base += len(position.lengths)
                if position.epoch_begun or progress.taken:
                    self._reporter.note(
                        f"other data or batch size than in the checkpoint: epoch {epoch + 1} "
                        "begins anew",
                        warning=True,
                    )
                progress = read_progress(self._shards.missing, epoch, lengths, base)
        self._split_base = base
        dispatcher = self.dispatcher
        if isinstance(dispatcher, RoundDispatcher):
            dispatcher.rounds_done = max(c["round"] for c in self._shards.counters())
        dispatcher.restart(epoch, progress.missing, base, lengths=lengths, reached=progress.reached)
        dispatcher.steps = steps
        self._reporter.restarted(steps, position.history)

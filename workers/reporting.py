"""What a running job tells: curves, notes, the status for the display, the end figures."""

from __future__ import annotations

import logging
import threading
from typing import Any

from shardtape.protos import coordinator_pb2 as pb
from shardtape.workers.config import JobConfig
from shardtape.workers.curves import Curves
from shardtape.workers.dispatcher import Dispatcher
from shardtape.workers.figures import Meter
from shardtape.workers.status import Note, Outcome, Status

_log = logging.getLogger("shardtape.workers")


class Reporter:
    """Collects what the coordinator learns; `status` may be called from any thread.

    Attributes:
      history: per closed epoch: means of loss and metrics, "test_*" where it was evaluated.
      learning_rate: of the shards' next update, None while it is not known.
    """

    def __init__(self, config: JobConfig, curves: Curves) -> None:
        self._config = config
        self._curves = curves
        self.meter = Meter()
        self.history: list[dict[str, float]] = []
        self.learning_rate: float | None = None
        self._next_point = config.log_every
        self._trained: dict[str, float] = {}
        self._tested: dict[str, float] = {}
        self._staleness = 0.0
        self._step = 0
        self._lock = threading.Lock()
        self._notes: list[Note] = []
        self._rollbacks = 0
        # a job without worker processes counts none of them for people
        self._status = Status(workers=config.workers, epochs=config.epochs)
        if not config.resume and curves.has_earlier():
            self.note(
                f"{config.logdir} has curves of an earlier run: TensorBoard draws both as one; "
                "another logdir keeps them apart",
                warning=True,
            )

    def restarted(self, step: int, history: list[dict[str, float]]) -> None:
        """The job went (back) to a checkpoint."""
        if self.meter.begun:
            self._rollbacks += 1
        self._step = step
        if history and not self._trained:
            last = history[-1].items()
            self._trained = {k: v for k, v in last if not k.startswith("test_")}
        self._next_point = step + self._config.log_every
        self.history = history
        self.meter.take_point()
        self.meter.take_epoch()

    def note(self, text: str, warning: bool = False) -> None:
        """Something that the user should read."""
        _log.info("%s", text)  # the driver shows it: a second time from a log would confuse
        with self._lock:
            self._notes.append(Note(len(self._notes) + 1, text, warning))
        self._curves.text(self._step, "events", text)

    def graph(self, graph_def: bytes) -> None:
        self._curves.graph(graph_def)

    def point(self, step: int) -> None:
        """Writes a point of each curve when it is due."""
        self._step = step
        if step < self._next_point:
            return
        sums = self.meter.take_point()
        if not sums.steps:
            return
        self._next_point = step + self._config.log_every
        self._trained = sums.training()
        self._staleness = sums.staleness / sums.steps
        values = {**self._trained, "examples_per_s": self.meter.current_examples_per_s()}
        if self.learning_rate is not None:
            values["learning_rate"] = self.learning_rate
        self._curves.training(step, values)
        self._curves.server(step, sums.server())

    def epoch(self) -> None:
        """An epoch is closed."""
        means = self.meter.take_epoch().training()
        self._trained = means or self._trained
        self.history.append(dict(means))

    def evaluated(self, result: dict[str, float]) -> None:
        """The test set was evaluated."""
        if not result:
            return
        self._tested = result
        self._curves.evaluation(self._step, result)
        if self.history:
            self.history[-1].update({f"test_{name}": value for name, value in result.items()})

    def histograms(self, found: Any) -> None:
        self._curves.histograms(self._step, found)

    def figures(self, figures: pb.Figures) -> None:
        self.meter.add(figures)

    def close(self) -> None:
        self._curves.close()

    # ---- for the driver ---------------------------------------------------------------------

    def publish(self, state: str, dispatcher: Dispatcher, workers_live: int) -> None:
        """Puts a new status together."""
        config = self._config
        total = dispatcher.batches_per_epoch
        steps = None if total is None else total * config.epochs
        done = dispatcher.steps
        trained_s = self.meter.training_s
        speed = self.meter.total_steps / trained_s if trained_s > 0 else 0.0
        status = Status(
            state=state,
            epoch=min(dispatcher.epoch + 1, config.epochs),
            epochs=config.epochs,
            step=done,
            steps=steps,
            examples_per_s=self.meter.current_examples_per_s(),
            loss=self._trained.get("loss"),
            metrics={k: v for k, v in self._trained.items() if k != "loss"},
            test=dict(self._tested),
            staleness=self._staleness,
            seconds_left=(steps - done) / speed if steps and speed else None,
            workers_live=workers_live,
            workers=config.workers,
            finished=self._status.finished,
        )
        with self._lock:
            self._status = status

    def finish(self) -> None:
        """The last status is out."""
        with self._lock:
            self._status.finished = True

    def status(self, after_note: int = 0) -> Status:
        """The newest status, with the notes after number `after_note`."""
        with self._lock:
            status = Status(**self._status.__dict__)
            status.notes = [note for note in self._notes if note.number > after_note]
        return status

    def fill(
        self,
        outcome: Outcome,
        dispatcher: Dispatcher,
        counters: list[dict[str, Any]],
        restarts: int,
    ) -> None:
        """The end figures; `counters` is empty where the shards cannot be asked any more."""
        config = self._config
        per_epoch = dispatcher.batches_per_epoch
        batches = None if per_epoch is None else per_epoch * config.epochs
        if dispatcher.finished and counters and not dispatcher.lengths_known:
            batches = max(c["applied"] for c in counters)  # epochs may differ, or be of other runs
        rounds = None
        if config.mode == "sync" and counters:
            rounds = max(c["round"] for c in counters)
        outcome.nothing_left = dispatcher.finished and not self.meter.begun
        outcome.metrics = dict(self._tested or self._trained)
        outcome.tested = bool(self._tested)
        outcome.history = self.history
        outcome.skipped = [str(batch) for batch in dispatcher.bad.skipped]
        outcome.summary = {
            "test_accuracy": self._tested.get("accuracy"),
            "examples_per_s": None if outcome.nothing_left else self.meter.examples_per_s(),
            "steps": dispatcher.steps,
            "batches": batches,
            "rounds": rounds,
            "applied_per_shard": [c["applied"] - c["skipped"] for c in counters],
            "skipped": max((c["skipped"] for c in counters), default=0),
            "duplicates_dropped": sum(c["duplicates"] for c in counters),
            "worker_restarts": restarts,
            "rollbacks": self._rollbacks,
            "interrupted": outcome.interrupted,
            "checkpoint": outcome.checkpoint,
            "checkpoint_step": outcome.checkpoint_step,
            "logdir": config.logdir,
            "mode": config.mode,
            "shards": config.ps,
            "workers": config.workers,
        }

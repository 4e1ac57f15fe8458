"""TensorBoard's view of a job: three runs below the log directory.

"train" has loss, metrics, learning rate, speed and the step's graph; "test" the evaluations under
the same tags, so that both curves lie in one chart; "ps" what the parameter server costs:
staleness, bytes and milliseconds of push and pull per shard, and failures as text.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from shardtape import storage, summary
from shardtape.errors import OpError
from shardtape.protos import coordinator_pb2 as pb
from shardtape.summary import encoding

_log = logging.getLogger("shardtape.workers")
_HISTOGRAM_COLUMNS = 3
RUNS = ("train", "test", "ps")
EVENT_FILE = "tfevents"  # what TensorBoard knows event files by


class Curves:
    """Writes a job's events; without a log directory every call does nothing.

    A disk that fails ends the curves with one warning, never the training.

    Args:
      logdir: directory of the three runs, or None.
    """

    def __init__(self, logdir: str | None) -> None:
        self._logdir = logdir
        self._writers: dict[str, Any] = {}
        self._has_graph = False
        self.failure: str | None = None

    def has_earlier(self) -> bool:
        """Whether another job has written curves there, which TensorBoard mixes with these."""
        if self._logdir is None or self._writers:
            return False
        return any(
            EVENT_FILE in name
            for run in RUNS
            for name in storage.names(storage.join(self._logdir, run))
        )

    def _writer(self, run: str) -> Any:
        if run not in self._writers:
            folder = storage.join(self._logdir or "", run)
            self._writers[run] = summary.create_file_writer(folder)
        return self._writers[run]

    def _write(self, run: str, values: Mapping[str, float], step: int) -> None:
        if self._logdir is None or self.failure is not None:
            return
        try:
            writer = self._writer(run)
            for tag, value in values.items():
                writer.scalar(tag, value, step)
        except OpError as error:
            self._fail(error)

    def _fail(self, error: OpError) -> None:
        self.failure = f"no more events are written: {error.message}"
        _log.warning("%s", self.failure)

    def training(self, step: int, values: Mapping[str, float]) -> None:
        """One point of each training curve; `step` counts the batches of all workers."""
        self._write("train", values, step)

    def evaluation(self, step: int, values: Mapping[str, float]) -> None:
        self._write("test", values, step)

    def server(self, step: int, values: Mapping[str, float]) -> None:
        self._write("ps", values, step)

    def histograms(self, step: int, found: Iterable[pb.Histogram]) -> None:
        """Distributions of weights and gradients."""
        if self._logdir is None or self.failure is not None:
            return
        metadata = encoding.plugin_metadata("histograms", None)
        try:
            with self._writer("train").as_default():
                for item in found:
                    table = np.array(item.buckets).reshape(-1, _HISTOGRAM_COLUMNS)
                    summary.write(item.tag, table, step=step, metadata=metadata)
        except OpError as error:
            self._fail(error)

    def graph(self, graph_def: bytes) -> None:
        """The step's graph, a serialized GraphDef."""
        if self._logdir is None or self.failure is not None or not graph_def or self._has_graph:
            return
        self._has_graph = True  # a worker that comes back sends it again
        try:
            with self._writer("train").as_default():
                summary.graph(graph_def)
        except OpError as error:
            self._fail(error)

    def text(self, step: int, tag: str, text: str) -> None:
        """A failure, a roll-back or the job's options, for the Text page."""
        if self._logdir is None or self.failure is not None:
            return
        try:
            with self._writer("ps").as_default():
                summary.text(tag, text, step=step)
        except OpError as error:
            self._fail(error)

    def close(self) -> None:
        """Flushes and closes the files; may be called twice."""
        writers, self._writers = self._writers, {}
        for writer in writers.values():
            try:
                writer.close()
            except OpError as error:
                self._fail(error)

"""Event files: scalars and histograms of a million values per second, one core.

Against tensorboard's own writer, in turn in the same process; where `make bench-peers` was run
also against TensorFlow's and PyTorch's. A figure counts until the writer is closed, so that all
bytes are in the file.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import rows
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram import summary_v2
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from shardtape import summary
from shardtape.summary import FileWriter, v1

SCALARS = 50_000
HISTOGRAMS = 20
THEIR_HISTOGRAMS = 3
VALUES = 1_000_000


def proto(value: float) -> Summary:
    return Summary(value=[Summary.Value(tag="loss", simple_value=value)])


def scalars_tensorboard(logdir: str) -> int:
    writer = EventFileWriter(logdir)
    for i in range(SCALARS):
        writer.add_event(Event(wall_time=time.time(), step=i, summary=proto(float(i))))
    writer.close()
    return SCALARS


def scalars(logdir: str) -> int:
    writer = summary.create_file_writer(logdir)
    with writer.as_default():
        for i in range(SCALARS):
            summary.scalar("loss", float(i), step=i)
    writer.close()
    return SCALARS


def scalars_of_writer(logdir: str) -> int:
    writer = summary.create_file_writer(logdir)
    for i in range(SCALARS):
        writer.scalar("loss", float(i), i)
    writer.close()
    return SCALARS


def scalars_v1(logdir: str) -> int:
    writer = FileWriter(logdir)
    for i in range(SCALARS):
        writer.add_summary(proto(float(i)), i)
    writer.close()
    return SCALARS


def histograms(data: np.ndarray) -> Callable[[str], int]:
    def run(logdir: str) -> int:
        writer = summary.create_file_writer(logdir)
        with writer.as_default():
            for i in range(HISTOGRAMS):
                summary.histogram("weights", data, step=i)
        writer.close()
        return HISTOGRAMS

    return run


def histograms_v1(data: np.ndarray) -> Callable[[str], int]:
    def run(logdir: str) -> int:
        writer = FileWriter(logdir)
        for i in range(HISTOGRAMS):
            writer.add_summary(v1.histogram_summary("weights", data), i)
        writer.close()
        return HISTOGRAMS

    return run


def histograms_tensorboard(data: np.ndarray) -> Callable[[str], int]:
    def run(logdir: str) -> int:
        writer = EventFileWriter(logdir)
        for i in range(THEIR_HISTOGRAMS):
            made = summary_v2.histogram_pb("weights", data)
            writer.add_event(Event(wall_time=time.time(), step=i, summary=made))
        writer.close()
        return THEIR_HISTOGRAMS

    return run


def measure(runs: dict[str, Callable[[str], int]], repeats: int) -> dict[str, list[float]]:
    """Items per second of each, all of them in turn in every round; the first round warms up."""
    root = tempfile.mkdtemp(prefix="shardtape-events-")
    found: dict[str, list[float]] = {name: [] for name in runs}
    try:
        for turn in range(repeats + 1):
            for name, run in runs.items():
                logdir = os.path.join(root, f"{name}-{turn}")
                begin = time.perf_counter()
                count = run(logdir)
                taken = time.perf_counter() - begin
                if turn:
                    found[name].append(count / taken)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    return found


def peers(what: str) -> dict[str, float]:
    """Medians of the peers by name; empty without their environment."""
    found = {}
    for peer in ("tf1", "torch"):
        for line in rows.run_peer("events.py", peer) or []:
            if line["what"] == what:
                found[peer] = line["median"]
    return found


def main() -> None:
    parser = rows.parser(__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    core = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    data = np.random.default_rng(1).normal(0, 1, VALUES).astype(np.float32)
    found = measure(
        {
            "tensorboard": scalars_tensorboard,
            "scalars": scalars,
            "scalars_writer": scalars_of_writer,
            "scalars_v1": scalars_v1,
        },
        options.repeats,
    )
    against = "tensorboard EventFileWriter"
    made = [
        rows.row(f"event_{name}", "scalars/s", found[name], against, found["tensorboard"])
        for name in ("scalars", "scalars_writer", "scalars_v1")
    ]
    of_million = measure(
        {
            "tensorboard": histograms_tensorboard(data),
            "histograms": histograms(data),
            "histograms_v1": histograms_v1(data),
        },
        options.repeats,
    )
    made += [
        rows.row(
            f"event_{name}", "histograms/s", of_million[name], "tensorboard histogram_pb",
            of_million["tensorboard"],
        )
        for name in ("histograms", "histograms_v1")
    ]  # fmt: skip
    said = {"tf1": "TF1 FileWriter", "torch": "torch SummaryWriter"}
    for what, name, unit, ours in (
        ("scalars", "event_scalars", "scalars/s", found["scalars"]),
        ("histograms", "event_histograms", "histograms/s", of_million["histograms"]),
    ):
        for peer, theirs in peers(what).items():
            made.append(rows.row(f"{name}_{peer}", unit, ours, said[peer], theirs))
    rows.report(made, options.json)


if __name__ == "__main__":
    main()

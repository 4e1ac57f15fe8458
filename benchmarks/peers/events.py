"""Peers of event files: scalars, and histograms of 1,000,000 values, per second, one core.

    python events.py tf1|tf|torch

The writer is closed inside the measured time: all bytes are handed to the file.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from typing import Any

from measure import emit, pin, summary, tensorflow, torch, versions

SCALARS = 20_000
HISTOGRAMS = 10
VALUES = 1_000_000

Way = Callable[[str], None]


def ways_tf1(data: Any) -> dict[str, Way]:
    v1 = tensorflow(1).compat.v1

    def scalars(logdir: str) -> None:
        with v1.Graph().as_default():
            writer = v1.summary.FileWriter(logdir)
            for i in range(SCALARS):
                value = v1.Summary.Value(tag="loss", simple_value=float(i))
                writer.add_summary(v1.Summary(value=[value]), i)
            writer.close()

    graph = v1.Graph()
    with graph.as_default():
        x = v1.placeholder("float32", [None])
        op = v1.summary.histogram("weights", x)
    session = v1.Session(graph=graph)

    def histograms(logdir: str) -> None:
        with graph.as_default():
            writer = v1.summary.FileWriter(logdir)
            for i in range(HISTOGRAMS):
                writer.add_summary(session.run(op, {x: data}), i)
            writer.close()

    return {"scalars": scalars, "histograms": histograms}


def ways_tf(data: Any) -> dict[str, Way]:
    tf = tensorflow(1)
    tensor = tf.constant(data)

    def scalars(logdir: str) -> None:
        writer = tf.summary.create_file_writer(logdir)
        with writer.as_default():
            for i in range(SCALARS):
                tf.summary.scalar("loss", float(i), step=i)
        writer.close()

    def histograms(logdir: str) -> None:
        writer = tf.summary.create_file_writer(logdir)
        with writer.as_default():
            for i in range(HISTOGRAMS):
                tf.summary.histogram("weights", tensor, step=i)
        writer.close()

    return {"scalars": scalars, "histograms": histograms}


def ways_torch(data: Any) -> dict[str, Way]:
    torch(1)
    from torch.utils.tensorboard import SummaryWriter

    def scalars(logdir: str) -> None:
        writer = SummaryWriter(logdir)
        for i in range(SCALARS):
            writer.add_scalar("loss", float(i), i)
        writer.close()

    def histograms(logdir: str) -> None:
        writer = SummaryWriter(logdir)
        for i in range(HISTOGRAMS):
            writer.add_histogram("weights", data, i)
        writer.close()

    return {"scalars": scalars, "histograms": histograms}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("peer", choices=["tf1", "tf", "torch"])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    pin(1)
    import numpy as np

    data = np.random.default_rng(1).normal(0, 1, VALUES).astype(np.float32)
    ways = {"tf1": ways_tf1, "tf": ways_tf, "torch": ways_torch}[options.peer](data)
    root = tempfile.mkdtemp(prefix="shardtape-events-")
    try:
        for what, way in ways.items():
            count = SCALARS if what == "scalars" else HISTOGRAMS
            rates = []
            for turn in range(options.repeats + 1):
                begin = time.perf_counter()
                way(os.path.join(root, f"{what}-{turn}"))
                if turn:  # the first one warms up
                    rates.append(count / (time.perf_counter() - begin))
            found = versions("tensorflow-cpu", "torch", "tensorboard", "numpy")
            emit("events", options.peer, f"{what}/s", summary(rates), what=what, versions=found)
    finally:
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()

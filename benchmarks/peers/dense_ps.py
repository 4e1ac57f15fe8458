"""Peers of a dense parameter server: MLP 784-1024-1024-10, batch 128 for each worker, SGD.

Two workers, and two servers where the peer has them, on this machine's loopback, one math thread
each. One step is: pull the weights, forward, backward, push the gradients, apply them. Figures
are steps per second of all workers together.

    python dense_ps.py PEER [--threads 1] [--windows 5] [--seconds 3]

PEER: tf2-ps         TF2 ParameterServerStrategy, ClusterCoordinator.schedule of a tf.function
      tf1-ps         tf.compat.v1 servers, between-graph, asynchronous, feed_dict in each worker
      ddp-gloo       torch DistributedDataParallel, gloo, two processes (synchronous)
      ray-doc-sync   the scheme of Ray's documentation: one server actor, object store, torch
      ray-doc-async  the same, asynchronous
      single-tf, single-torch   one process without any distribution, same batch
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from children import Child
from measure import emit, pin, summary, versions

LEARNING_RATE = 0.01
PEERS = (
    *("tf2-ps", "tf1-ps", "ddp-gloo", "ray-doc-sync", "ray-doc-async"),
    *("single-tf", "single-torch"),
)


@dataclass(frozen=True)
class Options:
    """What one run measures; children get the same, with a role, a rank and the ports."""

    peer: str
    role: str = "main"
    rank: int = 0
    ports: tuple[int, ...] = ()
    threads: int = 1
    batch: int = 128
    workers: int = 2
    ps: int = 2
    windows: int = 5
    seconds: float = 3.0

    def child(self, role: str, rank: int, ports: Sequence[int]) -> Child:
        """This script again, in another role."""
        theirs = dataclasses.replace(self, role=role, rank=rank, ports=tuple(ports))
        words: list[object] = [theirs.peer]
        for field in dataclasses.fields(theirs):
            value = getattr(theirs, field.name)
            if field.name == "ports":
                value = ",".join(map(str, value))
            if field.name != "peer":
                words += [f"--{field.name}", value]
        return Child(__file__, words)

    def report(self, rates: Sequence[float] | dict[str, float], **more: object) -> None:
        """Emits the steps per second of all workers: one figure a window, or their summary."""
        got = rates if isinstance(rates, dict) else summary(rates)
        unit = "steps/s one process" if self.peer.startswith("single") else "steps/s all workers"
        more["versions"] = versions("tensorflow-cpu", "torch", "ray", "numpy")
        emit("dense", self.peer, unit, got, threads=self.threads, batch=self.batch, **more)


def parse() -> Options:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("peer", choices=PEERS)
    for field in dataclasses.fields(Options):
        if field.name == "ports":
            parser.add_argument("--ports", default="", help=argparse.SUPPRESS)
        elif field.name != "peer":
            kind = {"int": int, "float": float, "str": str}[str(field.type)]
            hidden = argparse.SUPPRESS if field.name in ("role", "rank") else None
            parser.add_argument(f"--{field.name}", type=kind, default=field.default, help=hidden)
    given = vars(parser.parse_args())
    given["ports"] = tuple(int(port) for port in given["ports"].split(",") if port)
    return Options(**given)


def main() -> None:
    options = parse()
    # One process alone is pinned to as many cores as it has threads; together they share all.
    pin(options.threads, None if options.peer.startswith("single") else ())
    if options.peer in ("tf2-ps", "tf1-ps", "single-tf"):
        import dense_tensorflow

        dense_tensorflow.run(options)
    else:
        import dense_torch

        dense_torch.run(options)


if __name__ == "__main__":
    main()

"""One worker and one shard on one host: a 64 MB dense push and pull, and a small push.

What is timed, for `transport_local` and `transport_grpc`: the worker process pushes the gradient
of a 64 MiB float32 variable through `Client.push`, waits until the shard's state machine has
checked and logged it and answered, then pulls the 64 MiB of parameters into its own arrays. GB/s
count the 128 MiB both ways. The push is staged (`commit=None`, as parts of a batch are that arrive
before the last one): the shard copies the gradient into memory of its own but does not run the
optimizer, whose cost is not transport. `transport_local_sgd` commits, so that the shard also
reads, updates and writes all parameters.

The gradient lies where a compiled step leaves it: in the client's slot. Through shared memory
that means one copy (the shard's) on the way up and one (the worker's) on the way down, so the
measure is a plain `numpy.copyto` of the same 64 MiB between private arrays, twice. Over gRPC it is
the best raw Python stream of the same bytes up and then down (identity serializers, the same piece
sent again and again, lengths added up at the other end, nothing copied), with the best of several
sizes of pieces. All ways take turns in each window; the processes have the environment that
workers and shards get. `push_round_trip` is a committed push of 256 bytes against a bare ping on
an open stream.
"""

from __future__ import annotations

import os
import queue
import statistics
import struct
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent / "peers"))


import grpc
import numpy as np
import rows
from children import Child, hear, say

from shardtape.backend.environment import process_environment
from shardtape.ps.client import Client, GrpcChannel
from shardtape.ps.ids import BatchId, VariableSpec
from shardtape.ps.messages import Scalars
from shardtape.ps.partition import place

MIB = 1 << 20
BYTES = 64 * MIB
SHAPE = (4096, 4096)
PIECES_MIB = (1, 2, 4)
UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


# ---- the other processes ----------------------------------------------------------------------


def specs() -> list[VariableSpec]:
    return [VariableSpec("large", SHAPE, "float32"), VariableSpec("small", (64,), "float32")]


def shard() -> None:
    """Serves one shard until the parent ends."""
    from shardtape.optimizers import SGD
    from shardtape.ps.consistency import Consistency
    from shardtape.ps.service import ShardServer

    server = ShardServer(token="benchmark", job="benchmark")
    rule = SGD(1e-6).rule_config()
    server.assume(0, place(specs(), 1), specs(), rule, Consistency("async"))
    say({"address": server.address})
    hear()


def raw() -> None:
    """A server that does nothing but gRPC."""
    big = os.urandom(max(PIECES_MIB) * MIB)

    def down(request: bytes, _: Any) -> Iterator[bytes]:
        (size,) = struct.unpack("<Q", request)
        piece = big[:size]
        for _ in range(BYTES // size):
            yield piece

    methods = {
        "Up": grpc.stream_unary_rpc_method_handler(
            lambda pieces, _: struct.pack("<Q", sum(map(len, pieces)))
        ),
        "Down": grpc.unary_stream_rpc_method_handler(down),
        "Chat": grpc.stream_stream_rpc_method_handler(lambda requests, _: requests),
    }
    server = grpc.server(ThreadPoolExecutor(4), options=[*UNLIMITED, ("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("raw", methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say({"address": f"127.0.0.1:{port}"})
    hear()


# ---- the ways ---------------------------------------------------------------------------------


class Ours:
    """A worker of the shard."""

    def __init__(self, address: str, transport: str, worker: int) -> None:
        channel = GrpcChannel(address, "benchmark", job="benchmark", transport=transport)
        self.client = Client(
            [channel], place(specs(), 1), specs(), worker, job="benchmark", slots=1
        )
        self.client.initialize({s.key: np.zeros(s.shape, np.float32) for s in specs()})
        for gradient in self.client.gradients(0).values():
            gradient[...] = 1.0
        self.worker = worker
        self.count = 0

    def push(self, key: str, *, commit: bool) -> None:
        gradients = {key: self.client.gradients(0)[key]}
        self.count += commit
        # a staged attempt takes the place of the one before, so that nothing piles up
        batch = BatchId(0, self.worker, self.count if commit else 1 << 40)
        scalars = Scalars() if commit else None
        self.client.push(batch, 0, gradients, slot=0, commit=scalars).wait()

    def push_and_pull(self, *, commit: bool = False) -> None:
        self.push("large", commit=commit)
        self.client.pull(0)


class Raw:
    """A client of the bare server."""

    def __init__(self, address: str) -> None:
        channel = grpc.insecure_channel(address, options=UNLIMITED)
        self.up = channel.stream_unary("/raw/Up")
        self.down = channel.unary_stream("/raw/Down")
        self.requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.answers = channel.stream_stream("/raw/Chat")(iter(self.requests.get, None))
        self.pieces = {mib: os.urandom(mib * MIB) for mib in PIECES_MIB}

    def up_and_down(self, mib: int) -> None:
        piece = self.pieces[mib]
        self.up(iter([piece] * (BYTES // len(piece))))
        sum(map(len, self.down(struct.pack("<Q", len(piece)))))

    def ping(self) -> None:
        self.requests.put(b"x" * 64)
        next(self.answers)


def copier() -> Callable[[], None]:
    source, target, other = (np.ones(BYTES, np.uint8) for _ in range(3))

    def copy_twice() -> None:
        np.copyto(target, source)
        np.copyto(other, target)

    return copy_twice


def gb_per_s(once: Callable[[], None], window_s: float) -> float:
    """128 MiB per call, over as many calls as fill the window, after one that is not counted.

    The first call after a pause finds cold caches and a connection that has to speed up again.
    """
    once()
    calls, begin = 0, time.perf_counter()
    while calls < 2 or time.perf_counter() - begin < window_s:
        once()
        calls += 1
    return 2 * BYTES * calls / (time.perf_counter() - begin) / 1e9


def round_trip_us(once: Callable[[], None], window_s: float) -> float:
    """Median of single calls."""
    taken = []
    end = time.perf_counter() + window_s
    while time.perf_counter() < end:
        begin = time.perf_counter_ns()
        once()
        taken.append(time.perf_counter_ns() - begin)
    return statistics.median(taken) / 1e3


def measure(windows: int, window_s: float, shard_at: str, raw_at: str) -> list[rows.Row]:
    shared, wire, bare = Ours(shard_at, "shared", 0), Ours(shard_at, "grpc", 1), Raw(raw_at)
    ways: dict[Any, Callable[[], None]] = {
        "memcpy": copier(),
        "shared": shared.push_and_pull,
        "sgd": lambda: shared.push_and_pull(commit=True),
        "grpc": wire.push_and_pull,
        **{mib: lambda mib=mib: bare.up_and_down(mib) for mib in PIECES_MIB},
    }
    small: dict[str, Callable[[], None]] = {
        "push": lambda: shared.push("small", commit=True),
        "ping": bare.ping,
    }
    for once in (*ways.values(), *small.values()):
        once()
        once()
    found: dict[Any, list[float]] = {name: [] for name in (*ways, *small)}
    for _ in range(windows):
        for name, way in ways.items():
            found[name].append(gb_per_s(way, window_s))
        for name, call in small.items():
            found[name].append(round_trip_us(call, window_s))
    best = max(PIECES_MIB, key=lambda mib: statistics.median(found[mib]))
    stream = f"raw gRPC streams, {best} MiB pieces"
    return [
        rows.row("transport_local", "GB/s", found["shared"], "numpy.copyto", found["memcpy"]),
        rows.row("transport_local_sgd", "GB/s", found["sgd"], "numpy.copyto", found["memcpy"]),
        rows.row("transport_grpc", "GB/s", found["grpc"], stream, found[best]),
        rows.row("push_round_trip", "us", found["push"], "gRPC stream ping", found["ping"]),
    ]


def main() -> None:
    parser = rows.parser(__doc__)
    parser.add_argument("--role", choices=("main", "shard", "raw"), default="main")
    parser.add_argument("--windows", type=int, default=11)
    parser.add_argument("--window", type=float, default=0.3, help="seconds of one measurement")
    options = parser.parse_args()
    if options.role != "main":
        {"shard": shard, "raw": raw}[options.role]()
        return
    os.environ.update(process_environment(1))  # for the children
    children = [Child(__file__, ["--role", role]) for role in ("shard", "raw")]
    try:
        addresses = [child.hear()["address"] for child in children]
        found = measure(options.windows, options.window, *addresses)
    finally:
        for child in children:
            child.stop()
    rows.report(found, options.json)


if __name__ == "__main__":
    main()

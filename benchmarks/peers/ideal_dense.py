"""What the step of dense_ps.py can reach: processes, shared memory and numpy, nothing else.

No protocol, no gRPC, no Ray, nothing kept safe. Workers write gradients straight into their own
segment, shards apply them there, workers read the parameters from the shards' segment, in place
or (--copy) into a private copy first.

    python ideal_dense.py [--copy] [--seconds 5]
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Sequence
from multiprocessing import shared_memory
from multiprocessing.connection import Connection, wait
from typing import Any

from measure import emit, pin, summary, versions

LAYERS = (784, 1024, 1024, 10)
SHAPES = tuple(zip(LAYERS[:-1], LAYERS[1:]))
SIZE = sum(rows * columns for rows, columns in SHAPES)
BATCH, LEARNING_RATE = 128, 0.01
BLOCK = 65536  # floats: two operands of a block stay in the second-level cache
WORKERS = SHARDS = 2


def matrices(buffer: Any) -> list[Any]:
    """The kernels as views of one buffer."""
    import numpy as np

    views, offset = [], 0
    for shape in SHAPES:
        views.append(np.ndarray(shape, "f4", buffer, offset))
        offset += views[-1].nbytes
    return views


def worker(
    index: int,
    names: tuple[str, str],
    shards: Sequence[Connection],
    stop: Any,
    counts: Any,
    copy: bool,
) -> None:
    """Steps until told to stop; counts them."""
    import numpy as np

    parameters, gradients = (shared_memory.SharedMemory(name) for name in names)
    shared, pushed = matrices(parameters.buf), matrices(gradients.buf)
    w = [each.copy() for each in shared] if copy else shared
    rng = np.random.default_rng(index)
    x = rng.normal(size=(BATCH, LAYERS[0])).astype("f4")
    y, rows = rng.integers(0, LAYERS[-1], BATCH), np.arange(BATCH)
    h1, h2, d1, d2 = (np.empty((BATCH, LAYERS[1]), "f4") for _ in range(4))
    z = np.empty((BATCH, LAYERS[-1]), "f4")
    while not stop.value:
        for mine, theirs in zip(w, shared) if copy else ():
            np.copyto(mine, theirs)
        np.maximum(np.matmul(x, w[0], out=h1), 0, out=h1)
        np.maximum(np.matmul(h1, w[1], out=h2), 0, out=h2)
        np.matmul(h2, w[2], out=z)
        z -= z.max(1, keepdims=True)
        np.exp(z, out=z)
        z /= z.sum(1, keepdims=True)
        z[rows, y] -= 1
        z /= BATCH
        np.multiply(np.matmul(z, w[2].T, out=d2), h2 > 0, out=d2)
        np.multiply(np.matmul(d2, w[1].T, out=d1), h1 > 0, out=d1)
        # the segment is free again when every shard has applied the last push
        for pipe in shards if counts[index] else ():
            pipe.recv_bytes()
        for out, left, right in ((pushed[2], h2, z), (pushed[1], h1, d2), (pushed[0], x, d1)):
            np.matmul(left.T, right, out=out)
        for pipe in shards:
            pipe.send_bytes(b"x")
        counts[index] += 1


def shard(names: Sequence[str], pipes: Sequence[Connection], low: int, high: int) -> None:
    """Applies the pushes of all workers to its range of the parameters."""
    import numpy as np

    segments = [shared_memory.SharedMemory(name) for name in names]
    p, *pushed = (np.ndarray(SIZE, "f4", segment.buf) for segment in segments)
    gradients = dict(zip(pipes, pushed))
    scaled = np.empty(BLOCK, "f4")
    while True:
        for pipe in wait(pipes):
            assert isinstance(pipe, Connection)
            pipe.recv_bytes()
            for i in range(low, high, BLOCK):
                j = min(i + BLOCK, high)
                p[i:j] -= np.multiply(gradients[pipe][i:j], LEARNING_RATE, out=scaled[: j - i])
            pipe.send_bytes(b"k")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--copy", action="store_true", help="copy the parameters in each step")
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    pin(1, ())
    import numpy as np

    segments = [shared_memory.SharedMemory(create=True, size=4 * SIZE) for _ in range(1 + WORKERS)]
    processes = []
    try:
        start = np.random.default_rng(0).normal(0, 0.03, SIZE)
        np.ndarray(SIZE, "f4", segments[0].buf)[:] = start
        names = [segment.name for segment in segments]
        stop, counts = multiprocessing.Value("b", 0), multiprocessing.Array("l", WORKERS)
        pipes = [[multiprocessing.Pipe() for _ in range(SHARDS)] for _ in range(WORKERS)]
        for s in range(SHARDS):
            bounds = s * SIZE // SHARDS, (s + 1) * SIZE // SHARDS
            ends = [pipes[w][s][1] for w in range(WORKERS)]
            processes.append(multiprocessing.Process(target=shard, args=(names, ends, *bounds)))
        for w in range(WORKERS):
            mine = (names[0], names[1 + w]), [pipes[w][s][0] for s in range(SHARDS)]
            arguments = (w, *mine, stop, counts, options.copy)
            processes.append(multiprocessing.Process(target=worker, args=arguments))
        for process in processes:
            process.daemon = True
            process.start()
        time.sleep(1.5)
        rates = []
        for _ in range(3):
            before, begin = sum(counts), time.time()
            time.sleep(options.seconds / 3)
            rates.append((sum(counts) - before) / (time.time() - begin))
        stop.value = 1
        for process in processes[SHARDS:]:
            process.join(10)
    finally:
        for process in processes:
            process.terminate()
        for segment in segments:
            segment.close()
            segment.unlink()
    peer = "ideal, parameters copied" if options.copy else "ideal, parameters in place"
    got = summary(rates)
    emit("dense", peer, "steps/s all workers", got, threads=1, versions=versions("numpy"))


if __name__ == "__main__":
    main()

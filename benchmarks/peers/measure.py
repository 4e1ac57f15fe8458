"""Thread pinning, timing and output, the same for every peer.

Call `pin` before numpy, tensorflow or torch is imported: the libraries read their thread
settings when they load.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


def pin(threads: int, cores: Sequence[int] | None = None) -> None:
    """Gives this process as many math threads, and CPU affinity.

    Args:
      threads: of each math library.
      cores: core numbers; the first `threads` allowed ones where not given, no affinity where
        empty.
    """
    if cores is None:
        cores = sorted(os.sched_getaffinity(0))[:threads]
    if cores:
        os.sched_setaffinity(0, set(cores) & os.sched_getaffinity(0))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def tensorflow(threads: int) -> Any:
    """The module, with as many threads inside one op; independent ops share two."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1 if threads == 1 else 2)
    return tf


def torch(threads: int) -> Any:
    """The module, with as many threads inside one op."""
    import torch

    torch.set_num_threads(threads)
    with contextlib.suppress(RuntimeError):  # can be set once in a process only
        torch.set_num_interop_threads(1)
    return torch


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, extremes and number of figures."""
    return {
        "median": float(f"{statistics.median(values):.6g}"),
        "min": float(f"{min(values):.6g}"),
        "max": float(f"{max(values):.6g}"),
        "runs": len(values),
    }


def rate(
    step: Callable[[], object], window_s: float = 0.7, repeats: int = 5, warm_s: float = 0.3
) -> dict[str, float]:
    """Calls of `step` per second, over `repeats` windows of about `window_s` seconds."""
    begin, calls = time.perf_counter(), 0
    while calls < 3 or time.perf_counter() - begin < warm_s:
        step()
        calls += 1
    begin, calls = time.perf_counter(), 0
    while calls < 3 or time.perf_counter() - begin < 0.1:
        step()
        calls += 1
    # so many calls fill a window: the clock is not read at every call
    count = max(3, int(window_s * calls / (time.perf_counter() - begin)))
    rates = []
    for _ in range(repeats):
        begin = time.perf_counter()
        for _ in range(count):
            step()
        rates.append(count / (time.perf_counter() - begin))
    return summary(rates)


def microseconds(
    step: Callable[[], object], window_s: float = 0.3, repeats: int = 7
) -> dict[str, float]:
    """Microseconds for one call of `step`, measured as by `rate`."""
    got = rate(step, window_s, repeats)
    return {
        "median": float(f"{1e6 / got['median']:.5g}"),
        "min": float(f"{1e6 / got['max']:.5g}"),
        "max": float(f"{1e6 / got['min']:.5g}"),
        "runs": got["runs"],
    }


def versions(*names: str) -> dict[str, str]:
    """Versions of Python and of those distributions that are installed."""
    found = {"python": sys.version.split()[0]}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def emit(workload: str, peer: str, unit: str, got: dict[str, float], **more: Any) -> None:
    """One result as a JSON object on one line of standard output."""
    line = {"workload": workload, "peer": peer, "unit": unit, **got, **more}
    line["load1"] = round(os.getloadavg()[0], 2)
    print(json.dumps(line), flush=True)

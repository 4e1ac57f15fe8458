"""The environment of a process that computes: allocator, BLAS kernel, thread counts.

All of it has to be in place before the process starts or before numpy is loaded, so it lives in
one file: the workers package passes `process_environment` to every actor that it starts,
`import shardtape` calls `apply_to_this_process`, and `shardtape doctor` prints `describe`.
What the user has set is never changed.

Why each setting (measured on an AMD Zen 5 with numpy 2.4.6, OpenBLAS 0.3.31, glibc 2.36):

* `MALLOC_MMAP_THRESHOLD_`, `MALLOC_TRIM_THRESHOLD_`: glibc gives every block over 128 KiB its
  own mapping and returns it on free, so each large temporary costs page faults again. With
  high thresholds an elementwise chain on 1 to 32 MB runs 1.4 to 2.2 times as fast, and large
  gRPC messages 2 to 3 times. The price is that a process keeps its high-water mark of memory.
* `OPENBLAS_CORETYPE`: AVX-512 kernels do 240 GFLOP/s on one core, AVX2 kernels 128. OpenBLAS up
  to 0.3.31 does not list AMD family 26 (Zen 5) and guesses from the features, which finds the
  right kernel on most systems but not on all (OpenMathLib/OpenBLAS#6029); naming the kernel
  makes it sure. Families that it lists, and all of Intel's, are left to its own detection.
* thread counts: BLAS threads that find no free core spin and cost 5 to 8 times, so a process
  gets its share of the cores and never all of them. A process that is started gets them as
  variables; the running one (`ps=0, workers=0`) by `limited_threads`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_AVX512 = frozenset({"avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512cd"})
_FIRST_UNLISTED_AMD_FAMILY = 26
_AVX512_KERNEL = "SkylakeX"
_AVX2_KERNELS = frozenset({"haswell", "zen", "excavator", "steamroller"})

# mallopt takes a C int, so both stay below 2**31.
_MMAP_THRESHOLD_BYTES = 2_000_000_000
_TRIM_THRESHOLD_BYTES = 2_147_483_647
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3

_MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": str(_MMAP_THRESHOLD_BYTES),
    "MALLOC_TRIM_THRESHOLD_": str(_TRIM_THRESHOLD_BYTES),
}
# In the order in which OpenBLAS looks at them.
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class Cpu(NamedTuple):
    """The first core; empty strings, -1 and an empty set where nothing is known."""

    vendor: str
    family: int
    model: str
    flags: frozenset[str]


def cpu_facts(path: str = "/proc/cpuinfo") -> Cpu:
    """Reads the first core of Linux's /proc/cpuinfo; other systems have no such file."""
    fields: dict[str, str] = {}
    try:
        with open(path, encoding="utf-8", errors="replace") as lines:
            for line in lines:
                name, colon, value = line.partition(":")
                if not colon:
                    break
                fields[name.strip()] = value.strip()
    except OSError:
        pass
    family = fields.get("cpu family", "")
    return Cpu(
        vendor=fields.get("vendor_id", ""),
        family=int(family) if family.isdigit() else -1,
        model=fields.get("model name", ""),
        flags=frozenset(fields.get("flags", "").split()),
    )


def blas_kernel(cpu: Cpu | None = None) -> str | None:
    """The OpenBLAS kernel to ask for by name, or None where its own detection is relied on."""
    cpu = cpu_facts() if cpu is None else cpu
    unlisted = cpu.vendor == "AuthenticAMD" and cpu.family >= _FIRST_UNLISTED_AMD_FAMILY
    return _AVX512_KERNEL if unlisted and cpu.flags >= _AVX512 else None


def process_environment(threads: int, base: Mapping[str, str] | None = None) -> dict[str, str]:
    """Environment variables for a process that is about to be started.

    Args:
      threads: cores that the process may keep busy, at least 1.
      base: the environment that the user set; this process's own by default.

    Returns:
      Only variables of this module; those that `base` has keep its value. One of
      OPENBLAS_NUM_THREADS and OMP_NUM_THREADS alone sets the other thread counts too, or
      OpenBLAS would prefer ours to the user's.
    """
    if threads < 1:
        raise ValueError(f"a process needs at least 1 thread, got {threads}")
    base = os.environ if base is None else base
    chosen = dict(_MALLOC)
    kernel = blas_kernel()
    if kernel is not None:
        chosen["OPENBLAS_CORETYPE"] = kernel
    of_user = next((base[name] for name in _THREADS if name in base), str(threads))
    chosen.update(dict.fromkeys(_THREADS, of_user))
    return {name: base.get(name, value) for name, value in chosen.items()}


def of_the_user(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The variables of this module that are set in `base`, by default in this process."""
    base = os.environ if base is None else base
    names = (*_MALLOC, "OPENBLAS_CORETYPE", *_THREADS)
    return {name: base[name] for name in names if name in base}


def apply_to_this_process() -> dict[str, str]:
    """Does for the running process what can still be done; called by `import shardtape`.

    The BLAS kernel is chosen already when numpy is loaded; the allocator takes its thresholds at
    any time, so that it does not matter which of both a program imports first. Thread counts are
    the program's own affair.

    Returns:
      The settings that were made, by variable name.
    """
    made = {}
    kernel = blas_kernel() if "numpy" not in sys.modules else None
    if kernel is not None and "OPENBLAS_CORETYPE" not in os.environ:
        os.environ["OPENBLAS_CORETYPE"] = made["OPENBLAS_CORETYPE"] = kernel
    if sys.platform == "linux" and not any(name in os.environ for name in _MALLOC):
        made.update(_raise_malloc_thresholds())
    return made


@contextlib.contextmanager
def limited_threads(threads: int | None) -> Iterator[None]:
    """While it is open, matrix products of this process use so many threads; None: as they are.

    An environment variable comes too late for a running process, and the number of threads
    decides in which order BLAS adds, so also the last bits. The library threadpoolctl finds
    whichever BLAS numpy was built with; the former numbers are back afterwards.
    """
    if threads is None:
        yield
        return
    import numpy  # noqa: F401  (its BLAS has to be loaded to be found)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=threads, user_api="blas"):
        yield


def _raise_malloc_thresholds() -> dict[str, str]:
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl's allocator has no thresholds
        return {}
    mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)
    return dict(_MALLOC)


def describe() -> dict[str, object]:
    """What this process computes with, for `shardtape doctor`.

    Returns:
      cpu (model name), cores (usable by this process), avx512 (bool), blas_kernel (asked for
      through the environment, or "detected by OpenBLAS"), variables (those of this module
      that are set), advice (list of sentences, empty when all is well).
    """
    cpu = cpu_facts()
    avx512 = cpu.flags >= _AVX512
    asked = os.environ.get("OPENBLAS_CORETYPE")
    advice = []
    if avx512 and asked is not None and asked.lower() in _AVX2_KERNELS:
        advice.append(
            f"OPENBLAS_CORETYPE={asked} is set, but this CPU has AVX-512: matrix products run "
            f"at half speed; unset it, or set OPENBLAS_CORETYPE={_AVX512_KERNEL}."
        )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    for name in _THREADS:
        value = os.environ.get(name, "")
        if value.isdigit() and cores and int(value) > cores:
            advice.append(
                f"{name}={value} is more than the {cores} cores of this process: the threads "
                f"spin and wait for each other; set it to {cores} or less."
            )
    return {
        "cpu": cpu.model,
        "cores": cores,
        "avx512": avx512,
        "blas_kernel": asked or "detected by OpenBLAS",
        "variables": of_the_user(),
        "advice": advice,
    }

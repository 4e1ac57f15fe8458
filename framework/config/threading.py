"""`tf.config.threading`: how many threads compute.

One op runs at a time; matrix products use the threads of numpy's BLAS, which
`OPENBLAS_NUM_THREADS` and its like set before numpy is loaded. The numbers are kept and given back.
"""

from __future__ import annotations

__all__ = [
    "get_inter_op_parallelism_threads",
    "get_intra_op_parallelism_threads",
    "set_inter_op_parallelism_threads",
    "set_intra_op_parallelism_threads",
]

_threads = {"inter": 0, "intra": 0}


def _set(kind: str, num_threads: int) -> None:
    if int(num_threads) < 0:
        raise ValueError(f"the number of threads must not be below 0, got {num_threads}")
    _threads[kind] = int(num_threads)


def set_inter_op_parallelism_threads(num_threads: int) -> None:
    """Threads that run ops side by side; 0 leaves the choice."""
    _set("inter", num_threads)


def get_inter_op_parallelism_threads() -> int:
    return _threads["inter"]


def set_intra_op_parallelism_threads(num_threads: int) -> None:
    """Threads inside one op; 0 leaves the choice."""
    _set("intra", num_threads)


def get_intra_op_parallelism_threads() -> int:
    return _threads["intra"]

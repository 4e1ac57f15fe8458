"""`tf.timestamp`: the time of the run."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.registry import IO, op
from shardtape.shapes import TensorShape


@op("Timestamp", dtype=dt.float64, shape=lambda: TensorShape([]), effects=IO, direct=True,
    differentiable=False)  # fmt: skip
def timestamp_op(xp):
    """Seconds since 1970, float64 scalar."""
    return np.float64(time.time())


def timestamp(name: str | None = None) -> Any:
    """Seconds since 1970, a float64 scalar; in a graph the time when it runs."""
    return timestamp_op(name=name)

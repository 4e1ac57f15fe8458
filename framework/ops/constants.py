"""Constants that the ops share: sets of dtypes, small integer tensors for axes and shapes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.tensor import EagerTensor

# every type that has values of its own
DATA = dt.ANY - {dt.resource, dt.variant}


@functools.lru_cache(maxsize=4096)
def _vector(values: tuple[int, ...]) -> EagerTensor:
    return EagerTensor(np.array(values, np.int32))


@functools.lru_cache(maxsize=4096)
def _scalar(value: int) -> EagerTensor:
    return EagerTensor(np.int32(value))


def int_vector(values: Any) -> Any:
    """An int32 vector; eager ones are made once and shared, as tensors never change."""
    if state.graph is None:
        return _vector(tuple(values))
    return np.array(tuple(values), np.int32)


def int_scalar(value: int) -> Any:
    """An int32 scalar; see `int_vector`."""
    if state.graph is None:
        return _scalar(value)
    return np.int32(value)

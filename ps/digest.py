"""Digests of arrays, by which replicas and workers compare what they hold."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from shardtape.ps.ids import RangeId


def values_digest(values: Mapping[RangeId, np.ndarray]) -> str:
    """Hexadecimal; equal for equal arrays under equal names."""
    h = hashlib.blake2b(digest_size=32)
    hash_arrays(h, values)
    return h.hexdigest()


def hash_arrays(h: Any, arrays: Mapping[RangeId, np.ndarray]) -> None:
    """Feeds names, shapes, dtypes and bytes, in the order of the names, to a hash object."""
    for id in sorted(arrays):
        array = np.ascontiguousarray(arrays[id])
        h.update(repr((id, array.shape, array.dtype.name)).encode())
        h.update(array.reshape(-1).view(np.uint8))

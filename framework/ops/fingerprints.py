"""64-bit fingerprints of one fingerprint after the other, as hashed crosses take them."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.registry import op, same_as

HASH_START = 956888297470  # what the hash of no feature is, in TensorFlow's crosses
_MULTIPLIER = 0xC6A4A7935BD1E995
_MASK = (1 << 64) - 1


def _mixed(x: int) -> int:
    return x ^ (x >> 47)


def joined_fingerprint(first: int, second: int) -> int:
    """The fingerprint of two 64-bit fingerprints one after the other."""
    result = first ^ _MULTIPLIER
    result ^= (_mixed((second * _MULTIPLIER) & _MASK) * _MULTIPLIER) & _MASK
    result = (result * _MULTIPLIER) & _MASK
    result = (_mixed(result) * _MULTIPLIER) & _MASK
    return _mixed(result)


def _one_by_one(first: Any, second: Any) -> np.ndarray:
    pairs = zip(first.ravel().tolist(), second.ravel().tolist())
    made = [joined_fingerprint(a & _MASK, b & _MASK) for a, b in pairs]
    return np.array(made, np.uint64).astype(np.int64).reshape(first.shape)


def _samples(rng: np.random.Generator) -> Any:
    def drawn() -> np.ndarray:
        return rng.integers(-(2**63), 2**63 - 1, (2, 3))

    return [((drawn(), drawn()), {}), ((np.array([HASH_START, 0]), np.array([-1, 7])), {})]


@op("FingerprintCat64", dtypes=frozenset((dt.int64,)), shape=same_as(0), differentiable=False,
    samples=_samples, reference=_one_by_one)  # fmt: skip
def joined_fingerprints(xp, first, second):
    """The fingerprints of two tensors of fingerprints (64 bits in int64), one after the other."""
    factor, shift = np.uint64(_MULTIPLIER), np.uint64(47)
    a, b = first.astype(np.uint64), second.astype(np.uint64) * factor
    result = (a ^ factor ^ ((b ^ (b >> shift)) * factor)) * factor
    result = (result ^ (result >> shift)) * factor
    return (result ^ (result >> shift)).astype(np.int64)

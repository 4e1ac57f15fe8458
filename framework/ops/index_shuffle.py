"""Places of indices in a random permutation that is never made: `RandomIndexShuffle`.

The permutation is a Feistel cipher with the round function of Simon (Beaulieu et al., "The Simon
and Speck families of lightweight block ciphers", 2013) on blocks just wide enough for the largest
index; what lands beyond the largest index is enciphered again (Black and Rogaway, "Ciphers with
arbitrary finite domains", 2002).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.errors import InvalidArgumentError
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.padding import pad
from shardtape.ops.registry import op
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

_ROUND_BITS = 0x7369F885192C0EF5  # the sequence z_4 of the cipher's key schedule
_SMALLEST_BLOCK = 16
_THIRD_SEED = 498247692  # TensorFlow puts it before the two of the caller
_INDEX_TYPES = frozenset((dt.int32, dt.uint32, dt.int64, dt.uint64))


def _round_keys(seed: Any, width: int, rounds: int) -> list[int]:
    mask = (1 << width) - 1
    keys = [int(s) & 0xFFFFFFFF & mask for s in seed]
    bits, high = _ROUND_BITS & mask, 0xFFFFFFFC & mask
    for i in range(3, rounds):
        last = keys[i - 1]
        turned = (last >> 3 | last << width - 3) ^ (last >> 4 | last << width - 4)
        keys.append((high ^ (bits & 1) ^ keys[i - 3] ^ turned) & mask)
        bits >>= 1
    return keys


def _encipher(values: np.ndarray, keys: list[int], width: int) -> np.ndarray:
    """Blocks of two words of `width` bits each, uint64."""
    shift, mask = np.uint64(width), np.uint64((1 << width) - 1)

    def turned(x: np.ndarray, by: int) -> np.ndarray:
        return (x << np.uint64(by) | x >> np.uint64(width - by)) & mask

    left, right = values >> shift & mask, values & mask
    for key in keys:
        mixed = turned(right, 1) & turned(right, 8) ^ turned(right, 2)
        left, right = right, left ^ mixed ^ np.uint64(key)
    return left << shift | right


def _places(index: np.ndarray, seed: Any, largest: int, rounds: int) -> np.ndarray:
    if largest == 0:
        return np.zeros_like(index)
    needed = int(np.ceil(np.log2(float(largest))))
    width = max(needed + needed % 2, _SMALLEST_BLOCK) // 2
    keys = _round_keys(seed, width, rounds)
    out = _encipher(index, keys, width)
    while True:
        beyond = out > np.uint64(largest)
        if not beyond.any():
            return out
        out[beyond] = _encipher(out[beyond], keys, width)


def _sizes(index: Any, seed: Any, max_index: Any, **attrs: Any) -> TensorShape:
    shapes = index.shape, seed.shape, max_index.shape
    if any(s.rank is None for s in shapes):
        return TensorShape(None)
    if [s.rank for s in shapes] == [0, 1, 0]:
        return TensorShape([])
    sizes = [s[0] for s, vector in zip(shapes, (0, 1, 0)) if s.rank != vector]
    known = [s for s in sizes if s is not None]
    return TensorShape([known[0] if known else None])


@op(
    "RandomIndexShuffle",
    shape=_sizes,
    dtype=lambda dtypes, attrs: dtypes[0],
    host=("index", "seed", "max_index"),
    widen=False,
    differentiable=False,
    samples=lambda rng: [
        ((np.arange(4, dtype=np.int32), np.array([1, 5, 9], np.int32), np.int32(3)), {}),
        ((np.int64(70000), np.array([1, 5, 9], np.int64), np.int64(10**12)), {}),
    ],
)
def index_shuffle_op(xp, index, seed, max_index, *, rounds=4):
    """Where each index goes: indices and largest indices [n] or [], seeds [3] or [n, 3]."""
    sizes = {a.shape[0] for a, rank in ((index, 0), (seed, 1), (max_index, 0)) if a.ndim > rank}
    count = max(sizes, default=1)
    if index.ndim > 1 or max_index.ndim > 1 or sizes - {count}:
        raise InvalidArgumentError(
            "Index and max_index must be scalars or vectors of one size; got shapes "
            f"{list(index.shape)} and {list(max_index.shape)} with seeds {list(seed.shape)}."
        )
    if seed.ndim not in (1, 2) or seed.shape[-1] != 3:
        raise InvalidArgumentError(
            f"Seed must be a vector of size [3] or a matrix of size [{count}, 3] but got "
            f"{list(seed.shape)}."
        )
    if np.any(index < 0) or np.any(index > max_index):
        raise InvalidArgumentError("Index must lie between 0 and max_index, both included.")
    places = np.atleast_1d(index).astype(np.uint64)
    if seed.ndim == 1 and max_index.ndim == 0:
        made = _places(places, seed, int(max_index), rounds)
    else:
        rows = np.broadcast_to(seed, (count, 3)), np.broadcast_to(max_index, count)
        made = np.concatenate([
            _places(one, s, int(m), rounds)
            for one, s, m in zip(np.broadcast_to(places, count).reshape(count, 1), *rows)
        ])  # fmt: skip
    alone = index.ndim == max_index.ndim == 0 and seed.ndim == 1
    return xp.asarray(made.astype(index.dtype).reshape(() if alone else (count,)))


def index_shuffle(index: Any, seed: Any, max_index: Any) -> Tensor:
    """The place of `index` in a permutation of [0, ..., max_index] that follows from `seed`.

    Args:
      index: int32, int64, uint32 or uint64, a scalar or a vector [n].
      seed: two integers, or [n, 2] for one permutation for each index.
      max_index: the largest index of the permutation, included; a scalar or [n].

    Returns:
      Of the type of `index`: a scalar if all three are single, else [n].

    Raises:
      InvalidArgumentError: an index outside of [0, max_index], or shapes that do not fit.

    Example:
      >>> tf.random.experimental.index_shuffle(tf.range(4), [5, 9], 3).numpy()
      array([2, 0, 1, 3], dtype=int32)
    """
    index = convert_to_tensor(index)
    if index.dtype not in _INDEX_TYPES:
        names = ", ".join(t.name for t in sorted(_INDEX_TYPES, key=lambda t: t.name))
        raise InvalidArgumentError(
            f"Indices of {index.dtype.name} cannot be shuffled; use {names}."
        )
    seed = convert_to_tensor(seed)
    rank = seed.shape.rank
    before = [[0, 0]] * ((1 if rank is None else rank) - 1) + [[1, 0]]
    seed = pad(seed, before, constant_values=_THIRD_SEED)
    return index_shuffle_op(index, seed, convert_to_tensor(max_index, index.dtype))

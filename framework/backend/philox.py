"""Philox 4x32-10 and the distributions that TensorFlow's CPU kernels draw from it.

A `Philox` is a 64-bit key and a 128-bit counter; the block at a counter is four 32-bit words
that depend on nothing else, so any part of a stream is computed alone and in parallel (Salmon
et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Every function takes the array
module `xp` (numpy or cupy) and the number of values, and returns a flat array.

Equal to TensorFlow 2.15 (Linux) bit for bit: uniforms, integers, permutations and normals up to
float32. float64 normals go through numpy's `log`, `sin` and `cos`, so that one in 1,000 differs
in the last place.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shardtape.backend import single_precision

_MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
_WEYL = 0x9E3779B9, 0xBB67AE85
_ROUNDS = 10
_MASK32, _MASK64, _MASK128 = 2**32 - 1, 2**64 - 1, 2**128 - 1
_LOW32, _SHIFT32 = np.uint64(_MASK32), np.uint64(32)
_MULTIPLIER_COLUMN = np.array(_MULTIPLIERS, np.uint64)[:, None]
_KEY_STEPS = (
    np.arange(_ROUNDS, dtype=np.uint64)[:, None, None] * np.array(_WEYL, np.uint64)[:, None]
)

# Blocks computed at once: on the host as many as stay in a core's cache, on a GPU as many as
# bound the temporaries to some hundred megabytes.
_HOST_CHUNK, _DEVICE_CHUNK = 1 << 14, 1 << 22
# Up to so many blocks Python's integers are faster than 60 calls of numpy.
_FEW_BLOCKS = 2

# TensorFlow reserves this many blocks of the stream for every value of an op's output, whatever
# the distribution needs.
BLOCKS_PER_VALUE = 256
# Truncated normals reject values, so each group of outputs has a part of the stream of its own.
_WORDS_PER_TRUNCATED_VALUE = 256

_TWO_PI = 2.0 * np.pi
_SCRAMBLE_KEY = 0x02461E293EC8F720


class Philox(NamedTuple):
    """A position in a stream: `key` below 2**64, `counter` below 2**128."""

    key: int
    counter: int

    def skip(self, blocks: int) -> Philox:
        """The position `blocks` blocks of four words later."""
        return Philox(self.key, (self.counter + (blocks & _MASK64)) & _MASK128)

    def block(self) -> tuple[int, int, int, int]:
        """The four words at this position, as Python integers."""
        c = [self.counter >> shift & _MASK32 for shift in (0, 32, 64, 96)]
        k0, k1 = self.key & _MASK32, self.key >> 32
        for _ in range(_ROUNDS):
            p0, p1 = c[0] * _MULTIPLIERS[0], c[2] * _MULTIPLIERS[1]
            c = [p1 >> 32 ^ c[1] ^ k0, p1 & _MASK32, p0 >> 32 ^ c[3] ^ k1, p0 & _MASK32]
            k0, k1 = k0 + _WEYL[0] & _MASK32, k1 + _WEYL[1] & _MASK32
        return c[0], c[1], c[2], c[3]


def from_seeds(seed: int, seed2: int) -> Philox:
    """The start of the stream of a stateful op with these two seeds."""
    return Philox(seed & _MASK64, (seed2 & _MASK64) << 64)


def from_stateless_seed(seed0: int, seed1: int) -> Philox:
    """The start of the stream of a stateless op with seed `[seed0, seed1]`.

    The seeds are mixed by one block under a fixed key, so that it does not matter which of them
    carries the randomness.
    """
    mixed = Philox(_SCRAMBLE_KEY, seed0 & _MASK64 | (seed1 & _MASK64) << 64).block()
    return Philox(mixed[0] | mixed[1] << 32, mixed[2] << 64 | mixed[3] << 96)


# ---- words ------------------------------------------------------------------------------------
def words(xp: Any, state: Philox, size: int) -> Any:
    """`size` consecutive words, uint32."""
    blocks = -(-size // 4)
    if blocks <= _FEW_BLOCKS and xp is np:
        drawn = [word for i in range(blocks) for word in state.skip(i).block()]
        return np.array(drawn[:size], np.uint32)
    out = xp.empty((blocks, 4), np.uint32)
    chunk = _HOST_CHUNK if xp is np else _DEVICE_CHUNK
    for start in range(0, blocks, chunk):
        stop = min(start + chunk, blocks)
        _fill(xp, state, xp.arange(start, stop, dtype=np.uint64), out[start:stop])
    return out.reshape(-1)[:size]


def _fill(xp: Any, state: Philox, index: Any, out: Any) -> None:
    """Writes the blocks at `state.skip(index[i])` to `out[i]`; index uint64 (n,), out (n, 4)."""
    # Rows: (c0, c2) and (c1, c3) of the counter, each word in 64 bits to take the products.
    even = xp.empty((2, index.shape[0]), np.uint64)
    odd = xp.empty_like(even)
    product = xp.empty_like(even)
    low, high = state.counter & _MASK64, state.counter >> 64
    at = index + np.uint64(low)
    xp.bitwise_and(at, _LOW32, out=even[0])
    xp.right_shift(at, _SHIFT32, out=odd[0])
    upper = (at < np.uint64(low)).astype(np.uint64) + np.uint64(high)  # the carry
    xp.bitwise_and(upper, _LOW32, out=even[1])
    xp.right_shift(upper, _SHIFT32, out=odd[1])

    key = np.array([[state.key & _MASK32], [state.key >> 32]], np.uint64)
    keys, multipliers = key + _KEY_STEPS & _LOW32, _MULTIPLIER_COLUMN
    if xp is not np:
        keys, multipliers = xp.asarray(keys), xp.asarray(multipliers)
    crossed = product[::-1]  # c0's product goes to the second row and c2's to the first
    for r in range(_ROUNDS):
        xp.multiply(even, multipliers, out=crossed)
        xp.right_shift(product, _SHIFT32, out=even)
        xp.bitwise_xor(even, odd, out=even)
        xp.bitwise_xor(even, keys[r], out=even)
        xp.bitwise_and(product, _LOW32, out=odd)
    out[:, 0], out[:, 1], out[:, 2], out[:, 3] = even[0], odd[0], even[1], odd[1]


# ---- uniform numbers --------------------------------------------------------------------------
def _generate(xp: Any, state: Philox, size: int, transform: Any, dtype: Any) -> Any:
    """`transform(xp, words)` over the stream in chunks that stay in cache.

    `dtype` is what `transform` makes of the words: one value of a word if it has 4 bytes, one
    of two words if it has 8.
    """
    dtype = np.dtype(dtype)
    per_block = 16 // dtype.itemsize
    blocks = -(-size // per_block)
    out = xp.empty(blocks * per_block, dtype)
    chunk = _HOST_CHUNK // 2 if xp is np else _DEVICE_CHUNK
    for start in range(0, blocks, chunk):
        stop = min(start + chunk, blocks)
        bits = words(xp, state.skip(start), 4 * (stop - start))
        out[start * per_block : stop * per_block] = transform(xp, bits)
    return out[:size]


def uniform(xp: Any, state: Philox, size: int, dtype: Any) -> Any:
    """Floats in [0, 1): random mantissas of numbers in [1, 2), minus one."""
    dtype = np.dtype(dtype)
    if dtype == np.float64:
        return _generate(xp, state, size, _unit_float64, dtype)
    bits = words(xp, state, size)
    if dtype == np.float32:
        return _unit_float32(xp, bits)
    mantissa_bits = 10 if dtype == np.float16 else 7
    low = (bits & np.uint32(2**mantissa_bits - 1)).astype(np.float32)
    return (low * np.float32(2.0**-mantissa_bits)).astype(dtype)  # exact


def _unit_float32(xp: Any, bits: Any) -> Any:
    """uint32 to [0, 1); `bits` is overwritten."""
    xp.bitwise_and(bits, np.uint32(0x7FFFFF), out=bits)
    xp.bitwise_or(bits, np.uint32(0x3F800000), out=bits)
    out = bits.view(np.float32)
    xp.subtract(out, np.float32(1), out=out)
    return out


def _unit_float64(xp: Any, bits: Any) -> Any:
    """Pairs of uint32, the upper 20 and the lower 32 mantissa bits, to [0, 1)."""
    pairs = bits.reshape(-1, 2)
    mantissa = (pairs[:, 0] & np.uint32(0xFFFFF)).astype(np.uint64)
    mantissa <<= _SHIFT32
    mantissa |= pairs[:, 1].astype(np.uint64)
    mantissa |= np.uint64(1023 << 52)
    out = mantissa.view(np.float64)
    xp.subtract(out, 1.0, out=out)
    return out


def integers(xp: Any, state: Philox, size: int, low: int, high: int, dtype: Any) -> Any:
    """Integers in [low, high), int32 or int64: words modulo the span, so slightly biased."""
    span = high - low
    raw = full_integers(xp, state, size, np.uint32 if np.dtype(dtype) == np.int32 else np.uint64)
    offset = raw % raw.dtype.type(span)
    offset += raw.dtype.type(low & (_MASK32 if raw.dtype == np.uint32 else _MASK64))
    return offset.view(dtype)


def full_integers(xp: Any, state: Philox, size: int, dtype: Any) -> Any:
    """Integers over the whole range of int32, uint32, int64 or uint64."""
    dtype = np.dtype(dtype)
    if dtype.itemsize == 4:
        return words(xp, state, size).view(dtype)
    return _generate(xp, state, size, _paired, np.uint64).view(dtype)


def _paired(xp: Any, bits: Any) -> Any:
    pairs = bits.reshape(-1, 2)
    out = pairs[:, 1].astype(np.uint64)
    out <<= _SHIFT32
    out |= pairs[:, 0].astype(np.uint64)
    return out


# ---- normal numbers ---------------------------------------------------------------------------
def normal(xp: Any, state: Philox, size: int, dtype: Any) -> Any:
    """Standard normals by the Box-Muller transform, two of two uniforms."""
    dtype = np.dtype(dtype)
    if dtype == np.float64:
        return _generate(xp, state, size, _box_muller64, dtype)
    return _generate(xp, state, size, _box_muller32, np.float32).astype(dtype, copy=False)


def _box_muller32(xp: Any, bits: Any) -> Any:
    unit = _unit_float32(xp, bits).reshape(-1, 2)
    log = single_precision.log(xp, xp.maximum(unit[:, 0], np.float32(1e-7)))
    radius = xp.sqrt(log * np.float32(-2))
    angle = (unit[:, 1].astype(np.float64) * _TWO_PI).astype(np.float32)
    sine, cosine = single_precision.sincos(xp, angle)
    xp.multiply(sine, radius, out=unit[:, 0])
    xp.multiply(cosine, radius, out=unit[:, 1])
    return unit.reshape(-1)


def _box_muller64(xp: Any, bits: Any) -> Any:
    unit = _unit_float64(xp, bits).reshape(-1, 2)
    radius = xp.sqrt(xp.log(xp.maximum(unit[:, 0], 1e-7)) * -2.0)
    angle = unit[:, 1] * _TWO_PI
    xp.multiply(xp.sin(angle), radius, out=unit[:, 0])
    xp.multiply(xp.cos(angle), radius, out=unit[:, 1])
    return unit.reshape(-1)


def truncated_normal(xp: Any, state: Philox, size: int, dtype: Any) -> Any:
    """Standard normals of magnitude below 2; others are dropped and drawn again.

    Each group (4 values, float64: 2) draws from a part of the stream of its own, so that a
    group's values do not depend on how many values other groups dropped.
    """
    dtype = np.dtype(dtype)
    per_group = 2 if dtype == np.float64 else 4
    stride = per_group * _WORDS_PER_TRUNCATED_VALUE // 4
    groups = -(-size // per_group)
    out = xp.empty((groups, per_group), np.float64 if per_group == 2 else np.float32)
    chunk = _HOST_CHUNK // 2 if xp is np else _DEVICE_CHUNK
    for start in range(0, groups, chunk):
        part = out[start : start + chunk]
        _truncated_groups(xp, state.skip(start * stride), stride, part)
    return out.reshape(-1)[:size].astype(dtype, copy=False)


def _truncated_groups(xp: Any, state: Philox, stride: int, out: Any) -> None:
    """Fills the rows of `out`, each from the stream at `state.skip(row * stride)`."""
    transform = _box_muller64 if out.dtype == np.float64 else _box_muller32
    width = out.shape[1]

    def draw(rows: Any, block: int) -> Any:
        bits = xp.empty((rows.shape[0], 4), np.uint32)
        _fill(xp, state, rows.astype(np.uint64) * np.uint64(stride) + np.uint64(block), bits)
        return transform(xp, bits.reshape(-1)).reshape(-1, width)

    drawn = draw(xp.arange(out.shape[0]), 0)
    out[...] = drawn
    keep = xp.abs(drawn) < 2
    rows = xp.nonzero(~xp.all(keep, axis=1))[0]  # one in six
    drawn, keep = drawn[rows], keep[rows]
    filled = xp.zeros(rows.shape[0], np.int64)
    block = 1
    while rows.shape[0]:
        column = filled[:, None] + xp.cumsum(keep, axis=1) - 1
        keep &= column < width
        out[xp.broadcast_to(rows[:, None], keep.shape)[keep], column[keep]] = drawn[keep]
        filled = column[:, -1] + 1
        more = filled < width
        rows, filled = rows[more], filled[more]
        drawn = draw(rows, block)
        keep = xp.abs(drawn) < 2
        block += 1


# ---- choices ----------------------------------------------------------------------------------
def permutation(state: Philox, size: int) -> np.ndarray:
    """A permutation of 0..size-1, int64, on the host: Fisher-Yates from the front."""
    if size < 2:
        return np.arange(size, dtype=np.int64)
    places = words(np, state, size - 1) % np.arange(size, 1, -1, dtype=np.uint32)
    places += np.arange(size - 1, dtype=np.uint32)
    order = list(range(size))
    drawn: list[int] = []
    draw = drawn.append
    # what was drawn is not read again, so only one of the two that change places is written
    for first, place in zip(order, places.tolist()):
        draw(order[place])
        order[place] = first
    drawn.append(order[-1])
    return np.array(drawn, np.int64)


def categorical(xp: Any, state: Philox, logits: Any, count: int) -> Any:
    """`count` classes per row of `logits` (rows, classes), int64 (rows, count).

    A class is drawn by a search in the row's cumulative sums of exp(logit - largest finite
    logit), in float64; logits that are not finite have no weight.
    """
    rows, classes = logits.shape
    finite = xp.isfinite(logits)
    wide = xp.where(finite, logits, -np.inf).astype(np.float64)
    largest = xp.max(wide, axis=1, keepdims=True)
    weight = xp.where(finite, xp.exp(wide - xp.where(xp.isfinite(largest), largest, 0.0)), 0.0)
    sums = xp.cumsum(weight, axis=1)
    unit = uniform(xp, state, rows * count, np.float64).reshape(rows, count)
    wanted = unit * sums[:, -1:]
    # The number of sums that do not exceed the wanted one is the insertion point on the right.
    out = xp.empty((rows, count), np.int64)
    for r in range(rows):
        out[r] = xp.searchsorted(sums[r], wanted[r], side="right")
    return xp.minimum(out, classes - 1) if classes else out

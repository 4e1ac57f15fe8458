"""Choosing between the elements of two arrays by a mask, without branches.

numpy's `where` and `copyto(where=)` branch at every element, which costs 6 ns each where the mask
has no order that a processor can predict. Bits that are masked cost 0.3 ns whatever the mask, and
keep infinities and NaN as they are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shardtape.ops.scratch import scratch

WORDS: dict[int, Any] = {
    1: np.dtype(np.int8),
    2: np.dtype(np.int16),
    4: np.dtype(np.int32),
    8: np.dtype(np.int64),
}
# Fewer elements do not pay for the calls; more than a block do not stay in the processor's cache.
_LEAST_ELEMENTS = 512
_BLOCK_ELEMENTS = 32 << 10


def choose(xp: Any, mask: Any, x: Any, y: Any, out: Any = None) -> Any:
    """Elements of `x` where the mask (bool) is true, else of `y`; all three broadcast.

    Args:
      out: array of the result's shape and dtype; `x` or `y` may be it.
    """
    if xp is np and x.dtype == y.dtype and x.dtype.itemsize in WORDS:
        shape = np.broadcast_shapes(mask.shape, x.shape, y.shape)
        if math.prod(shape) >= _LEAST_ELEMENTS and x.dtype.kind != "O":
            out = np.empty(shape, x.dtype) if out is None else out
            _choose_bits(mask, x, y, out)
            return out
    if out is None:
        return xp.where(mask, x, y)
    if x is out or y is out:
        xp.copyto(out, xp.where(mask, x, y))
    else:
        xp.copyto(out, y)
        xp.copyto(out, x, where=mask)
    return out


def kept(xp: Any, values: Any, mask: Any) -> Any:
    """The values where the mask (bool, of their shape) is true, else zero."""
    if xp is not np:
        return xp.where(mask, values, values.dtype.type(0))
    word = WORDS[values.dtype.itemsize]
    bits = spread_bits(mask.view(np.int8), np.empty(mask.shape, word))
    return np.bitwise_and(values.view(word), bits, out=bits).view(values.dtype)


def taken_out(xp: Any, values: Any, mask: Any, part: Any, out: Any) -> Any:
    """The values where the mask is false, else zero, into `out`; `part` is what `kept` gave."""
    if xp is not np:
        out[...] = xp.where(mask, values.dtype.type(0), values)
        return out
    word = WORDS[values.dtype.itemsize]
    np.bitwise_xor(values.view(word), part.view(word), out=out.view(word))
    return out


def _choose_bits(mask: np.ndarray, x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    word = WORDS[x.dtype.itemsize]
    arrays = [mask.view(np.int8), x.view(word), y.view(word), out.view(word)]
    if any(a.shape != out.shape or not a.flags.c_contiguous for a in arrays if a.ndim):
        _choose_words(*arrays)
        return
    flat = [a.reshape(-1) if a.ndim else a for a in arrays]
    for first in range(0, out.size, _BLOCK_ELEMENTS):
        place = slice(first, first + _BLOCK_ELEMENTS)
        _choose_words(*[a[place] if a.ndim else a for a in flat])


def _choose_words(mask: np.ndarray, x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    bits = spread_bits(mask, scratch("bits", mask.shape, out.dtype))
    differing = np.bitwise_xor(x, y, out=scratch("differing", out.shape, out.dtype))
    np.bitwise_and(differing, bits, out=differing)
    np.bitwise_xor(differing, y, out=out)


def spread_bits(mask: np.ndarray, out: np.ndarray) -> np.ndarray:
    """All bits of integers set where the mask is true; two casts are faster than a buffered one."""
    np.copyto(out, np.negative(mask.view(np.int8)))
    return out

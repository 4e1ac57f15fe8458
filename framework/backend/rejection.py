"""Gamma and Poisson numbers, which are drawn and refused until one fits.

Every value of the output has a part of the stream of its own, of 256 blocks, so that values do not
depend on how many tries others took. Gamma: Marsaglia and Tsang, "A simple method for generating
gamma variables", ACM TOMS 26 (2000). Poisson: Knuth's products of uniforms for small rates, else
Hormann, "The transformed rejection method for generating Poisson random variables", Insurance:
Mathematics and Economics 12 (1993).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.backend.philox import (
    BLOCKS_PER_VALUE,
    Philox,
    _box_muller64,
    _fill,
    _unit_float32,
    _unit_float64,
)

_KNUTH_BELOW = 10.0


class _Draws:
    """Uniforms and normals for many values at once, each from its own part of the stream.

    Args:
      state: the start of the stream.
      count: how many values there are.
      dtype: float32 or float64, of the uniforms.
    """

    def __init__(self, xp: Any, state: Philox, count: int, dtype: Any) -> None:
        self._xp, self._state = xp, state
        self._block = xp.zeros(count, np.uint64)  # how many each value has used
        single = np.dtype(dtype) == np.float32
        self._unit = _unit_float32 if single else _unit_float64
        width = 4 if single else 2
        self._uniforms = xp.zeros((count, width), dtype)
        self._left = xp.zeros(count, np.int64)
        self._normals = xp.zeros((count, 2), np.float64)
        self._normals_left = xp.zeros(count, np.int64)

    def _words(self, which: Any) -> Any:
        """One block of four words for each of the values `which` (numbers)."""
        bits = self._xp.empty((which.shape[0], 4), np.uint32)
        at = which.astype(np.uint64) * np.uint64(BLOCKS_PER_VALUE) + self._block[which]
        _fill(self._xp, self._state, at, bits)
        self._block[which] += np.uint64(1)
        return bits.reshape(-1)

    def uniform(self, which: Any) -> Any:
        """A number in [0, 1) for each of `which`; a block's numbers are used from the last."""
        empty = which[self._left[which] == 0]
        if empty.shape[0]:
            drawn = self._unit(self._xp, self._words(empty))
            self._uniforms[empty] = drawn.reshape(empty.shape[0], -1)
            self._left[empty] = self._uniforms.shape[1]
        self._left[which] -= 1
        return self._uniforms[which, self._left[which]]

    def normal(self, which: Any) -> Any:
        """A standard normal for each of `which`."""
        empty = which[self._normals_left[which] == 0]
        if empty.shape[0]:
            drawn = _box_muller64(self._xp, self._words(empty))
            self._normals[empty] = drawn.reshape(-1, 2)
            self._normals_left[empty] = 2
        self._normals_left[which] -= 1
        return self._normals[which, self._normals_left[which]]


def gamma(xp: Any, state: Philox, alpha: Any, count: int) -> Any:
    """Gamma numbers of rate 1: alpha (k,) to float64 (count, k)."""
    kinds = alpha.shape[0]
    total = count * kinds
    # values are numbered alpha by alpha
    a = xp.repeat(alpha.astype(np.float64), count)
    out = xp.zeros(total, np.float64)
    if not total:
        return out.reshape(count, kinds)
    draws = _Draws(xp, state, total, np.float64)
    one = xp.nonzero(a == 1.0)[0]
    out[one] = -xp.log1p(-draws.uniform(one))
    small = a < 1.0
    d = a + xp.where(small, 2.0 / 3, -1.0 / 3)
    c = (1.0 / 3) / xp.sqrt(d)
    waiting = xp.nonzero(a != 1.0)[0]
    while waiting.shape[0]:
        x = draws.normal(waiting)
        v = 1 + c[waiting] * x
        fits = v > 0
        tried, x, v = waiting[fits], x[fits], v[fits]
        v = v * v * v
        u = draws.uniform(tried)
        taken = u < 1 - 0.0331 * (x * x) * (x * x)
        taken |= xp.log(u) < 0.5 * x * x + d[tried] * (1 - v + xp.log(v))
        done = tried[taken]
        value = d[done] * v[taken]
        low = small[done]
        if low.any().item():
            value[low] *= draws.uniform(done[low]) ** (1 / a[done[low]])
        out[done] = value
        left = xp.ones(total, bool)
        left[done] = False
        waiting = waiting[left[waiting]]
    return out.reshape(kinds, count).T


def poisson(xp: Any, state: Philox, rate: Any, count: int) -> Any:
    """Poisson numbers: rate (k,) to floats (count, k); NaN rates and those below 0 give NaN."""
    from shardtape.ops.special import lgamma

    kinds = rate.shape[0]
    total = count * kinds
    lam = xp.repeat(rate.astype(np.float64), count)
    out = xp.full(total, np.nan, np.float64)
    if not total:
        return out.reshape(count, kinds)
    draws = _Draws(xp, state, total, np.float64)
    few = xp.nonzero((lam >= 0) & (lam < _KNUTH_BELOW))[0]
    product, number = xp.ones(total, np.float64), xp.zeros(total, np.float64)
    limit = xp.exp(-lam)
    while few.shape[0]:
        product[few] = product[few] * draws.uniform(few)
        done = product[few] <= limit[few]
        out[few[done]] = number[few[done]]
        few = few[~done]
        number[few] += 1
    many = xp.nonzero((lam >= _KNUTH_BELOW) & xp.isfinite(lam))[0]
    log_rate, root = xp.log(lam), xp.sqrt(lam)
    b = 0.931 + 2.53 * root
    a = -0.059 + 0.02483 * b
    inverse = 1.1239 + 1.1328 / (b - 3.4)
    while many.shape[0]:
        u = draws.uniform(many) - 0.5
        v = draws.uniform(many)
        r, aa, bb = lam[many], a[many], b[many]
        shifted = 0.5 - xp.abs(u)
        k = xp.floor((2 * aa / shifted + bb) * u + r + 0.43)
        quick = (shifted >= 0.07) & (v <= 0.9277 - 3.6224 / (bb - 2))
        outside = (k < 0) | ((shifted < 0.013) & (v > shifted))
        left = xp.log(v * inverse[many] / (aa / (shifted * shifted) + bb))
        right = k * log_rate[many] - r - lgamma.kernel(xp, xp.where(k < 0, 0, k) + 1)
        taken = quick | (~outside & (left <= right))
        out[many[taken]] = k[taken]
        many = many[~taken]
    return out.reshape(kinds, count).T

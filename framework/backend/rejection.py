"""Gamma, Poisson and binomial numbers, which are drawn and refused until one fits.

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
      blocks: of the stream for each value.
    """

    def __init__(
        self, xp: Any, state: Philox, count: int, dtype: Any, blocks: int = BLOCKS_PER_VALUE
    ) -> None:
        self._xp, self._state, self._blocks = xp, state, blocks
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
        at = which.astype(np.uint64) * np.uint64(self._blocks) + self._block[which]
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
    """Gamma numbers of rate 1: alpha (k,) to float64 (count, k).

    NaN where alpha is NaN or so far below 0 that the method has no number to propose.
    """
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
    out[~(d > 0)] = np.nan  # no draw would ever be taken
    waiting = xp.nonzero((a != 1.0) & (d > 0))[0]
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
    """Poisson numbers: rate (k,) to floats (count, k); a NaN gives NaN, below 0 gives 0."""
    from shardtape.ops.special import lgamma

    kinds = rate.shape[0]
    total = count * kinds
    lam = xp.repeat(rate.astype(np.float64), count)
    out = xp.where(lam < 0, 0.0, lam)  # which stays for rates that nothing is drawn for
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


# Blocks of the stream for each value, and the mean up to which trials are counted one by one.
_COUNTED_BLOCKS, _REJECTED_BLOCKS, _COUNTED_BELOW = 42, 256, 10.0
# log(k!) less Stirling's formula, for k up to 9; from there on its series
_STIRLING = (
    0.0810614667953272, 0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
    0.0166446911898211, 0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
    0.00925546218271273, 0.00833056343336287,
)  # fmt: skip


def binomial(xp: Any, state: Philox, trials: Any, odds: Any, count: int) -> Any:
    """Binomial numbers: trials and odds (k,), both valid, to float64 (count, k).

    Few successes are counted by geometric waiting times; many are drawn by Hormann's algorithm
    BTRS, "The generation of binomial random variates", J. Stat. Comput. Simul. 46 (1993).
    """
    n, p = (xp.repeat(a.astype(np.float64), count) for a in (trials, odds))
    q = xp.where(p <= 0.5, p, 1 - p)
    out = xp.zeros(n.shape[0], np.float64)
    counted = n * q < _COUNTED_BELOW
    _count_waiting(xp, _Draws(xp, state, n.shape[0], np.float64, _COUNTED_BLOCKS),
                   xp.nonzero(counted)[0], n, q, out)  # fmt: skip
    _transformed(xp, _Draws(xp, state, n.shape[0], np.float64, _REJECTED_BLOCKS),
                 xp.nonzero(~counted)[0], n, q, out)  # fmt: skip
    return xp.where(p <= 0.5, out, n - out).reshape(trials.shape[0], count).T


def _count_waiting(xp: Any, draws: _Draws, waiting: Any, n: Any, q: Any, out: Any) -> None:
    passed = xp.zeros(n.shape[0], np.float64)
    while waiting.shape[0]:
        u = draws.uniform(waiting)
        passed[waiting] += xp.ceil(xp.log(u) / xp.log1p(-q[waiting]))
        waiting = waiting[passed[waiting] <= n[waiting]]
        out[waiting] += 1


def _transformed(xp: Any, draws: _Draws, waiting: Any, n: Any, q: Any, out: Any) -> None:
    root = xp.sqrt(n * q * (1 - q))
    b = 1.15 + 2.53 * root
    a = -0.0873 + 0.0248 * b + 0.01 * q
    middle = xp.floor((n + 1) * q)
    while waiting.shape[0]:
        u = draws.uniform(waiting) - 0.5
        v = draws.uniform(waiting)
        shifted = 0.5 - xp.abs(u)
        aa, bb, nn, qq, m = a[waiting], b[waiting], n[waiting], q[waiting], middle[waiting]
        k = xp.floor((2 * aa / shifted + bb) * u + nn * qq + 0.5)
        quick = (shifted >= 0.07) & (v <= 0.92 - 4.2 / bb)
        outside = (k < 0) | (k > nn)
        odds = qq / (1 - qq)
        safe = xp.where(outside, 0, k)
        alpha = (2.83 + 5.1 / bb) * root[waiting]
        left = xp.log(v * alpha / (aa / (shifted * shifted) + bb))
        right = (m + 0.5) * xp.log((m + 1) / (odds * (nn - m + 1)))
        right += (nn + 1) * xp.log((nn - m + 1) / (nn - safe + 1))
        right += (safe + 0.5) * xp.log(odds * (nn - safe + 1) / (safe + 1))
        right += _stirling(xp, m) + _stirling(xp, nn - m)
        right -= _stirling(xp, safe) + _stirling(xp, nn - safe)
        taken = quick | (~outside & (left <= right))
        out[waiting[taken]] = k[taken]
        waiting = waiting[~taken]


def _stirling(xp: Any, k: Any) -> Any:
    square = (k + 1) ** 2
    series = (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1)
    return xp.where(k <= 9, xp.asarray(_STIRLING)[xp.clip(k, 0, 9).astype(np.int64)], series)

"""Incomplete gamma and beta functions; elementwise, computed in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.arithmetic import multiply
from shardtape.ops.registry import broadcast, op
from shardtape.ops.special import digamma, lgamma
from shardtape.ops.transcendental import exp, log, log1p

_WIDE = frozenset((dt.float32, dt.float64))
_EPSILON = 1e-16
_MAX_TERMS = 20000
_CHECKED_EVERY = 32


def _pair(rng: np.random.Generator) -> Any:
    a, x = rng.uniform(0.4, 4.0, (2, 3)), rng.uniform(0.3, 6.0, (2, 3))
    return [((a, x), {}), ((a[:, :1], x), {}), ((np.float64(9.0), np.float64(4.0)), {})]


def _log_prefix(xp: Any, a: Any, x: Any) -> Any:
    """log(x ** a * exp(-x) / gamma(a))."""
    return a * xp.log(x) - x - lgamma.kernel(xp, a)


def _series(xp: Any, a: Any, x: Any) -> tuple[Any, Any]:
    """The lower function for x below a + 1 by its power series, and its derivative by a."""
    term = 1 / a
    slope = -term / a  # of the term, by a
    total, total_slope = term, slope
    for n in range(1, _MAX_TERMS):
        slope = slope * x / (a + n) - term * x / (a + n) ** 2
        term = term * x / (a + n)
        total, total_slope = total + term, total_slope + slope
        small = xp.abs(term) > _EPSILON * xp.abs(total)
        if n % _CHECKED_EVERY == 0 and not small.any().item():
            break
    prefix = xp.exp(_log_prefix(xp, a, x))
    by_a = prefix * (total_slope + total * (xp.log(x) - digamma.kernel(xp, a)))
    return prefix * total, by_a


def _fraction(xp: Any, a: Any, x: Any) -> Any:
    """The upper function for x above a + 1 by a continued fraction (Lentz)."""
    tiny = 1e-300
    b = x + 1 - a
    c = xp.full(b.shape, 1 / tiny)
    d = 1 / xp.where(b == 0, tiny, b)
    h = d
    for n in range(1, _MAX_TERMS):
        k = -n * (n - a)
        b = b + 2
        d = k * d + b
        d = 1 / xp.where(xp.abs(d) < tiny, tiny, d)
        c = b + k / c
        c = xp.where(xp.abs(c) < tiny, tiny, c)
        step = d * c
        h = h * step
        if n % _CHECKED_EVERY == 0 and not (xp.abs(step - 1) > _EPSILON * 4).any().item():
            break
    return xp.exp(_log_prefix(xp, a, x)) * h


def _both(xp: Any, a: Any, x: Any) -> tuple[Any, Any]:
    """The regularised lower and upper function."""
    a, x = a.astype(np.float64), x.astype(np.float64)
    a, x = xp.broadcast_arrays(a, x)
    good = (a > 0) & (x > 0) & xp.isfinite(x) & xp.isfinite(a)
    safe_a, safe_x = xp.where(good, a, 1.0), xp.where(good, x, 1.0)
    by_series = safe_x < safe_a + 1
    lower, _ = _series(xp, safe_a, xp.where(by_series, safe_x, 0.5))
    upper = _fraction(xp, xp.where(by_series, 1.0, safe_a), xp.where(by_series, 3.0, safe_x))
    low, high = xp.where(by_series, lower, 1 - upper), xp.where(by_series, 1 - lower, upper)
    nothing = (x == 0) & (a > 0)
    everything = xp.isposinf(x) & (a > 0)
    low = xp.where(good, low, xp.where(nothing, 0.0, xp.where(everything, 1.0, np.nan)))
    high = xp.where(good, high, xp.where(nothing, 1.0, xp.where(everything, 0.0, np.nan)))
    return low, high


@op("Igamma", dtypes=_WIDE, broadcasts=True, shape=broadcast, samples=_pair)
def igamma(xp, a, x):
    """The regularised lower incomplete gamma function P(a, x)."""
    return _both(xp, a, x)[0].astype(a.dtype)


@op("Igammac", dtypes=_WIDE, broadcasts=True, shape=broadcast, samples=_pair)
def igammac(xp, a, x):
    """The regularised upper incomplete gamma function Q(a, x) = 1 - P(a, x)."""
    return _both(xp, a, x)[1].astype(a.dtype)


def _by_x(a: Any, x: Any) -> Any:
    return exp(-x + (a - 1) * log(x) - lgamma(a))


@igamma.gradient
def _(g, _y, a, x):
    return multiply(g, igamma_grad_a(a, x)), multiply(g, _by_x(a, x))


@igammac.gradient
def _(g, _y, a, x):
    return -multiply(g, igamma_grad_a(a, x)), -multiply(g, _by_x(a, x))


@op("IgammaGradA", dtypes=_WIDE, broadcasts=True, shape=broadcast, samples=_pair)  # fmt: skip
def igamma_grad_a(xp, a, x):
    """The derivative of P(a, x) by a."""
    wide_a, wide_x = xp.broadcast_arrays(a.astype(np.float64), x.astype(np.float64))
    positive = (wide_a > 0) & (wide_x > 0)
    # so far out P(a, x) is 1 to the last digit
    zero = (wide_x == 0) | (positive & (xp.isinf(wide_a) | (wide_x > 4 * wide_a + 800)))
    good = positive & ~zero
    _, slope = _series(xp, xp.where(good, wide_a, 1.0), xp.where(good, wide_x, 1.0))
    return xp.where(good, slope, xp.where(zero, 0.0, np.nan)).astype(a.dtype)


# ---- beta -------------------------------------------------------------------------------------
def _beta_samples(rng: np.random.Generator) -> Any:
    return [
        ((rng.uniform(0.4, 4, (2, 3)), rng.uniform(0.4, 4, (2, 3)),
          rng.uniform(0.05, 0.95, (2, 3))), {}),
        ((np.float64(2.5), np.float64(1.5), np.float64(0.3)), {}),
    ]  # fmt: skip


def _beta_fraction(xp: Any, a: Any, b: Any, x: Any) -> Any:
    tiny = 1e-300
    c = xp.ones_like(x)
    d = 1 - (a + b) * x / (a + 1)
    d = 1 / xp.where(xp.abs(d) < tiny, tiny, d)
    h = d
    for m in range(1, _MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for k in (even, odd):
            d = 1 + k * d
            d = 1 / xp.where(xp.abs(d) < tiny, tiny, d)
            c = 1 + k / c
            c = xp.where(xp.abs(c) < tiny, tiny, c)
            step = d * c
            h = h * step
        if m % _CHECKED_EVERY == 0 and not (xp.abs(step - 1) > _EPSILON * 4).any().item():
            break
    return h


@op("Betainc", dtypes=_WIDE, broadcasts=True, shape=broadcast, samples=_beta_samples)
def betainc(xp, a, b, x):
    """The regularised incomplete beta function I_x(a, b)."""
    wide = [v.astype(np.float64) for v in (a, b, x)]
    p, q, z = xp.broadcast_arrays(*wide)
    good = (p > 0) & (q > 0) & (z > 0) & (z < 1)
    p, q, z = xp.where(good, p, 1.0), xp.where(good, q, 1.0), xp.where(good, z, 0.5)
    swap = z > (p + 1) / (p + q + 2)
    p, q, z = xp.where(swap, q, p), xp.where(swap, p, q), xp.where(swap, 1 - z, z)
    gamma = lgamma.kernel
    front = xp.exp(gamma(xp, p + q) - gamma(xp, p) - gamma(xp, q) + p * xp.log(z)
                   + q * xp.log1p(-z)) / p  # fmt: skip
    value = front * _beta_fraction(xp, p, q, z)
    value = xp.where(swap, 1 - value, value)
    edge = xp.where(wide[2] == 0, 0.0, xp.where(wide[2] == 1, 1.0, np.nan))
    return xp.where(good, value, edge).astype(x.dtype)


@betainc.gradient
def _(g, _y, a, b, x):
    # TensorFlow has no derivative by a and b either
    density = exp((b - 1) * log1p(-x) + (a - 1) * log(x) + lgamma(a + b) - lgamma(a) - lgamma(b))
    return None, None, multiply(g, density)

"""Bessel functions of orders 0 and 1, by their integrals: elementwise, computed in float64.

A periodic or fast falling integrand makes the trapezoid rule exact to the last digits once its
steps are fine enough; the number of steps grows with the largest argument.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import math as m
from shardtape.ops import samples
from shardtape.ops.registry import Op, op, same_as
from shardtape.ops.selecting import select
from shardtape.ops.special import _double

_FLOATS = frozenset((dt.float16, dt.float32, dt.float64, dt.bfloat16))
_ANY = samples.uniform(-4.0, 4.0, (2, 3), ())
_POSITIVE = samples.uniform(0.3, 6.0, (2, 3), ())
_MOST_STEPS = 20000
_TINY = 1e-8  # where x / 2 is I1 and J1 to the last digit


def _steps(xp: Any, x: Any, growth: float) -> int:
    largest = float(xp.abs(xp.where(xp.isfinite(x), x, 0)).max().item()) if x.size else 0.0
    return int(min(_MOST_STEPS, 48 + growth * largest))


def _mean_over_half_circle(xp: Any, x: Any, function: Any, growth: float) -> Any:
    """(1 / pi) times the integral of function(theta) from 0 to pi."""
    count = _steps(xp, x, growth)
    total = (function(0.0) + function(np.pi)) / 2
    for i in range(1, count):
        total = total + function(np.pi * i / count)
    return total / count


def _scaled_i(xp: Any, x: Any, order: int) -> Any:
    wide = _double(x)
    size = xp.where(xp.isinf(wide), 0.0, xp.abs(wide))

    def at(theta: float) -> Any:
        return xp.exp(size * (np.cos(theta) - 1)) * np.cos(order * theta)

    value = _mean_over_half_circle(xp, xp.sqrt(size), at, 24.0)
    if order:  # near 0 the integral cancels
        value = xp.where(size < _TINY, size / 2, value) * xp.sign(wide)
    return xp.where(xp.isinf(wide), 0.0, value)


def _scaled_k(xp: Any, x: Any, order: int) -> Any:
    """exp(x) K(x): the integral of exp(-x (cosh t - 1)) cosh(order t)."""
    wide = _double(x)
    safe = xp.where((wide > 0) & xp.isfinite(wide), wide, 1.0)
    # beyond this t the integrand of the smallest argument is below the last digit
    low = float(xp.where(wide > 0, wide, 1.0).min().item()) if x.size else 1.0
    end = float(np.arccosh(1 + 60 / max(low, 1e-300)))
    count = _steps(xp, xp.sqrt(xp.where(xp.isfinite(wide), wide, 1.0)), 8 * end) + int(40 * end)
    step = end / count
    total = xp.zeros_like(safe)
    for i in range(count + 1):
        t = i * step
        weight = 0.5 if i == 0 else 1.0
        total = total + weight * xp.exp(-safe * (np.cosh(t) - 1)) * np.cosh(order * t)
    value = xp.where(wide == np.inf, 0.0, total * step)
    return xp.where(wide > 0, value, xp.where(wide == 0, np.inf, np.nan))


def _j(xp: Any, x: Any, order: int) -> Any:
    wide = _double(x)
    value = _mean_over_half_circle(
        xp, wide, lambda theta: xp.cos(order * theta - wide * np.sin(theta)), 1.5
    )
    return xp.where(xp.abs(wide) < _TINY, wide / 2, value) if order else value


def _make(name: str, made_by: Any, where: Any, text: str) -> Op:
    def kernel(xp: Any, x: Any) -> Any:
        return made_by(xp, x).astype(x.dtype)

    kernel.__name__ = name
    kernel.__doc__ = text
    type_name = "Bessel" + "".join(part.capitalize() for part in name.split("_")[1:])
    return op(type_name, dtypes=_FLOATS, shape=same_as(0), samples=where)(kernel)


bessel_i0e = _make("bessel_i0e", lambda xp, x: _scaled_i(xp, x, 0), _ANY, "exp(-|x|) I0(x).")
bessel_i1e = _make("bessel_i1e", lambda xp, x: _scaled_i(xp, x, 1), _ANY, "exp(-|x|) I1(x).")
bessel_i0 = _make(
    "bessel_i0", lambda xp, x: xp.exp(xp.abs(_double(x))) * _scaled_i(xp, x, 0), _ANY, "I0(x)."
)
bessel_i1 = _make(
    "bessel_i1", lambda xp, x: xp.exp(xp.abs(_double(x))) * _scaled_i(xp, x, 1), _ANY, "I1(x)."
)
bessel_k0e = _make("bessel_k0e", lambda xp, x: _scaled_k(xp, x, 0), _POSITIVE, "exp(x) K0(x).")
bessel_k1e = _make("bessel_k1e", lambda xp, x: _scaled_k(xp, x, 1), _POSITIVE, "exp(x) K1(x).")
bessel_k0 = _make(
    "bessel_k0", lambda xp, x: xp.exp(-_double(x)) * _scaled_k(xp, x, 0), _POSITIVE, "K0(x)."
)
bessel_k1 = _make(
    "bessel_k1", lambda xp, x: xp.exp(-_double(x)) * _scaled_k(xp, x, 1), _POSITIVE, "K1(x)."
)
bessel_j0 = _make("bessel_j0", lambda xp, x: _j(xp, x, 0), _ANY, "J0(x).")
bessel_j1 = _make("bessel_j1", lambda xp, x: _j(xp, x, 1), _ANY, "J1(x).")


def _over(y: Any, x: Any, at_zero: float) -> Any:
    """y / x, with its limit at 0."""
    from shardtape.ops.array import ones_like, zeros_like

    none = m.equal(x, zeros_like(x))
    safe = select(none, ones_like(x), x)
    return select(none, zeros_like(x) + at_zero, y / safe)


@bessel_i0.gradient
def _(g, _y, x):
    return g * bessel_i1(x)


@bessel_i0e.gradient
def _(g, y, x):
    return g * (bessel_i1e(x) - m.sign(x) * y)


@bessel_i1.gradient
def _(g, y, x):
    return g * (bessel_i0(x) - _over(y, x, 0.5))


@bessel_i1e.gradient
def _(g, y, x):
    return g * (bessel_i0e(x) - m.sign(x) * y - _over(y, x, 0.5))


@bessel_k0.gradient
def _(g, _y, x):
    return -g * bessel_k1(x)


@bessel_k0e.gradient
def _(g, y, x):
    return g * (y - bessel_k1e(x))


@bessel_k1.gradient
def _(g, y, x):
    return g * (-bessel_k0(x) - y / x)


@bessel_k1e.gradient
def _(g, y, x):
    return g * (y * (1 - m.reciprocal(x)) - bessel_k0e(x))


@bessel_j0.gradient
def _(g, _y, x):
    return -g * bessel_j1(x)


@bessel_j1.gradient
def _(g, y, x):
    return g * (bessel_j0(x) - _over(y, x, 0.5))

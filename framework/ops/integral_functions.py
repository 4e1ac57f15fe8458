"""Functions that are integrals: Dawson's, the exponential, Fresnel's, Spence's, Bessel's Y.

Elementwise, computed in float64: by series near zero, by quadrature over smooth integrands where it
is exact to the last digits, by asymptotic series far out.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import math as m
from shardtape.ops import samples
from shardtape.ops.registry import op, same_as
from shardtape.ops.selecting import select
from shardtape.ops.special import _double

_FLOATS = frozenset((dt.float16, dt.float32, dt.float64, dt.bfloat16))
_ANY = samples.given(
    lambda rng: ((rng.uniform(-3.0, 3.0, (2, 3)),), {}),
    lambda rng: ((rng.uniform(3.0, 9.0, (3,)),), {}),
)
_POSITIVE = samples.given(
    lambda rng: ((rng.uniform(0.3, 6.0, (2, 3)),), {}),
    lambda rng: ((np.array([0.6, 2.5, 9.0]),), {}),
)


@functools.lru_cache
def _nodes(count: int) -> tuple[tuple[float, float], ...]:
    """(place, weight) of Gauss and Legendre's quadrature over [0, 1]."""
    places, weights = np.polynomial.legendre.leggauss(count)
    return tuple(zip(((places + 1) / 2).tolist(), (weights / 2).tolist()))


def _integral(function: Any, end: Any, count: int) -> Any:
    """The integral of function(t) from 0 to `end`, an array."""
    return sum(weight * function(end * place) for place, weight in _nodes(count)) * end


# ---- Dawson's integral ------------------------------------------------------------------------
_DAWSON_STEP = 0.25
_DAWSON_REACH = 27  # steps beyond which exp(-t^2) is below the last digit


@op("Dawsn", dtypes=_FLOATS, shape=same_as(0), samples=_ANY)
def dawsn(xp, x):
    """exp(-x^2) times the integral of exp(t^2) from 0 to x.

    By a sum over odd steps (Rybicki, Computers in Physics 3, 1989).
    """
    wide = _double(x)
    safe = xp.where(xp.isfinite(wide), wide, 0.0)
    middle = 2 * xp.round(safe / (2 * _DAWSON_STEP))
    rest = safe - middle * _DAWSON_STEP
    total = xp.zeros_like(safe)
    for n in range(-_DAWSON_REACH, _DAWSON_REACH + 1, 2):
        total = total + xp.exp(-((rest - n * _DAWSON_STEP) ** 2)) / (middle + n)
    square = safe * safe
    small = safe * (1 - square * (2 / 3) * (1 - square * (2 / 5) * (1 - square * (2 / 7) * (
        1 - square * (2 / 9) * (1 - square * (2 / 11) * (1 - square * (2 / 13)))))))  # fmt: skip
    value = xp.where(xp.absolute(safe) < 0.2, small, total / math.sqrt(math.pi))
    return xp.where(xp.isfinite(wide), value, 1 / wide).astype(x.dtype)


@dawsn.gradient
def _(g, y, x):
    return g * (1.0 - 2.0 * x * y)


# ---- the exponential integral -----------------------------------------------------------------
_EXPINT_FAR = 40.0


@op("Expint", dtypes=_FLOATS, shape=same_as(0), samples=_POSITIVE)
def expint(xp, x):
    """The integral of exp(t) / t from -infinity to x > 0 (its principal value), else nan."""
    wide = _double(x)
    near = xp.clip(wide, 1e-300, _EXPINT_FAR)
    term, total = xp.ones_like(near), xp.zeros_like(near)
    for k in range(1, 160):
        term = term * near / k
        total = total + term / k
    close = total + xp.log(near) + np.euler_gamma
    far = xp.maximum(wide, _EXPINT_FAR)
    term, total = xp.ones_like(far), xp.ones_like(far)
    for k in range(1, int(_EXPINT_FAR)):
        term = term * k / far
        total = total + term
    value = xp.where(wide < _EXPINT_FAR, close, xp.exp(far) / far * total)
    value = xp.where(wide == 0, -np.inf, value)
    return xp.where((wide >= 0) & xp.isfinite(wide), value, np.nan).astype(x.dtype)


@expint.gradient
def _(g, _y, x):
    return g * (m.exp(x) / x)


# ---- Fresnel's integrals ----------------------------------------------------------------------
_FRESNEL_FAR = 6.0


def _fresnel(xp: Any, x: Any, near: Any, far: Any) -> Any:
    """`near(angle)` integrated from 0, or `far(f, g, sine, cosine)` by the auxiliary functions."""
    wide = xp.absolute(_double(x))
    close = xp.minimum(wide, _FRESNEL_FAR)
    inside = _integral(lambda t: near(t * t * (math.pi / 2)), close, 100)
    out = xp.where(xp.isfinite(wide), xp.maximum(wide, _FRESNEL_FAR), _FRESNEL_FAR)
    inverse = 1 / (math.pi * out * out)
    f, g, term = xp.zeros_like(out), xp.zeros_like(out), 1 / (math.pi * out)
    for k in range(0, 24, 2):
        sign = 1 if k % 4 == 0 else -1
        f = f + sign * term
        term = term * inverse * (2 * k + 1)
        g = g + sign * term
        term = term * inverse * (2 * k + 3)
    # the angle modulo a whole turn, so that its sine is exact for large x
    turns = out * out / 4
    angle = (turns - xp.floor(turns)) * (2 * math.pi)
    value = xp.where(wide < _FRESNEL_FAR, inside, far(f, g, xp.sin(angle), xp.cos(angle)))
    value = xp.where(wide == np.inf, 0.5, xp.where(wide == wide, value, np.nan))
    return (value * xp.sign(_double(x))).astype(x.dtype)


@op("FresnelCos", dtypes=_FLOATS, shape=same_as(0), samples=_ANY)
def fresnel_cos(xp, x):
    """The integral of cos(pi t^2 / 2) from 0 to x."""
    return _fresnel(xp, x, xp.cos, lambda f, g, sine, cosine: 0.5 + f * sine - g * cosine)


@fresnel_cos.gradient
def _(g, _y, x):
    return g * m.cos(m.square(x) * (math.pi / 2))


@op("FresnelSin", dtypes=_FLOATS, shape=same_as(0), samples=_ANY)
def fresnel_sin(xp, x):
    """The integral of sin(pi t^2 / 2) from 0 to x."""
    return _fresnel(xp, x, xp.sin, lambda f, g, sine, cosine: 0.5 - f * cosine - g * sine)


@fresnel_sin.gradient
def _(g, _y, x):
    return g * m.sin(m.square(x) * (math.pi / 2))


# ---- Spence's function ------------------------------------------------------------------------
def _dilogarithm(z: Any) -> Any:
    """The sum of z^k / k^2 for |z| <= 1/2."""
    power, total = z, z
    for k in range(2, 56):
        power = power * z
        total = total + power / (k * k)
    return total


@op("Spence", dtypes=_FLOATS, shape=same_as(0), samples=_POSITIVE)
def spence(xp, x):
    """Minus the integral of log(t) / (t - 1) from 1 to x >= 0; nan below 0."""
    wide = _double(x)
    valid = (wide > 0) & xp.isfinite(wide)
    safe = xp.where(valid, wide, 1.0)
    large = safe > 1.5
    below = xp.where(large, 1 / safe, safe)  # (0, 1.5]
    small = below < 0.5
    middle = xp.where(small, 1 - below, below)  # [0.5, 1.5]
    value = _dilogarithm(1 - middle)
    mirrored = math.pi**2 / 6 - xp.log(below) * xp.log1p(-xp.where(small, below, 0.0)) - value
    value = xp.where(small, mirrored, value)
    value = xp.where(large, -0.5 * xp.log(safe) ** 2 - value, value)
    edge = xp.where(wide == 0, math.pi**2 / 6, np.nan)
    return xp.where(valid, value, edge).astype(x.dtype)


@spence.gradient
def _(g, _y, x):
    from shardtape.ops.array import ones_like, zeros_like

    one = m.equal(x, ones_like(x))
    safe = select(one, zeros_like(x) + 2.0, x)
    return g * select(one, -ones_like(x), m.log(safe) / (1.0 - safe))


# ---- Bessel functions of the second kind ------------------------------------------------------
_BESSEL_FAR = 25.0


def _y(xp: Any, x: Any, order: int) -> Any:
    wide = _double(x)
    near = xp.where(wide > 0, xp.minimum(wide, _BESSEL_FAR), 1.0)
    half = xp.full_like(near, math.pi)
    waves = _integral(lambda t: xp.sin(near * xp.sin(t) - order * t), half, 100) / math.pi
    end = xp.arcsinh(60 / near) + (1.0 if order else 0.0)

    def falling(t: Any) -> Any:
        weight = 2 * xp.sinh(t) if order else 2.0
        return weight * xp.exp(-near * xp.sinh(t))

    close = waves - _integral(falling, end, 120) / math.pi
    far = xp.where(xp.isfinite(wide), xp.maximum(wide, _BESSEL_FAR), _BESSEL_FAR)
    p, q, term = xp.zeros_like(far), xp.zeros_like(far), xp.ones_like(far)
    for k in range(0, 30, 2):
        sign = 1 if k % 4 == 0 else -1
        p = p + sign * term
        term = term * ((4 * order - (2 * k + 1) ** 2) / (8 * (k + 1))) / far
        q = q + sign * term
        term = term * ((4 * order - (2 * k + 3) ** 2) / (8 * (k + 2))) / far
    angle = far - (2 * order + 1) * (math.pi / 4)
    distant = xp.sqrt(2 / (math.pi * far)) * (p * xp.sin(angle) + q * xp.cos(angle))
    value = xp.where(wide < _BESSEL_FAR, close, distant)
    # what TensorFlow has at and below 0, and at infinity
    value = xp.where(wide > 0, value, xp.where(wide <= 0, -np.inf, np.nan))
    return xp.where(wide == np.inf, np.nan, value).astype(x.dtype)


@op("BesselY0", dtypes=_FLOATS, shape=same_as(0), samples=_POSITIVE)
def bessel_y0(xp, x):
    """Y0(x); -infinity for x <= 0."""
    return _y(xp, x, 0)


@bessel_y0.gradient
def _(g, _y, x):
    return -g * bessel_y1(x)


@op("BesselY1", dtypes=_FLOATS, shape=same_as(0), samples=_POSITIVE)
def bessel_y1(xp, x):
    """Y1(x); -infinity for x <= 0."""
    return _y(xp, x, 1)


@bessel_y1.gradient
def _(g, y, x):
    return g * (bessel_y0(x) - y / x)

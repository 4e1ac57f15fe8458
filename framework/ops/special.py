"""The error function, the gamma function and their relatives; elementwise, of floats.

numpy and cupy have none of them. All but the float32 error function (activations use it) are
computed in float64, by the approximations that the kernels name.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import samples
from shardtape.ops.arithmetic import multiply, negative, subtract
from shardtape.ops.composites import takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import broadcast, op, same_as
from shardtape.ops.transcendental import exp, square

_ANY = samples.normal((2, 3), ())
_POSITIVE = samples.uniform(0.3, 4.0, (2, 3), ())
_WIDE = frozenset((dt.float32, dt.float64))


def _horner(x: Any, coefficients: Any) -> Any:
    """A polynomial, the highest coefficient first, in the dtype of `x`."""
    total = x * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        total *= x
        total += c
    return total


def _double(x: Any) -> Any:
    return x.astype(np.float64)


# ---- the error function -----------------------------------------------------------------------
# float32: a quotient of polynomials in x^2 on [-4, 4], the one that Eigen and XLA use
_ERF_TOP = (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06,
            -5.69250639462346e-05, -7.34990630326855e-04, -2.95459980854025e-03,
            -1.60960333262415e-02)  # fmt: skip
_ERF_BOTTOM = (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03,
               -7.37332916720468e-03, -1.42647390514189e-02)  # fmt: skip
# float64: Cephes, ndtr.c
_T = (9.60497373987051638749e0, 9.00260197203842689217e1, 2.23200534594684319226e3,
      7.00332514112805075473e3, 5.55923013010394962768e4)  # fmt: skip
_U = (1.0, 3.35617141647503099647e1, 5.21357949780152679795e2, 4.59432382970980127987e3,
      2.26290000613890934246e4, 4.92673942608635921086e4)  # fmt: skip
_P = (2.46196981473530512524e-10, 5.64189564831068821977e-1, 7.46321056442269912687e0,
      4.86371970985681366614e1, 1.96520832956077098242e2, 5.26445194995477358631e2,
      9.34528527171957607540e2, 1.02755188689515710272e3, 5.57535335369399327526e2)  # fmt: skip
_Q = (1.0, 1.32281951154744992508e1, 8.67072140885989742329e1, 3.54937778887819891062e2,
      9.75708501743205489753e2, 1.82390916687909736289e3, 2.24633760818710981792e3,
      1.65666309194161350182e3, 5.57535340817727675546e2)  # fmt: skip
_R = (5.64189583547755073984e-1, 1.27536670759978104416e0, 5.01905042251180477414e0,
      6.16021097993053585195e0, 7.40974269950448939160e0, 2.97886665372100240670e0)  # fmt: skip
_S = (1.0, 2.26052863220117276590e0, 9.39603524938001434673e0, 1.20489539808096656605e1,
      1.70814450747565897222e1, 9.60896809063285878198e0, 3.36907645100081516050e0)  # fmt: skip


def _erf_single(xp: Any, x: Any) -> Any:
    x = xp.clip(x, np.float32(-4), np.float32(4))
    x2 = x * x
    return (
        x
        * _horner(x2, [np.float32(c) for c in _ERF_TOP])
        / _horner(x2, [np.float32(c) for c in _ERF_BOTTOM])
    )


def _erf_near_zero(x: Any) -> Any:
    z = x * x
    return x * _horner(z, _T) / _horner(z, _U)


def _erfc_double(xp: Any, x: Any) -> Any:
    a = xp.absolute(x)
    # where a is infinite the polynomials would divide infinity by infinity
    b = xp.minimum(a, 40.0)
    far = xp.exp(-b * b) * xp.where(b < 8, _horner(b, _P) / _horner(b, _Q),
                                    _horner(b, _R) / _horner(b, _S))  # fmt: skip
    near = xp.clip(x, -1.0, 1.0)
    tail = xp.where(x < 0, 2 - far, far)
    return xp.where(x != x, x, xp.where(a < 1, 1 - _erf_near_zero(near), tail))


def _erf_double(xp: Any, x: Any) -> Any:
    a = xp.absolute(x)
    near = _erf_near_zero(xp.clip(x, -1.0, 1.0))
    return xp.where(a < 1, near, 1 - _erfc_double(xp, x))


@op("Erf", dtypes=dt.FLOATING, shape=same_as(0), samples=_ANY)
def erf(xp, x):
    """The error function 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x."""
    return _erf_single(xp, x) if x.dtype == np.float32 else _erf_double(xp, x)


@erf.gradient
def _(g, _y, x):
    return multiply(g, exp(negative(square(x))) * (2 / math.sqrt(math.pi)))


@op("Erfc", dtypes=dt.FLOATING, shape=same_as(0), samples=_ANY)
def erfc(xp, x):
    """1 - erf(x), exact where it is small."""
    return _erfc_double(xp, _double(x)).astype(x.dtype)


@erfc.gradient
def _(g, _y, x):
    return multiply(g, exp(negative(square(x))) * (-2 / math.sqrt(math.pi)))


# ---- quantiles of the normal distribution -----------------------------------------------------
# P. J. Acklam's rational approximation (relative error 1e-9), then one step of Halley's method
_A = (-3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.383577518672690e2,
      -3.066479806614716e1, 2.506628277459239e0)  # fmt: skip
_B = (-5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1,
      -1.328068155288572e1, 1.0)  # fmt: skip
_C = (-7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838e0, -2.549732539343734e0,
      4.374664141464968e0, 2.938163982698783e0)  # fmt: skip
_D = (7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996e0, 3.754408661907416e0,
      1.0)  # fmt: skip


def _ndtri(xp: Any, p: Any) -> Any:
    lower = xp.minimum(p, 1 - p)  # the upper half mirrors the lower one
    inside = xp.where(lower > 0, lower, 0.25)
    q = xp.sqrt(-2 * xp.log(inside))
    tail = _horner(q, _C) / _horner(q, _D)
    r = inside - 0.5
    r2 = r * r
    x = xp.where(inside < 0.02425, tail, r * _horner(r2, _A) / _horner(r2, _B))
    error = 0.5 * _erfc_double(xp, x * -math.sqrt(0.5)) - inside
    u = error * math.sqrt(2 * math.pi) * xp.exp(x * x / 2)
    x = x - u / (1 + x * u / 2)
    x = xp.where(lower > 0, x, xp.where(lower == 0, -np.inf, np.nan))
    return xp.where(p > 0.5, -x, x)


@op("Ndtri", dtypes=_WIDE, shape=same_as(0), samples=samples.uniform(0.05, 0.95, (2, 3), ()))
def ndtri(xp, x):
    """The inverse of the normal distribution function, of numbers in (0, 1)."""
    return _ndtri(xp, _double(x)).astype(x.dtype)


@ndtri.gradient
def _(g, y, _x):
    return g * (exp(square(y) * 0.5) * math.sqrt(2 * math.pi))


@op("Erfinv", dtypes=_WIDE, shape=same_as(0), samples=samples.uniform(-0.9, 0.9, (2, 3), ()))
def erfinv(xp, x):
    """The inverse of the error function, of numbers in (-1, 1)."""
    wide = _double(x)
    small = xp.absolute(wide) < 1e-3
    series = wide * (math.sqrt(math.pi) / 2) * (1 + math.pi / 12 * wide * wide)
    return xp.where(small, series, _ndtri(xp, (wide + 1) / 2) * math.sqrt(0.5)).astype(x.dtype)


@erfinv.gradient
def _(g, y, _x):
    return g * (exp(square(y)) * (math.sqrt(math.pi) / 2))


# ---- the gamma function -----------------------------------------------------------------------
# Stirling's series, B_2k / (2k (2k - 1)), after a shift to x >= 8
_STIRLING = (-691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12)
_SHIFT = 8


def _lgamma_positive(xp: Any, x: Any) -> Any:
    product, shifted = 1.0, x
    for i in range(_SHIFT):
        product = product * (x + i)
    shifted = xp.where(x < _SHIFT, x + _SHIFT, x)
    inverse = 1 / shifted
    series = inverse * _horner(inverse * inverse, _STIRLING)
    whole = (shifted - 0.5) * xp.log(shifted) - shifted + 0.5 * math.log(2 * math.pi) + series
    return xp.where(x < _SHIFT, whole - xp.log(product), whole)


@op("Lgamma", dtypes=dt.FLOATING, shape=same_as(0), samples=_POSITIVE)
def lgamma(xp, x):
    """The logarithm of the absolute value of the gamma function."""
    wide = _double(x)
    positive = _lgamma_positive(xp, xp.where(wide > 0, wide, 1 - wide))
    mirrored = math.log(math.pi) - xp.log(xp.absolute(xp.sin(math.pi * _fraction(xp, wide))))
    y = xp.where(wide > 0, positive, mirrored - positive)
    return xp.where(xp.absolute(wide) == np.inf, np.inf, y).astype(x.dtype)


def _fraction(xp: Any, x: Any) -> Any:
    """x modulo 1, so that sines of whole multiples of pi are exact."""
    return x - xp.floor(x)


@lgamma.gradient
def _(g, _y, x):
    return g * digamma(x)


# B_2k / 2k
_PSI = (-1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12)


def _digamma_positive(xp: Any, x: Any) -> Any:
    below = xp.where(x < _SHIFT, 1.0, 0.0)
    total = 0.0
    for i in range(_SHIFT):
        total = total - below / (x + i)
    shifted = x + below * _SHIFT
    inverse = 1 / shifted
    square_ = inverse * inverse
    return total + xp.log(shifted) - 0.5 * inverse + square_ * _horner(square_, _PSI)


@op("Digamma", dtypes=dt.FLOATING, shape=same_as(0), samples=_POSITIVE)
def digamma(xp, x):
    """The derivative of `lgamma`; no number at 0 and at negative integers."""
    wide = _double(x)
    positive = _digamma_positive(xp, xp.where(wide > 0, wide, 1 - wide))
    fraction = _fraction(xp, wide)
    mirrored = positive - math.pi / xp.tan(math.pi * fraction)
    mirrored = xp.where((wide <= 0) & (fraction == 0), np.nan, mirrored)
    return xp.where(wide > 0, positive, mirrored).astype(x.dtype)


@digamma.gradient
def _(g, _y, x):
    from shardtape.ops.filling import ones_like_op

    return g * polygamma(ones_like_op(x), x)


# B_2k / (2k)!
_ZETA = (1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
         1 / 74724249600, -3617 / 10670622842880000)  # fmt: skip
_TERMS = 12


@op("Zeta", dtypes=_WIDE, broadcasts=True, shape=broadcast,
    samples=lambda rng: [((rng.uniform(1.5, 4, (2, 3)), rng.uniform(0.5, 4, (2, 3))), {})],
    name="zeta")  # fmt: skip
def zeta(xp, x, q):
    """The Hurwitz zeta function, the sum of (q + k)^-x over k = 0, 1, ...; x > 1."""
    kind = x.dtype
    x, q = _double(x), _double(q)
    total = 0.0
    for k in range(_TERMS):  # Euler-Maclaurin: some terms, an integral, corrections
        total = total + xp.power(q + k, -x)
    a = q + _TERMS
    power = xp.power(a, -x)
    total = total + power * a / (x - 1) + 0.5 * power
    factor, term = x, power / a
    for k, c in enumerate(_ZETA):
        total = total + c * factor * term
        factor = factor * (x + 2 * k + 1) * (x + 2 * k + 2)
        term = term / (a * a)
    whole = (q <= 0) & (q == xp.floor(q))
    total = xp.where(whole, np.inf, total)
    total = xp.where(x == 1, np.inf, xp.where(x < 1, np.nan, total))
    total = xp.where((q == np.inf) & (x > 1), 0.0, total)
    return total.astype(kind)


@zeta.gradient
def _(g, _y, x, q):
    return None, multiply(g, -x * zeta(x + 1, q))  # as in TensorFlow there is none by x


def _polygamma_samples(rng: np.random.Generator) -> Any:
    return [((np.array([1.0, 2.0, 3.0]), rng.uniform(0.5, 4, (2, 3))), {})]


@op("Polygamma", dtypes=_WIDE, broadcasts=True, shape=broadcast, samples=_polygamma_samples)
def polygamma(xp, a, x):
    """The derivative number `a` (a whole number) of `digamma` at x."""
    kind = x.dtype
    a, x = _double(a), _double(x)
    sign = xp.where(a % 2 == 0, -1.0, 1.0)
    high = sign * xp.exp(_lgamma_positive(xp, a + 1)) * zeta.kernel(xp, a + 1, x)
    low = digamma.kernel(xp, x + 0 * a)
    high = xp.where(a == xp.floor(a), high, np.nan)
    return xp.where(a == 0, low, high).astype(kind)


@polygamma.gradient
def _(g, _y, a, x):
    return None, g * polygamma(a + 1, x)


# ---- public functions made of others ----------------------------------------------------------
@takes_composites
def erfcinv(x: Any, name: str | None = None) -> Any:
    """The inverse of `erfc`, of numbers in (0, 2)."""
    x = convert_to_tensor(x)
    return -ndtri(0.5 * x, name=name) * math.sqrt(0.5)


def lbeta(x: Any, name: str | None = None) -> Any:
    """The logarithm of the absolute value of the beta function over the last axis."""
    from shardtape.ops.reduce import reduce_sum

    x = convert_to_tensor(x)
    return subtract(reduce_sum(lgamma(x), [-1]), lgamma(reduce_sum(x, [-1])), name=name)


@takes_composites
def log_sigmoid(x: Any, name: str | None = None) -> Any:
    """log(1 / (1 + exp(-x))), exact for large numbers of both signs."""
    from shardtape.ops.activations import softplus

    return negative(softplus(negative(convert_to_tensor(x))), name=name)

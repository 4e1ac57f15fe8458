"""The error function, which numpy does not have."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import samples
from shardtape.ops.math import exp, square
from shardtape.ops.registry import op, same_as
from shardtape.tensor import Tensor

# Coefficients, the highest power first. In single precision one quotient of polynomials in x * x
# is exact to the last bits; in double precision W. J. Cody's three (Math. Comp. 23, 1969).
_SINGLE = (
    (-2.72614225801306e-10, 2.77068142495902e-08, -2.10102402082508e-06, -5.69250639462346e-05,
     -7.34990630326855e-04, -2.95459980854025e-03, -1.60960333262415e-02),
    (-1.45660718464996e-05, -2.13374055278905e-04, -1.68282697438203e-03, -7.37332916720468e-03,
     -1.42647390514189e-02),
)  # fmt: skip
_NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
     2.84423683343917062e3),
)  # fmt: skip
_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
     1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3,
     1.23033935480374942e3),
)  # fmt: skip
_FAR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1,
     1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346047e0, 5.27905102951428412e-1,
     6.05183413124413191e-2, 2.33520497626869185e-3),
)  # fmt: skip
_ROOT_PI_INVERSE = 1 / math.sqrt(math.pi)


def _polynomial(x: Any, coefficients: tuple[float, ...]) -> Any:
    total = x * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        total *= x
        total += c
    return total


def _quotient(x: Any, pair: Any) -> Any:
    return _polynomial(x, pair[0]) / _polynomial(x, pair[1])


def _double(xp: Any, x: Any) -> Any:
    size = xp.minimum(xp.abs(x), 6.0)  # erf(6) is 1 in double precision
    squared = size * size
    near = x * _quotient(xp.minimum(squared, 0.25), _NEAR)
    decay = xp.exp(-squared)
    middle = 1 - decay * _quotient(xp.minimum(size, 4.0), _MIDDLE)
    inverse = 1 / xp.maximum(squared, 16.0)
    tail = (_ROOT_PI_INVERSE - inverse * _quotient(inverse, _FAR)) / xp.maximum(size, 4.0)
    far = 1 - decay * tail
    outer = xp.where(size <= 4.0, middle, far)
    return xp.where(size <= 0.46875, near, xp.copysign(outer, x))


@op("Erf", dtypes=dt.FLOATING, shape=same_as(0), samples=samples.normal((2, 3), (40,)),
    reference=lambda x: np.vectorize(math.erf)(x))  # fmt: skip
def erf_op(xp, x):
    """The error function 2 / sqrt(pi) * integral of exp(-t * t) from 0 to x, elementwise."""
    if x.dtype == np.float64:
        return _double(xp, x)
    x = xp.clip(x, -4.0, 4.0)  # beyond it is 1 in single precision
    return x * _quotient(x * x, _SINGLE)


@erf_op.gradient
def _(g, _y, x):
    return g * (2 * _ROOT_PI_INVERSE) * exp(-square(x))


def erf(x: Any, name: str | None = None) -> Tensor:
    """The error function, elementwise."""
    return erf_op(x, name=name)

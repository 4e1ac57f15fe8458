"""Absolute values, signs and rounding; elementwise."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import samples
from shardtape.ops.arithmetic import multiply
from shardtape.ops.complex_numbers import complex_abs
from shardtape.ops.composites import takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.registry import op, same_as, ufunc_op

_SIGNED = dt.FLOATING | dt.SIGNED
_NOT_ZERO = samples.away_from_zero((2, 3), ())
_NORMAL = samples.normal((2, 3), ())


@ufunc_op("Abs", "absolute", 1, dtypes=_SIGNED, samples=_NOT_ZERO)
def abs_op(x):
    """The absolute value."""


@abs_op.gradient
def _(g, _y, x):
    return multiply(g, sign(x))


@ufunc_op("Sign", "sign", 1, dtypes=_SIGNED | dt.COMPLEX, samples=_NOT_ZERO)
def sign(x):
    """-1, 0 or 1; x / |x| of complex numbers."""


@sign.gradient
def _(_g, _y, x):
    return zeros_like_op(x)


def _rounded(type_name: str, function: str) -> Any:
    return ufunc_op(
        type_name, function, 1, dtypes=dt.FLOATING, differentiable=False, samples=_NORMAL
    )


@_rounded("Floor", "floor")
def floor(x):
    """The next integer below."""


@_rounded("Ceil", "ceil")
def ceil(x):
    """The next integer above."""


@_rounded("Rint", "rint")
def rint(x):
    """The nearest integer, halves to the even one."""


@op("Round", dtypes=dt.FLOATING | {dt.int32, dt.int64}, shape=same_as(0), differentiable=False,
    samples=_NORMAL)  # fmt: skip
def round_op(xp, x):
    """The nearest integer, halves to the even one."""
    return x.copy() if x.dtype.kind == "i" else xp.rint(x)


@takes_composites
def abs(x: Any, name: str | None = None) -> Any:
    """The absolute value; of complex numbers a real one."""
    x = convert_to_tensor(x)
    return complex_abs(x, name=name) if x.dtype.is_complex else abs_op(x, name=name)


@takes_composites
def round(x: Any, name: str | None = None) -> Any:
    """The nearest integer, halves to the even one; integers as they are."""
    x = convert_to_tensor(x)
    return x if x.dtype.is_integer else round_op(x, name=name)

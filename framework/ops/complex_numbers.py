"""Complex numbers: parts, conjugates, angles, absolute values."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import samples
from shardtape.ops.composites import override_of, takes_composites
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.registry import broadcast, op, same_as
from shardtape.tensor import EagerTensor, Tensor


def _real_of(dtypes: Any, attrs: Any) -> dt.DType:
    return dtypes[0].real_dtype


def _complex_of(dtypes: Any, attrs: Any) -> dt.DType:
    return {dt.float32: dt.complex64, dt.float64: dt.complex128}[dtypes[0]]


_CASES = samples.away_from_zero((2, 3), ())


@op("Real", dtypes=dt.COMPLEX, dtype=_real_of, shape=same_as(0), may_view=True, samples=_CASES)
def real_op(xp, input):
    """The real part."""
    return input.real


@real_op.gradient
def _(g, _y, _input):
    return complex(g, zeros_like_op(g))


@op("Imag", dtypes=dt.COMPLEX, dtype=_real_of, shape=same_as(0), may_view=True, samples=_CASES)
def imag_op(xp, input):
    """The imaginary part."""
    return input.imag


@imag_op.gradient
def _(g, _y, _input):
    return complex(zeros_like_op(g), g)


@op("Conj", dtypes=dt.COMPLEX, shape=same_as(0), samples=_CASES)
def conj_op(xp, input):
    """The complex conjugate."""
    return xp.conj(input)


@conj_op.writes_into(0)
def _(xp, out, input):
    xp.conj(input, out=out)


@conj_op.gradient
def _(g, _y, _input):
    return conj_op(g)


@op("Complex", dtypes=frozenset((dt.float32, dt.float64)), dtype=_complex_of, broadcasts=True,
    shape=broadcast, samples=samples.normal([(2, 3), (2, 3)], [(2, 3), (3,)]))  # fmt: skip
def complex(xp, real, imag):
    """real + i * imag, of floats."""
    return real + imag * np.complex64(1j) if real.dtype == np.float32 else real + imag * 1j


@complex.gradient
def _(g, _y, _real, _imag):
    return real_op(g), imag_op(g)


@op("ComplexAbs", dtypes=dt.COMPLEX, dtype=_real_of, shape=same_as(0), samples=_CASES)
def complex_abs(xp, x):
    """The absolute value."""
    return xp.absolute(x)


@complex_abs.gradient
def _(g, y, x):
    from shardtape.ops.arithmetic import div_no_nan

    zero = zeros_like_op(g)
    return div_no_nan(complex(g, zero) * x, complex(y, zero))


@op("Angle", dtypes=dt.COMPLEX, dtype=_real_of, shape=same_as(0), samples=_CASES)
def angle_op(xp, input):
    """The angle, in (-pi, pi]."""
    return xp.angle(input)


@angle_op.gradient
def _(g, _y, input):
    re, im = real_op(input), imag_op(input)
    square = re * re + im * im
    return complex(-g * im / square, g * re / square)


@takes_composites
def real(input: Any, name: str | None = None) -> Tensor:
    """The real part; real numbers as they are."""
    x = convert_to_tensor(input)
    return real_op(x, name=name) if x.dtype.is_complex else x


@takes_composites
def imag(input: Any, name: str | None = None) -> Tensor:
    """The imaginary part; zeros of real numbers."""
    x = convert_to_tensor(input)
    return imag_op(x, name=name) if x.dtype.is_complex else zeros_like_op(x)


def conj(x: Any, name: str | None = None) -> Any:
    """The complex conjugate; real numbers as they are."""
    if type(x) is EagerTensor and x._array.dtype.kind != "c":
        return x
    if not isinstance(x, Tensor):
        taken = override_of("conj", x)
        if taken is not None:
            return taken(x, name=name)
        x = convert_to_tensor(x)
    return conj_op(x, name=name) if x.dtype.kind == "c" else x


@takes_composites
def angle(input: Any, name: str | None = None) -> Tensor:
    """The angle of complex numbers; of real ones 0, or pi where they are negative."""
    x = convert_to_tensor(input)
    if x.dtype.is_complex:
        return angle_op(x, name=name)
    from shardtape.ops.selecting import where

    zero = zeros_like_op(x)
    return where(x < 0, zero + np.pi, zero)

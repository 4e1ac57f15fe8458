"""Discrete Fourier transforms of the last one, two or three axes.

The transforms of complex numbers keep the sizes of the axes. Those of real numbers take a length
for each axis: the input is cut to it (the public functions fill it up before).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import real
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.shape_rules import known_ints
from shardtape.shapes import UNKNOWN, TensorShape

_COMPLEX = frozenset((dt.complex64, dt.complex128))
_REAL = frozenset((dt.float32, dt.float64))
_AXES = {1: (-1,), 2: (-2, -1), 3: (-3, -2, -1)}
_SUFFIX = {1: "", 2: "2D", 3: "3D"}


def _dft(x: np.ndarray, axes: tuple[int, ...], sign: int) -> np.ndarray:
    """By the definition: a product with the matrix of roots of one, for each axis."""
    for axis in axes:
        n = x.shape[axis]
        roots = np.exp(sign * 2j * np.pi * np.outer(np.arange(n), np.arange(n)) / n)
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ roots, -1, axis)
        if sign > 0:
            x = x / n
    return x


def _count(x: Any, rank: int) -> Any:
    """The number of elements of the last axes, in the tensor's type."""
    size = array.ones([], dt.int32)
    for axis in _AXES[rank]:
        size = size * array.shape(x)[axis]
    return cast(size, x.dtype)


def _check_rank(x: Any, rank: int) -> None:
    if x.ndim < rank:
        raise ValueError(f"Input must have rank of at least {rank} but got: {x.ndim}")


# ---- of complex numbers -----------------------------------------------------------------------
def _complex_samples(rank: int) -> Callable[..., Any]:
    shapes = {1: [(4,), (2, 5)], 2: [(3, 4), (2, 2, 3)], 3: [(2, 3, 2), (2, 2, 2, 3)]}[rank]
    return lambda rng: [((rng.normal(size=s),), {}) for s in shapes]


def _register_complex(rank: int) -> tuple[Any, Any]:
    def forward_kernel(xp: Any, input: Any) -> Any:
        _check_rank(input, rank)
        return xp.fft.fftn(input, axes=_AXES[rank])

    def inverse_kernel(xp: Any, input: Any) -> Any:
        _check_rank(input, rank)
        return xp.fft.ifftn(input, axes=_AXES[rank])

    common: dict[str, Any] = {"dtypes": _COMPLEX, "shape": same_as(0), "widen": False}
    forward = op(f"FFT{_SUFFIX[rank]}", **common, samples=_complex_samples(rank),
                 name=f"fft{_SUFFIX[rank].lower()}")(forward_kernel)  # fmt: skip
    inverse = op(f"IFFT{_SUFFIX[rank]}", **common, samples=_complex_samples(rank),
                 name=f"ifft{_SUFFIX[rank].lower()}")(inverse_kernel)  # fmt: skip
    forward.gradient(lambda g, _y, input: inverse(g) * _count(input, rank))
    inverse.gradient(lambda g, _y, input: forward(g) / _count(input, rank))
    return forward, inverse


_COMPLEX_OPS = {rank: _register_complex(rank) for rank in (1, 2, 3)}


# ---- of real numbers --------------------------------------------------------------------------
def _wide(dtypes: Any, attrs: Any) -> dt.DType:
    return {dt.float32: dt.complex64, dt.float64: dt.complex128}[dtypes[0]]


def _narrow(dtypes: Any, attrs: Any) -> dt.DType:
    return dtypes[0].real_dtype


def _length_shape(rank: int, halves: bool) -> Callable[..., TensorShape]:
    def rule(input: Arg, fft_length: Arg, **attrs: Any) -> TensorShape:
        if input.shape.rank is None:
            return UNKNOWN
        if input.shape.rank < rank:
            raise ValueError(f"Shape must be at least rank {rank} but is rank {input.shape.rank}")
        sizes: list[Any] = list(known_ints(fft_length) or [None] * rank)
        if halves and sizes[-1] is not None:
            sizes[-1] = sizes[-1] // 2 + 1
        return input.shape[:-rank].concatenate(sizes)

    return rule


def _cut(x: Any, sizes: Any) -> Any:
    rank = len(sizes)
    return x[(..., *[slice(0, int(n)) for n in sizes])] if rank else x


def _real_samples(rank: int) -> Callable[..., Any]:
    lengths = {1: [[4], [5]], 2: [[3, 4]], 3: [[2, 3, 4]]}[rank]

    def made(rng: np.random.Generator) -> Any:
        out: list[Any] = []
        for i, n in enumerate(lengths):
            longer = [k + i for k in n]
            out.append(((rng.normal(size=(2, *longer)), np.array(n, np.int32)), {}))
        return out

    return made


def _spectrum_samples(rank: int) -> Callable[..., Any]:
    lengths = {1: [[4], [5]], 2: [[3, 4]], 3: [[2, 3, 4]]}[rank]

    def made(rng: np.random.Generator) -> Any:
        out: list[Any] = []
        for n in lengths:
            size = (2, *n[:-1], n[-1] // 2 + 1)
            out.append(((rng.normal(size=size), np.array(n, np.int32)), {}))
        return out

    return made


def _rfft_reference(input: Any, fft_length: Any) -> Any:
    x = _cut(np.asarray(input, np.float64), fft_length)
    axes = _AXES[len(fft_length)]
    return _dft(x.astype(np.complex128), axes, -1)[..., : int(fft_length[-1]) // 2 + 1]


def _irfft_reference(input: Any, fft_length: Any) -> Any:
    x = np.asarray(input, np.complex128)
    outer, n = _AXES[len(fft_length)][:-1], int(fft_length[-1])
    x = _dft(_cut(x, [*fft_length[:-1], n // 2 + 1]), outer, 1)
    k, j = np.arange(n // 2 + 1), np.arange(n)
    twice = np.where((k == 0) | (2 * k == n), 1.0, 2.0)
    return (twice[:, None] * (x[..., None] * np.exp(2j * np.pi * np.outer(k, j) / n))).sum(
        -2
    ).real / n


def _register_real(rank: int) -> tuple[Any, Any]:
    axes = _AXES[rank]

    def forward_kernel(xp: Any, input: Any, fft_length: Any) -> Any:
        _check_rank(input, rank)
        sizes = [int(n) for n in fft_length]
        short = [n > m for n, m in zip(sizes, input.shape[-rank:])]
        if any(short) and input.size:
            raise ValueError(f"Input dimension {input.shape[-rank:]} must have length of at least "
                             f"{sizes}")  # fmt: skip
        return xp.fft.rfftn(input, sizes, axes=axes)

    def inverse_kernel(xp: Any, input: Any, fft_length: Any) -> Any:
        _check_rank(input, rank)
        return xp.fft.irfftn(input, [int(n) for n in fft_length], axes=axes)

    name = _SUFFIX[rank]
    common: dict[str, Any] = {"host": ("fft_length",), "widen": False}
    forward = op(
        f"RFFT{name}", **common, dtypes=_REAL, dtype=_wide, shape=_length_shape(rank, True),
        samples=_real_samples(rank), reference=_rfft_reference, name=f"rfft{name.lower()}",
    )(forward_kernel)  # fmt: skip
    inverse = op(
        f"IRFFT{name}", **common, dtypes=_COMPLEX, dtype=_narrow, shape=_length_shape(rank, False),
        samples=_spectrum_samples(rank), reference=_irfft_reference, name=f"irfft{name.lower()}",
    )(inverse_kernel)  # fmt: skip

    def forward_gradient(g: Any, _y: Any, input: Any, fft_length: Any) -> Any:
        # the real part of the product with the conjugate roots, of the half that was given
        whole = _fitted(g, fft_length, rank)
        back = real(_COMPLEX_OPS[rank][1](whole))
        scaled = back * cast(array.reshape(_product(fft_length), []), back.dtype)
        return _fitted(scaled, array.shape(input)[-rank:], rank)

    def inverse_gradient(g: Any, _y: Any, input: Any, fft_length: Any) -> Any:
        spectrum = forward(g, fft_length)
        n = fft_length[-1]
        k = array.range(n // 2 + 1)
        alone = (k == 0) | (2 * k == n)
        twice = array.where(alone, array.ones_like(k), 2 * array.ones_like(k))
        weights = cast(twice, g.dtype) / cast(_product(fft_length), g.dtype)
        made = spectrum * cast(weights, spectrum.dtype)
        return _fitted(made, array.shape(input)[-rank:], rank)

    forward.gradient(forward_gradient)
    inverse.gradient(inverse_gradient)
    return forward, inverse


def _product(sizes: Any) -> Any:
    from shardtape.ops.reduce import reduce_prod

    return reduce_prod(sizes)


def _fitted(x: Any, sizes: Any, rank: int) -> Any:
    """The last axes cut, or filled with zeros, to `sizes`."""
    have = array.shape(x)[-rank:]
    sizes = cast(sizes, dt.int32)
    missing = array.where(sizes > have, sizes - have, array.zeros_like(have))
    nothing = array.zeros([array.rank(x) - rank], dt.int32)
    after = array.concat([nothing, missing], 0)
    filled = array.pad(x, array.stack([array.zeros_like(after), after], 1))
    begin = array.zeros([array.rank(x)], dt.int32)
    return array.slice(filled, begin, array.concat([array.shape(x)[:-rank], sizes], 0))


_REAL_OPS = {rank: _register_real(rank) for rank in (1, 2, 3)}


# ---- public functions -------------------------------------------------------------------------
def _complex_function(rank: int, which: int, text: str) -> Callable[..., Any]:
    transform = _COMPLEX_OPS[rank][which]

    def function(input: Any, name: str | None = None) -> Any:
        x = convert_to_tensor(input)  # complex Python numbers are complex128
        if x.dtype not in _COMPLEX:
            x = convert_to_tensor(input, dtype_hint=dt.complex64)
        return transform(x, name=name)

    function.__name__ = function.__qualname__ = transform.name
    function.__doc__ = text
    return function


fft = _complex_function(1, 0, "The Fourier transform of the last axis; complex to complex.")
ifft = _complex_function(1, 1, "The inverse of `fft`.")
fft2d = _complex_function(2, 0, "The Fourier transform of the last two axes.")
ifft2d = _complex_function(2, 1, "The inverse of `fft2d`.")
fft3d = _complex_function(3, 0, "The Fourier transform of the last three axes.")
ifft3d = _complex_function(3, 1, "The inverse of `fft3d`.")


def _lengths(x: Any, fft_length: Any, rank: int, spectrum: bool) -> Any:
    if x.shape.rank is not None and x.shape.rank < rank:
        raise ValueError(f"Shape {x.shape} must have rank at least {rank}")
    if fft_length is not None:
        sizes = convert_to_tensor(fft_length, dt.int32)
        return array.reshape(sizes, [rank]) if rank == 1 else sizes
    have = array.shape(x)[-rank:]
    if not spectrum:
        return have
    last = 2 * (have[-1:] - 1)
    return array.concat([have[:-1], array.where(last > 0, last, array.zeros_like(last))], 0)


def _real_function(rank: int) -> tuple[Callable[..., Any], Callable[..., Any]]:
    forward_op, inverse_op = _REAL_OPS[rank]

    def forward(input_tensor: Any, fft_length: Any = None, name: str | None = None) -> Any:
        x = convert_to_tensor(input_tensor, dtype_hint=dt.float32)
        if x.dtype not in _REAL:
            raise ValueError(f"RFFT requires tf.float32 or tf.float64 inputs, got {x.dtype.name}")
        sizes = _lengths(x, fft_length, rank, False)
        return forward_op(x if fft_length is None else _at_least(x, sizes, rank), sizes, name=name)

    def inverse(input_tensor: Any, fft_length: Any = None, name: str | None = None) -> Any:
        x = convert_to_tensor(input_tensor, dtype_hint=dt.complex64)
        if x.dtype not in _COMPLEX:
            raise ValueError(
                f"IRFFT requires tf.complex64 or tf.complex128 inputs, got {x.dtype.name}"
            )
        return inverse_op(x, _lengths(x, fft_length, rank, True), name=name)

    axes = {1: "the last axis", 2: "the last two axes", 3: "the last three axes"}[rank]
    forward.__name__ = forward.__qualname__ = forward_op.name
    forward.__doc__ = f"""The Fourier transform of {axes} of real numbers: its first half.

    Args:
      fft_length: sizes that the axes are cut or filled up to; default theirs. The last one, n,
        becomes n // 2 + 1.

    Raises:
      ValueError: numbers that are not float32 or float64.
    """
    inverse.__name__ = inverse.__qualname__ = inverse_op.name
    inverse.__doc__ = f"""The inverse of `{forward_op.name}`: real numbers.

    Args:
      fft_length: sizes of the result; default those of the input, the last (size - 1) * 2.

    Raises:
      ValueError: numbers that are not complex.
    """
    return forward, inverse


def _at_least(x: Any, sizes: Any, rank: int) -> Any:
    have = array.shape(x)[-rank:]
    return _fitted(x, array.where(sizes > have, sizes, have), rank)


(rfft, irfft), (rfft2d, irfft2d), (rfft3d, irfft3d) = [_real_function(r) for r in (1, 2, 3)]


def _shift(x: Any, axes: Any, back: bool) -> Any:
    x = convert_to_tensor(x)
    sizes = array.shape(x)
    if axes is None:
        axes = list(range(x.shape.rank))
    chosen = [axes] if isinstance(axes, int) else list(axes)
    shifts = [-(sizes[a] // 2) if back else sizes[a] // 2 for a in chosen]
    return array.roll(x, array.stack(shifts), chosen)


def fftshift(x: Any, axes: Any = None, name: str | None = None) -> Any:
    """Moves the zero frequency to the middle, along `axes` (default: all)."""
    return _shift(x, axes, False)


def ifftshift(x: Any, axes: Any = None, name: str | None = None) -> Any:
    """The inverse of `fftshift`."""
    return _shift(x, axes, True)

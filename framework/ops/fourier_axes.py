"""Fourier transforms over chosen axes: `tf.signal.fftnd` and its sisters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import array, math
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.fourier import _COMPLEX, _REAL, _fitted, fft, ifft, irfft, rfft

_NORMS = (None, "backward", "ortho", "forward")


def _axes_and_lengths(x: Any, fft_length: Any, axes: Any) -> tuple[list[int], list[Any]]:
    """The axes, counted from the front, and the length of each; None for its own.

    Raises ValueError for an unknown rank, axes out of range or twice, other counts of lengths.
    """
    rank = x.shape.rank
    if rank is None:
        raise ValueError("A Fourier transform over several axes needs an input of known rank.")
    given = list(range(rank)) if axes is None else [int(a) for a in _numbers(axes)]
    if any(not -rank <= a < rank for a in given):
        raise ValueError(f"Axes {given} must lie in [-{rank}, {rank}), the input has rank {rank}")
    places = [a % rank for a in given]
    if len(set(places)) != len(places):
        raise ValueError(f"Axes {given} name one axis more than once")
    if fft_length is None:
        return places, [None] * len(places)
    lengths = convert_to_tensor(fft_length, dt.int32)
    if lengths.shape.rank != 1 or (lengths.shape[0] or len(places)) != len(places):
        raise ValueError(
            f"fft_length has shape {lengths.shape}, but there are {len(places)} axes: {given}"
        )
    return places, [lengths[i] for i in range(len(places))]


def _numbers(axes: Any) -> Sequence[int]:
    return axes.numpy().tolist() if hasattr(axes, "numpy") else list(axes)


def _along(x: Any, axis: int, transform: Any) -> Any:
    """`transform` of the last axis, applied to another."""
    rank = x.shape.rank
    if axis == rank - 1:
        return transform(x)
    order = [*range(axis), *range(axis + 1, rank), axis]
    back = [*range(axis), rank - 1, *range(axis, rank - 1)]
    return array.transpose(transform(array.transpose(x, order)), back)


def _cut(x: Any, length: Any) -> Any:
    return x if length is None else _fitted(x, array.reshape(length, [1]), 1)


def _scaled(x: Any, norm: str | None, counts: list[Any], inverse: bool) -> Any:
    """Divides or multiplies by the number of values that were summed up, as `norm` says."""
    if norm in (None, "backward") or not counts:
        return x
    real = x.dtype.real_dtype
    whole = math.multiply(cast(counts[0], real), 1)
    for count in counts[1:]:
        whole = math.multiply(whole, cast(count, real))
    factor = whole if norm == "forward" else whole**0.5
    factor = cast(factor if inverse else 1 / factor, x.dtype)
    return math.multiply(x, factor)


def _checked_norm(norm: str | None) -> None:
    if norm not in _NORMS:
        raise ValueError(f'Invalid norm value {norm!r}; should be "backward", "ortho" or "forward"')


def _size(x: Any, axis: int, length: Any) -> Any:
    return array.shape(x)[axis] if length is None else length


def _prepared(
    what: str, x: Any, dtypes: Any, fft_length: Any, axes: Any, norm: str | None
) -> tuple[Any, list[Any], list[Any], list[Any]]:
    """The tensor, its axes, the lengths given for them and those that they have in the end."""
    _checked_norm(norm)
    x = convert_to_tensor(x, dtype_hint=dt.float32 if dtypes is _REAL else dt.complex64)
    if x.dtype not in dtypes:
        taken = "float32 or float64" if dtypes is _REAL else "complex64 or complex128"
        raise ValueError(f"{what} requires {taken} inputs, got {x.dtype.name}")
    places, lengths = _axes_and_lengths(x, fft_length, axes)
    if not places and what.startswith(("RFFT", "IRFFT")):
        raise ValueError(f"{what} needs at least one axis")
    return x, places, lengths, [_size(x, a, n) for a, n in zip(places, lengths)]


def _along_each(transform: Any, x: Any, places: list[Any], lengths: list[Any]) -> Any:
    for axis, length in zip(places, lengths):
        x = _along(x, axis, lambda y, n=length: transform(_cut(y, n)))
    return x


def _over_axes(
    what: str, x: Any, fft_length: Any, axes: Any, norm: str | None, inverse: bool
) -> Any:
    x, places, lengths, counts = _prepared(what, x, _COMPLEX, fft_length, axes, norm)
    x = _along_each(ifft if inverse else fft, x, places, lengths)
    return _scaled(x, norm, counts, inverse)


def fftnd(
    input_tensor: Any, fft_length: Any = None, axes: Any = None, norm: str | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The Fourier transform over chosen axes of complex numbers.

    Args:
      input_tensor: complex64 or complex128, of known rank.
      fft_length: sizes that the axes are cut, or filled with zeros, to; default theirs.
      axes: default all.
      norm: "backward" (default: the inverse divides by the number of values), "ortho" (both by
        its root) or "forward".

    Raises:
      ValueError: another dtype or norm, or axes and lengths that do not fit.
    """
    return _named(_over_axes("FFTND", input_tensor, fft_length, axes, norm, False), name)


def ifftnd(
    input_tensor: Any, fft_length: Any = None, axes: Any = None, norm: str | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The inverse of `fftnd`, with the same arguments."""
    return _named(_over_axes("IFFTND", input_tensor, fft_length, axes, norm, True), name)


def rfftnd(
    input_tensor: Any, fft_length: Any = None, axes: Any = None, norm: str | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The Fourier transform over chosen axes of real numbers: its first half along the last axis.

    Args:
      input_tensor: float32 or float64, of known rank.
      fft_length, axes, norm: as for `fftnd`; the last axis becomes n // 2 + 1 long.
    """
    x, places, lengths, counts = _prepared("RFFTND", input_tensor, _REAL, fft_length, axes, norm)
    last = None if lengths[-1] is None else array.reshape(lengths[-1], [1])
    x = _along(x, places[-1], lambda y: rfft(_cut(y, lengths[-1]), last))
    x = _along_each(fft, x, places[:-1], lengths[:-1])
    return _named(_scaled(x, norm, counts, False), name)


def irfftnd(
    input_tensor: Any, fft_length: Any = None, axes: Any = None, norm: str | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """The inverse of `rfftnd`: real numbers.

    Args:
      input_tensor: complex64 or complex128, of known rank.
      fft_length: sizes of the result along the axes; default those of the input, the last
        (size - 1) * 2.
      axes, norm: as for `fftnd`.
    """
    x, places, lengths, counts = _prepared(
        "IRFFTND", input_tensor, _COMPLEX, fft_length, axes, norm
    )
    if lengths[-1] is None:
        counts[-1] = 2 * (counts[-1] - 1)
    x = _along_each(ifft, x, places[:-1], lengths[:-1])
    last = None if lengths[-1] is None else array.reshape(lengths[-1], [1])
    x = _along(x, places[-1], lambda y: irfft(y, last))
    return _named(_scaled(x, norm, counts, True), name)


def _named(x: Any, name: str | None) -> Any:
    return x if name is None else array.identity(x, name=name)

"""Floats as integers of few bits, and back: `tf.quantization.quantize` and `dequantize`."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.joining import concat, stack
from shardtape.ops.reduce import reduce_max, reduce_min
from shardtape.ops.registry import Arg, op, same_as
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

_FLOAT = frozenset((dt.float32,))
_MODES = ("MIN_COMBINED", "MIN_FIRST", "SCALED")
_ROUNDING = ("HALF_AWAY_FROM_ZERO", "HALF_TO_EVEN")

QuantizeV2 = namedtuple("QuantizeV2", ["output", "output_min", "output_max"])
QuantizedConcat = namedtuple("QuantizedConcat", ["output", "output_min", "output_max"])


def _ends(kind: dt.DType) -> tuple[int, int]:
    found = np.iinfo(kind.numpy_dtype[0])
    return int(found.min), int(found.max)


def _along(xp: Any, value: Any, rank: int, axis: int) -> Any:
    if axis == -1:
        return value
    sizes = [1] * rank
    sizes[axis] = -1
    return xp.reshape(value, sizes)


def _away(xp: Any, x: Any) -> Any:
    """Rounded, halves away from zero."""
    return xp.where(x < 0, xp.ceil(x - 0.5), xp.floor(x + 0.5))


def _scaled_ends(kind: dt.DType, narrow: bool) -> tuple[int, int]:
    least, most = _ends(kind)
    return least + int(narrow), most


def _scale_of(xp: Any, low: Any, high: Any, least: int, most: int) -> Any:
    big = np.finfo(np.float32).max
    down = xp.where(least * low > 0, least / xp.where(low == 0, 1, low), big)
    up = xp.where(most * high > 0, most / xp.where(high == 0, 1, high), big)
    return xp.minimum(down, up)


def _range_shapes(input: Arg, low: Arg, high: Arg, **attrs: Any) -> list[TensorShape]:
    ends = TensorShape([]) if attrs["axis"] == -1 else low.shape
    return [input.shape, ends, ends]


@op("QuantizeV2", dtypes=_FLOAT, outputs=3, shape=_range_shapes, differentiable=False,
    widen=False, dtype=lambda dtypes, attrs: (attrs["T"], dt.float32, dt.float32))  # fmt: skip
def quantize_op(
    xp, input, min_range, max_range, *, T, mode="MIN_COMBINED", round_mode="HALF_AWAY_FROM_ZERO",
    narrow_range=False, axis=-1, ensure_minimum_range=0.01,
):  # fmt: skip
    """input as integers, and the range that they stand for; see `quantize`."""
    low = xp.minimum(np.float32(0), min_range)
    span = xp.maximum(1, xp.maximum(xp.abs(min_range), xp.abs(max_range)))
    high = xp.maximum(max_range, low + span * np.float32(ensure_minimum_range))
    high = xp.maximum(np.float32(0), high)
    x, rank = input, input.ndim
    least, most = _ends(T)
    if mode == "SCALED":
        least, most = _scaled_ends(T, narrow_range)
        scale = _scale_of(xp, low, high, least, most)
        low, high = least / scale, most / scale
        wide = _along(xp, scale, rank, axis)
        kept = xp.clip(x, _along(xp, low, rank, axis), _along(xp, high, rank, axis)) * wide
        made = xp.rint(kept) if round_mode == "HALF_TO_EVEN" else _away(xp, kept)
    else:
        a, b = (_along(xp, v, rank, axis) for v in (low, high))
        scale = (most - least) / (b - a)
        if mode == "MIN_FIRST":
            made = _away(xp, x * scale) - _away(xp, a * scale) + least
        else:
            half = (most - least + 1) // 2 if least else 0
            made = _away(xp, (xp.clip(x, a, b) - a) * scale - half)
    whole = xp.clip(made, least, most).astype(T.numpy_dtype[0])
    return (xp.ascontiguousarray(whole).view(T.numpy_dtype), low.astype(np.float32),
            high.astype(np.float32))  # fmt: skip


@op("Dequantize", dtypes=dt.QUANTIZED_DTYPES | _FLOAT, mixed=True, dtype="dtype",
    shape=same_as(0), differentiable=False, widen=False)  # fmt: skip
def dequantize_op(
    xp, input, min_range, max_range, *, mode="MIN_COMBINED", narrow_range=False, axis=-1,
    dtype=dt.float32,
):  # fmt: skip
    """The floats that integers of a range stand for; see `dequantize`."""
    kind = dt.from_numpy(input.dtype)
    values = input.view(input.dtype[0]).astype(np.float64)
    low, high = (_along(xp, v.astype(np.float64), input.ndim, axis) for v in (min_range, max_range))
    least, most = _ends(kind)
    if mode == "SCALED":
        least, most = _scaled_ends(kind, narrow_range)
        scale = high / most if not least else xp.maximum(low / least, high / most)
        made = values * scale
    elif mode == "MIN_FIRST":
        step = (high - low) / (most - least)
        made = _away(xp, low / step) * step + (values - least) * step
    else:
        made = (values - least) * (high - low) / (most - least) + low
    return made.astype(dtype.numpy_dtype)


# ---- public functions -------------------------------------------------------------------------
def _checked(mode: str, round_mode: str, axis: Any, x: Tensor) -> int:
    if mode not in _MODES:
        raise errors.InvalidArgumentError(f"mode must be one of {_MODES}, got {mode!r}")
    if round_mode not in _ROUNDING:
        raise errors.InvalidArgumentError(f"round_mode must be one of {_ROUNDING}, got "
                                          f"{round_mode!r}")  # fmt: skip
    if round_mode == "HALF_TO_EVEN" and mode != "SCALED":
        raise errors.InvalidArgumentError(
            f"Round mode 'HALF_TO_EVEN' only supported for mode 'SCALED', but mode is '{mode}'."
        )
    if axis is None:
        return -1
    if axis < 0:
        if x.shape.rank is None:
            raise ValueError("input should have known rank to use negative axis.")
        axis %= x.shape.rank
    return int(axis)


def quantize(
    input: Any, min_range: Any, max_range: Any, T: Any, mode: str = "MIN_COMBINED",
    round_mode: str = "HALF_AWAY_FROM_ZERO", name: str | None = None, narrow_range: bool = False,
    axis: int | None = None, ensure_minimum_range: float = 0.01,
) -> QuantizeV2:  # fmt: skip
    """Floats as integers that stand for the values of a range.

    Args:
      input: float32.
      min_range, max_range: the range; it is made to hold zero, and to have some width.
      T: tf.qint8, quint8, qint16, quint16 or qint32.
      mode: "MIN_COMBINED" and "MIN_FIRST" lay the range over all integers; "SCALED" multiplies, so
        that zero is 0.
      round_mode: of halves, "HALF_AWAY_FROM_ZERO" or (with "SCALED") "HALF_TO_EVEN".
      narrow_range: leave out the smallest integer ("SCALED").
      axis: along which there is a range for each place.

    Returns:
      output, and the range that its integers stand for: output_min, output_max.

    Raises InvalidArgumentError for another mode, rounding or type.
    """
    x = convert_to_tensor(input, dt.float32)
    kind = dt.as_dtype(T)
    if not kind.is_quantized:
        raise errors.InvalidArgumentError(
            f"T must be one of {sorted(t.name for t in dt.QUANTIZED_DTYPES)}, got {kind.name}"
        )
    low, high = (convert_to_tensor(v, dt.float32) for v in (min_range, max_range))
    return QuantizeV2(*quantize_op(
        x, low, high, T=kind, mode=mode, round_mode=round_mode, narrow_range=bool(narrow_range),
        axis=_checked(mode, round_mode, axis, x),
        ensure_minimum_range=float(ensure_minimum_range), name=name,
    ))  # fmt: skip


def dequantize(
    input: Any, min_range: Any, max_range: Any, mode: str = "MIN_COMBINED",
    name: str | None = None, axis: int | None = None, narrow_range: bool = False,
    dtype: Any = dt.float32,
) -> Tensor:  # fmt: skip
    """The floats that the integers of `quantize` stand for; arguments as there."""
    x = convert_to_tensor(input)
    if not x.dtype.is_quantized:
        raise errors.InvalidArgumentError(
            f"input must be quantized, got {x.dtype.name}: use tf.cast(input, tf.quint8)"
        )
    low, high = (convert_to_tensor(v, dt.float32) for v in (min_range, max_range))
    return dequantize_op(
        x, low, high, mode=mode, narrow_range=bool(narrow_range), dtype=dt.as_dtype(dtype),
        axis=_checked(mode, "HALF_AWAY_FROM_ZERO", axis, x), name=name,
    )  # fmt: skip


def quantized_concat(
    concat_dim: Any, values: Sequence[Any], input_mins: Sequence[Any], input_maxes: Sequence[Any],
    name: str | None = None,
) -> QuantizedConcat:  # fmt: skip
    """Quantized tensors one after the other, in one range that holds all of theirs.

    Args:
      concat_dim: the axis. values: of one type.
      input_mins, input_maxes: the ranges that they stand for.
    """
    members = [convert_to_tensor(v) for v in values]
    low = reduce_min(stack([convert_to_tensor(v, dt.float32) for v in input_mins]))
    high = reduce_max(stack([convert_to_tensor(v, dt.float32) for v in input_maxes]))
    floats = [dequantize(v, a, b) for v, a, b in zip(members, input_mins, input_maxes)]
    made = quantize(concat(floats, concat_dim), low, high, members[0].dtype, name=name)
    return QuantizedConcat(*made)


__all__ = ["QuantizeV2", "QuantizedConcat", "dequantize", "quantize", "quantized_concat"]

"""Floats rounded to multiples of a scale that keeps zero exact: `quantize_and_dequantize_v2`."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op, same_as
from shardtape.tensor import Tensor

_TYPES = frozenset((dt.float32, dt.float64))
_ROUNDING = ("HALF_TO_EVEN", "HALF_UP")
_SIGNED_BITS, _UNSIGNED_BITS = 62, 63  # the most that TensorFlow takes


def _check(attrs: Any) -> None:
    most = _SIGNED_BITS + 1 if attrs["signed_input"] else _UNSIGNED_BITS
    if not 1 <= attrs["num_bits"] <= most:
        raise ValueError(f"num_bits is out of range: {attrs['num_bits']} with signed_input "
                         f"{attrs['signed_input']}")  # fmt: skip
    if attrs["round_mode"] not in _ROUNDING:
        raise ValueError(f"Round mode must be one of {_ROUNDING}, got {attrs['round_mode']!r}")


def _limits(signed: bool, num_bits: int, narrow: bool) -> tuple[int, int]:
    """The least and the greatest integer."""
    if not signed:
        return 0, 2**num_bits - 1
    return -(2 ** (num_bits - 1)) + int(narrow), 2 ** (num_bits - 1) - 1


def _rounded(xp: Any, x: Any, low: Any, high: Any, attrs: dict[str, Any]) -> Any:
    _check(attrs)
    axis = attrs["axis"]
    if not -1 <= axis < x.ndim:
        raise ValueError(f"Axis should be -1 or 0..{x.ndim - 1}, got {axis}")
    others = tuple(i for i in range(x.ndim) if i != axis) if axis != -1 else None
    shape = () if axis == -1 else (x.shape[axis],)
    if attrs["range_given"]:
        if low.shape != shape or high.shape != shape:
            raise ValueError(f"input_min and input_max must have the shape {shape}, got "
                             f"{low.shape} and {high.shape}")  # fmt: skip
        if bool(backend.to_host(xp.any(low > high))):
            raise ValueError(f"Invalid range: input_min {low} > input_max {high}")
    elif x.size:
        low, high = xp.min(x, axis=others), xp.max(x, axis=others)
    else:
        return x
    least, most = _limits(attrs["signed_input"], attrs["num_bits"], attrs["narrow_range"])
    kind = x.dtype.type
    least, most = kind(least), kind(most)
    big = kind(np.finfo(np.float32).max)
    down = xp.where(least * low > 0, least / low, big)
    up = xp.where(most * high > 0, most / high, big)
    by_low = down < up
    scale = xp.where(by_low, down, up)
    step = xp.where(by_low, low / least, high / most)
    low, high = xp.where(by_low, low, least * step), xp.where(by_low, most * step, high)
    if axis != -1:
        along = [1] * x.ndim
        along[axis] = x.shape[axis]
        low, high, scale, step = (xp.reshape(v, along) for v in (low, high, scale, step))
    if attrs["range_given"]:
        x = xp.maximum(xp.minimum(x, high), low)
    scaled = x * scale
    even = attrs["round_mode"] == "HALF_TO_EVEN"
    return ((xp.rint(scaled) if even else xp.floor(scaled + kind(0.5))) * step).astype(kind)


def _samples(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(3, 4))
    low, high = np.array([-1.0, -0.5, -2.0]), np.array([1.5, 1.0, 0.5])
    return [
        ((x, np.array(-1.0), np.array(1.5)), {"range_given": True}),
        ((x, np.array(-1.0), np.array(1.5)), {"range_given": True, "signed_input": False}),
        ((x, np.array(-1.0), np.array(1.5)), {"range_given": False, "num_bits": 4}),
        ((x, low, high), {"range_given": True, "axis": 0, "narrow_range": True, "num_bits": 3,
                          "round_mode": "HALF_UP"}),
    ]  # fmt: skip


@op("QuantizeAndDequantizeV2", dtypes=_TYPES, shape=same_as(0), samples=_samples, widen=False)
def quantize_and_dequantize_op(
    xp, input, input_min, input_max, *, signed_input=True, num_bits=8, range_given=False,
    round_mode="HALF_TO_EVEN", narrow_range=False, axis=-1,
):  # fmt: skip
    """input rounded to multiples of one step; its gradient is that of the identity."""
    attrs = {"signed_input": signed_input, "num_bits": num_bits, "range_given": range_given,
             "round_mode": round_mode, "narrow_range": narrow_range, "axis": axis}  # fmt: skip
    return _rounded(xp, input, input_min, input_max, attrs)


@quantize_and_dequantize_op.gradient
def _(g, _y, _input, _low, _high):
    return g, None, None


def _learning_samples(rng: np.random.Generator) -> Any:
    given = _samples(rng)
    given[2] = (given[2][0], given[2][1] | {"range_given": True})
    return given


@op("QuantizeAndDequantizeV4", dtypes=_TYPES, shape=same_as(0), samples=_learning_samples,
    widen=False)  # fmt: skip
def quantize_and_dequantize_v4_op(
    xp, input, input_min, input_max, *, signed_input=True, num_bits=8, range_given=False,
    round_mode="HALF_TO_EVEN", narrow_range=False, axis=-1,
):  # fmt: skip
    """As `quantize_and_dequantize_op`; gradients pass where the input lies in the range."""
    attrs = {"signed_input": signed_input, "num_bits": num_bits, "range_given": range_given,
             "round_mode": round_mode, "narrow_range": narrow_range, "axis": axis}  # fmt: skip
    return _rounded(xp, input, input_min, input_max, attrs)


@quantize_and_dequantize_v4_op.gradient
def _(g, _y, input, low, high, *, axis):
    return quantize_and_dequantize_v4_grad_op(g, input, low, high, axis=axis)


def _gradient_shapes(gradients: Arg, input: Arg, low: Arg, high: Arg, **attrs: Any) -> Any:
    return [input.shape, low.shape, high.shape]


@op("QuantizeAndDequantizeV4Grad", dtypes=_TYPES, shape=_gradient_shapes, outputs=3,
    dtype=lambda dtypes, attrs: (dtypes[0],) * 3, differentiable=False, widen=False,
    samples=lambda rng: [((rng.normal(size=(3, 4)), *i), {"axis": a.get("axis", -1)})
                         for i, a in _samples(rng)])  # fmt: skip
def quantize_and_dequantize_v4_grad_op(xp, gradients, input, input_min, input_max, *, axis=-1):
    """The gradients where the input lies in the range, 0 elsewhere and for its ends."""
    low, high = input_min, input_max
    if axis != -1:
        along = [1] * input.ndim
        along[axis] = input.shape[axis]
        low, high = xp.reshape(low, along), xp.reshape(high, along)
    inside = (input >= low) & (input <= high)
    zero = input.dtype.type(0)
    return (xp.where(inside, gradients, zero), xp.zeros_like(input_min),
            xp.zeros_like(input_max))  # fmt: skip


# ---- public functions -------------------------------------------------------------------------
def quantize_and_dequantize_v2(
    input: Any, input_min: Any, input_max: Any, signed_input: bool = True, num_bits: int = 8,
    range_given: bool = False, round_mode: str = "HALF_TO_EVEN", name: str | None = None,
    narrow_range: bool = False, axis: int | None = None,
) -> Tensor:  # fmt: skip
    """Floats rounded to what an integer of `num_bits` bits can say, zero exactly.

    Gradients pass where the input lies from `input_min` to `input_max`.

    Args:
      input: floats.
      input_min, input_max: the range if `range_given`, else that of the input is taken.
      signed_input: integers of both signs.
      round_mode: "HALF_TO_EVEN" or "HALF_UP".
      narrow_range: leave out the smallest integer, so that signed ones are symmetric.
      axis: along which there is a range for each place.

    Raises:
      InvalidArgumentError: another number of bits, way of rounding, axis or range.
    """
    return _applied(quantize_and_dequantize_v4_op, input, input_min, input_max, signed_input,
                    num_bits, range_given, round_mode, name, narrow_range, axis)  # fmt: skip


def quantize_and_dequantize(
    input: Any, input_min: Any, input_max: Any, signed_input: bool = True, num_bits: int = 8,
    range_given: bool = False, round_mode: str = "HALF_TO_EVEN", name: str | None = None,
    narrow_range: bool = False, axis: int | None = None,
) -> Tensor:  # fmt: skip
    """As `quantize_and_dequantize_v2`; gradients pass everywhere."""
    return _applied(quantize_and_dequantize_op, input, input_min, input_max, signed_input,
                    num_bits, range_given, round_mode, name, narrow_range, axis)  # fmt: skip


def _applied(
    operation: Any, input: Any, low: Any, high: Any, signed: bool, num_bits: int, given: bool,
    round_mode: str, name: str | None, narrow: bool, axis: int | None,
) -> Tensor:  # fmt: skip
    x = convert_to_tensor(input, dtype_hint=dt.float32)
    if axis is not None and axis < 0:
        if x.shape.rank is None:
            raise ValueError("input should have known rank to use negative axis.")
        axis %= x.shape.rank
    return operation(
        x, convert_to_tensor(low, x.dtype), convert_to_tensor(high, x.dtype),
        signed_input=bool(signed), num_bits=int(num_bits), range_given=bool(given),
        round_mode=round_mode, narrow_range=bool(narrow), axis=-1 if axis is None else int(axis),
        name=name,
    )  # fmt: skip

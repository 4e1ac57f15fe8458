"""Training for few bits: values rounded to what an integer of n bits can say, as floats.

The range is moved a little so that zero is one of the values (Jacob and others, Quantization and
Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018, section 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op, same_as
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

_FLOAT = frozenset((dt.float32,))
_ARGS = {"min": -6.0, "max": 6.0, "num_bits": 8, "narrow_range": False}
_LEAST_BITS, _MOST_BITS = 2, 16


def _checked(num_bits: int) -> None:
    if not _LEAST_BITS <= num_bits <= _MOST_BITS:
        raise ValueError(f"num_bits must be between {_LEAST_BITS} and {_MOST_BITS}, got {num_bits}")


def nudged(xp: Any, low: Any, high: Any, num_bits: int, narrow_range: bool) -> tuple[Any, ...]:
    """(low, high, step) of the range whose values have zero among them, float32."""
    first, last = np.float32(1 if narrow_range else 0), np.float32(2**num_bits - 1)
    low, high = xp.asarray(low, np.float32), xp.asarray(high, np.float32)
    step = (high - low) / (last - first)
    zero = xp.clip(xp.floor(first - low / step + np.float32(0.5)), first, last)
    return (first - zero) * step, (last - zero) * step, step


def _rounded(xp: Any, x: Any, low: Any, high: Any, num_bits: int, narrow_range: bool) -> Any:
    _checked(num_bits)
    low, high = xp.asarray(low, np.float32), xp.asarray(high, np.float32)
    below, above, step = nudged(xp, low, high, num_bits, narrow_range)
    inverse = np.float32(1) / step
    half = np.float32(0.5)
    zero = xp.floor(-below * inverse + half)
    shifted = xp.maximum(xp.minimum(x, above), below) - below
    made = xp.floor(shifted * inverse - zero + half) * step
    empty = (low == 0) & (high == 0)  # a range that nothing has been seen of
    return xp.where(empty, np.float32(0), made).astype(np.float32)


def _inside(xp: Any, x: Any, low: Any, high: Any, num_bits: int, narrow: bool) -> tuple[Any, ...]:
    """Masks of the values within, below and above the moved range."""
    _checked(num_bits)
    below, above, _ = nudged(xp, low, high, num_bits, narrow)
    empty = (xp.asarray(low) == 0) & (xp.asarray(high) == 0)
    return (x >= below) & (x <= above) | empty, (x < below) & ~empty, (x > above) & ~empty


def _values(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.normal(size=shape) * 4


_SAMPLED: tuple[dict[str, Any], ...] = (
    {},
    {"min": -1.0, "max": 3.0, "num_bits": 4},
    {"min": 0.5, "max": 3.0, "narrow_range": True},
)


@op("FakeQuantWithMinMaxArgs", dtypes=_FLOAT, shape=same_as(0),
    samples=lambda rng: [((_values(rng, 3, 4),), a) for a in _SAMPLED])  # fmt: skip
def fake_quant_args_op(xp, inputs, *, min=-6.0, max=6.0, num_bits=8, narrow_range=False):
    """inputs rounded to the values that `num_bits` bits tell apart from `min` to `max`."""
    if not min < max:
        raise ValueError(f"min has to be smaller than max, got {min} and {max}")
    return _rounded(xp, inputs, min, max, num_bits, narrow_range)


@fake_quant_args_op.gradient
def _(g, _y, inputs, *, min, max, num_bits, narrow_range):
    return fake_quant_args_gradient_op(
        g, inputs, min=min, max=max, num_bits=num_bits, narrow_range=narrow_range
    )


@op("FakeQuantWithMinMaxArgsGradient", dtypes=_FLOAT, shape=same_as(0), differentiable=False,
    samples=lambda rng: [((_values(rng, 3, 4), _values(rng, 3, 4)), a)
                         for a in _SAMPLED])  # fmt: skip
def fake_quant_args_gradient_op(
    xp, gradients, inputs, *, min=-6.0, max=6.0, num_bits=8, narrow_range=False
):
    """The gradients of inputs that lie in the range, 0 for the others."""
    within, _, _ = _inside(xp, inputs, np.float32(min), np.float32(max), num_bits, narrow_range)
    return xp.where(within, gradients, np.float32(0))


def _range_samples(rng: np.random.Generator, size: tuple[int, ...]) -> Any:
    made = []
    for attrs in ({}, {"num_bits": 3, "narrow_range": True}):
        low = -1 - rng.random(size)
        made.append(((_values(rng, 3, 4), low, low + 2 + rng.random(size)), attrs))
    return made


def _gradient_shapes(gradients: Arg, inputs: Arg, low: Arg, high: Arg, **attrs: Any) -> Any:
    return [inputs.shape, low.shape, high.shape]


_RANGES = {"dtypes": _FLOAT, "differentiable": False, "outputs": 3,
           "dtype": lambda dtypes, attrs: (dt.float32,) * 3}  # fmt: skip


@op("FakeQuantWithMinMaxVars", dtypes=_FLOAT, shape=same_as(0),
    samples=lambda rng: _range_samples(rng, ()))  # fmt: skip
def fake_quant_vars_op(xp, inputs, min, max, *, num_bits=8, narrow_range=False):
    """As `fake_quant_args_op`, with a range of tensors, which learn where values lie outside."""
    return _rounded(xp, inputs, min, max, num_bits, narrow_range)


@fake_quant_vars_op.gradient
def _(g, _y, inputs, min, max, *, num_bits, narrow_range):
    return fake_quant_vars_gradient_op(
        g, inputs, min, max, num_bits=num_bits, narrow_range=narrow_range
    )


@op("FakeQuantWithMinMaxVarsGradient", shape=_gradient_shapes, **_RANGES,
    samples=lambda rng: [((_values(rng, 3, 4), *i), a)
                         for i, a in _range_samples(rng, ())])  # fmt: skip
def fake_quant_vars_gradient_op(xp, gradients, inputs, min, max, *, num_bits=8, narrow_range=False):
    """Gradients of the inputs, and of the ends of the range: sums of what lies outside."""
    within, below, above = _inside(xp, inputs, min, max, num_bits, narrow_range)
    return (xp.where(within, gradients, np.float32(0)),
            xp.sum(xp.where(below, gradients, np.float32(0))),
            xp.sum(xp.where(above, gradients, np.float32(0))))  # fmt: skip


def _channels(inputs: Arg, min: Arg, max: Arg, **attrs: Any) -> TensorShape:
    for called, arg in (("min", min), ("max", max)):
        if not arg.shape.is_compatible_with([inputs.shape[-1] if inputs.shape.rank else None]):
            raise ValueError(f"{called} must have one value for each channel of {inputs.shape}, "
                             f"got {arg.shape}")  # fmt: skip
    return inputs.shape


def _check_channels(inputs: Any, low: Any, high: Any) -> None:
    if low.shape != inputs.shape[-1:] or high.shape != inputs.shape[-1:]:
        raise ValueError(f"min and max must have one value for each channel of {inputs.shape}, got "
                         f"{low.shape} and {high.shape}")  # fmt: skip


@op("FakeQuantWithMinMaxVarsPerChannel", dtypes=_FLOAT, shape=_channels,
    samples=lambda rng: _range_samples(rng, (4,)))  # fmt: skip
def fake_quant_channels_op(xp, inputs, min, max, *, num_bits=8, narrow_range=False):
    """As `fake_quant_vars_op`, with a range for each channel, the last axis."""
    _check_channels(inputs, min, max)
    return _rounded(xp, inputs, min, max, num_bits, narrow_range)


@fake_quant_channels_op.gradient
def _(g, _y, inputs, min, max, *, num_bits, narrow_range):
    return fake_quant_channels_gradient_op(
        g, inputs, min, max, num_bits=num_bits, narrow_range=narrow_range
    )


@op("FakeQuantWithMinMaxVarsPerChannelGradient", shape=_gradient_shapes, **_RANGES,
    samples=lambda rng: [((_values(rng, 3, 4), *i), a)
                         for i, a in _range_samples(rng, (4,))])  # fmt: skip
def fake_quant_channels_gradient_op(
    xp, gradients, inputs, min, max, *, num_bits=8, narrow_range=False
):
    """As `fake_quant_vars_gradient_op`, for each channel."""
    _check_channels(inputs, min, max)
    within, below, above = _inside(xp, inputs, min, max, num_bits, narrow_range)
    axes = tuple(range(inputs.ndim - 1))
    return (xp.where(within, gradients, np.float32(0)),
            xp.sum(xp.where(below, gradients, np.float32(0)), axis=axes),
            xp.sum(xp.where(above, gradients, np.float32(0)), axis=axes))  # fmt: skip


# ---- public functions -------------------------------------------------------------------------
def _float(value: Any) -> Tensor:
    return convert_to_tensor(value, dt.float32)


def fake_quant_with_min_max_args(
    inputs: Any, min: float = -6, max: float = 6, num_bits: int = 8, narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Floats rounded to what an integer of `num_bits` bits can say from `min` to `max`.

    Gradients pass where the inputs lie in the range.

    Args:
      inputs: float32.
      num_bits: 2 to 16.
      narrow_range: leave out the smallest integer, so that signed ones are symmetric.

    Raises:
      InvalidArgumentError: min >= max, or another number of bits.
    """
    return fake_quant_args_op(
        _float(inputs), min=float(min), max=float(max), num_bits=int(num_bits),
        narrow_range=bool(narrow_range), name=name,
    )  # fmt: skip


def fake_quant_with_min_max_args_gradient(
    gradients: Any, inputs: Any, min: float = -6, max: float = 6, num_bits: int = 8,
    narrow_range: bool = False, name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of `fake_quant_with_min_max_args`."""
    return fake_quant_args_gradient_op(
        _float(gradients), _float(inputs), min=float(min), max=float(max), num_bits=int(num_bits),
        narrow_range=bool(narrow_range), name=name,
    )  # fmt: skip


def fake_quant_with_min_max_vars(
    inputs: Any, min: Any, max: Any, num_bits: int = 8, narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """As `fake_quant_with_min_max_args`, with a range that may be learned (scalars)."""
    return fake_quant_vars_op(
        _float(inputs), _float(min), _float(max), num_bits=int(num_bits),
        narrow_range=bool(narrow_range), name=name,
    )  # fmt: skip


def fake_quant_with_min_max_vars_gradient(
    gradients: Any, inputs: Any, min: Any, max: Any, num_bits: int = 8,
    narrow_range: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The gradients of `fake_quant_with_min_max_vars`: of inputs, min and max."""
    return fake_quant_vars_gradient_op(
        _float(gradients), _float(inputs), _float(min), _float(max), num_bits=int(num_bits),
        narrow_range=bool(narrow_range), name=name,
    )  # fmt: skip


def fake_quant_with_min_max_vars_per_channel(
    inputs: Any, min: Any, max: Any, num_bits: int = 8, narrow_range: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """As `fake_quant_with_min_max_vars`, with a range for each channel (the last axis)."""
    return fake_quant_channels_op(
        _float(inputs), _float(min), _float(max), num_bits=int(num_bits),
        narrow_range=bool(narrow_range), name=name,
    )  # fmt: skip


def fake_quant_with_min_max_vars_per_channel_gradient(
    gradients: Any, inputs: Any, min: Any, max: Any, num_bits: int = 8,
    narrow_range: bool = False, name: str | None = None,
) -> Any:  # fmt: skip
    """The gradients of `fake_quant_with_min_max_vars_per_channel`: of inputs, min and max."""
    return fake_quant_channels_gradient_op(
        _float(gradients), _float(inputs), _float(min), _float(max), num_bits=int(num_bits),
        narrow_range=bool(narrow_range), name=name,
    )  # fmt: skip

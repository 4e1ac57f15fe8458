"""BiasAdd and its gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import samples
from shardtape.ops.array import broadcast_to, reshape, shape
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.kernel_errors import shown
from shardtape.ops.registry import Arg, op
from shardtape.ops.windows import is_channels_first
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

_SHORT = 128  # below this many channels a loop over rows costs more than its additions
_REPEATS = 256


def _repeats(x: Any, channels: int) -> int:
    """How many rows of few channels are worked off as one long row; 1: as they are."""
    if channels >= _SHORT or not x.size or not x.flags.c_contiguous:
        return 1
    return math.gcd(x.size // channels, max(1, _REPEATS // channels) * 8)


def _bias_shape(value: Arg, bias: Arg, *, data_format: str = "NHWC") -> TensorShape:
    first = is_channels_first(data_format)
    x = value.shape.with_rank_at_least(3 if first else 2)
    size = bias.shape.with_rank(1)
    if x.rank is None:
        return x
    TensorShape([x[1 if first else -1]]).merge_with(size)
    dims = x.as_list()
    axis = 1 if first else len(dims) - 1
    dims[axis] = size[0] if dims[axis] is None else dims[axis]
    return TensorShape(dims)


def _check(value: Any, bias: Any, axis: int) -> None:
    if value.ndim < 2 or bias.ndim != 1 or bias.shape[0] != value.shape[axis]:
        raise ValueError(
            "Must provide as many biases as the last dimension of the input tensor: "
            f"{shown(bias.shape)} vs. {shown(value.shape)}"
        )


def _add(xp: Any, value: Any, bias: Any, data_format: str, out: Any) -> Any:
    if is_channels_first(data_format):
        _check(value, bias, 1)
        return xp.add(value, bias.reshape(-1, *[1] * (value.ndim - 2)), out=out)
    _check(value, bias, -1)
    channels = bias.shape[0]
    repeats = _repeats(value, channels) if xp is np and out.flags.c_contiguous else 1
    if repeats == 1:
        return xp.add(value, bias, out=out)
    wide = (-1, repeats * channels)
    np.add(value.reshape(wide), np.tile(bias, repeats), out=out.reshape(wide))
    return out


@op("BiasAdd", dtypes=dt.NUMERIC, shape=_bias_shape,
    samples=samples.normal([(2, 3), (3,)], [(4, 2, 3), (3,)]),
    reference=lambda value, bias: value + bias)  # fmt: skip
def bias_add_op(xp, value, bias, *, data_format="NHWC"):
    """value (..., c) + bias (c,); with channels first value is (n, c, ...)."""
    return _add(xp, value, bias, data_format, xp.empty(value.shape, value.dtype))


@bias_add_op.writes_into(0)
def _(xp, out, value, bias, *, data_format="NHWC"):
    _add(xp, value, bias, data_format, out)


@bias_add_op.gradient
def _(g, _y, _value, _bias, *, data_format):
    return g, lambda: bias_add_grad(g, data_format=data_format)


def _bias_grad_shape(out_backprop: Arg, *, data_format: str = "NHWC") -> TensorShape:
    x = out_backprop.shape
    if x.rank is None:
        return TensorShape([None])
    return TensorShape([x[1 if is_channels_first(data_format) else -1]])


@op("BiasAddGrad", dtypes=dt.NUMERIC, shape=_bias_grad_shape,
    samples=samples.normal((2, 3), (4, 2, 3)),
    reference=lambda g: g.reshape(-1, g.shape[-1]).sum(0))  # fmt: skip
def bias_add_grad(xp, out_backprop, *, data_format="NHWC"):
    """Sum over all axes but the channels'."""
    return _sum(xp, out_backprop, data_format, None)


def _sum(xp: Any, g: Any, data_format: str, out: Any) -> Any:
    if is_channels_first(data_format):
        return xp.add.reduce(g, (0, *range(2, g.ndim)), out=out)
    channels = g.shape[-1]
    repeats = _repeats(g, channels) if xp is np else 1
    rows = g.reshape(g.size // channels if channels else 0, channels)
    if repeats > 1:
        rows = np.add.reduce(rows.reshape(-1, repeats * channels), 0).reshape(repeats, channels)
    return xp.add.reduce(rows, 0, out=out)


@bias_add_grad.writes_into()
def _(xp, out, out_backprop, *, data_format="NHWC"):
    _sum(xp, out_backprop, data_format, out)


@bias_add_grad.gradient
def _(g, _y, out_backprop, *, data_format):
    if is_channels_first(data_format):
        rank = out_backprop.shape.rank
        g = reshape(g, [-1] + [1] * (rank - 2))
    return broadcast_to(g, shape(out_backprop))


def bias_add(value: Any, bias: Any, data_format: str | None = None, name: Any = None) -> Tensor:
    """value (..., c) + bias (c,).

    Args:
      data_format: "N...C" (default) or "NC...": the position of the channels.

    Raises ValueError for another data format, or for biases that are not as many as channels.
    """
    layout = "NHWC"
    if data_format is not None:
        if data_format.startswith("NC"):
            layout = "NCHW"
        elif not (data_format.startswith("N") and data_format.endswith("C")):
            raise ValueError(
                "`data_format` must be of the form `N...C` or `NC...`. Received: "
                f"data_format={data_format}"
            )
    value = value if isinstance(value, Tensor) else convert_to_tensor(value)
    return bias_add_op(value, bias, data_format=layout, name=name or "BiasAdd")

"""Depthwise convolution and the two products of its gradients, as ops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import depthwise_arrays
from shardtape.ops.array import shape
from shardtape.ops.conv_arrays import (
    axes_of,
    channels_first,
    channels_last,
    conv_attrs,
    sizes_shape,
)
from shardtape.ops.registry import Arg, op
from shardtape.ops.windows import check_attributes, is_channels_first, output_shape
from shardtape.shapes import TensorShape

_ONES = (1, 1, 1, 1)


def _forward_shape(input: Arg, filter: Arg, **attrs: Any) -> TensorShape:
    layout = attrs["data_format"]
    check_attributes(
        "DepthwiseConv2dNative", attrs["strides"], attrs["padding"], layout, attrs["dilations"]
    )
    x, w = input.shape.with_rank(4), filter.shape.with_rank(4)
    channels = x[1 if is_channels_first(layout) else -1]
    if channels is not None and w[2] is not None and channels != w[2]:
        raise ValueError(f"input depth and filter depth differ: {channels} vs {w[2]}")
    channels = w[2] if channels is None else channels
    features = None if channels is None or w[3] is None else channels * w[3]
    return output_shape(
        x, features, w[:2].as_list(), attrs["strides"], attrs["dilations"], attrs["padding"],
        attrs["explicit_paddings"], layout,
    )  # fmt: skip


# ---- samples --------------------------------------------------------------------------------
_CASES: list[tuple[Any, Any, dict[str, Any]]] = [
    ((1, 4, 5, 2), (2, 3, 2, 2), {"strides": _ONES, "padding": "VALID"}),
    ((2, 4, 4, 3), (3, 2, 3, 1), {"strides": (1, 2, 2, 1), "padding": "SAME"}),
]


def _samples(form: str) -> Callable[..., Any]:
    def samples(rng: np.random.Generator) -> list[Any]:
        made = []
        for x, w, attrs in _CASES:
            y = _direct(np.zeros(x), np.zeros(w), **attrs).shape
            shapes = {"x": x, "w": w, "g": y}
            made.append((
                tuple(
                    np.array(shapes[c.lower()], np.int32) if c.isupper()
                    else rng.normal(size=shapes[c])
                    for c in form
                ),
                dict(attrs),
            ))  # fmt: skip
        return made

    return samples


def _places(x: Any, w: Any, attrs: dict[str, Any]) -> Any:
    """(output position, window member, input position) of every product."""
    full = {"data_format": "NHWC", "explicit_paddings": (), "dilations": _ONES, **attrs}
    axes = axes_of(x[1:3], w[:2], full)
    for o in np.ndindex(*[a.outputs for a in axes]):
        for k in np.ndindex(*[a.window for a in axes]):
            at = [p * a.stride + q * a.dilation - a.before for p, q, a in zip(o, k, axes)]
            if all(0 <= p < a.size for p, a in zip(at, axes)):
                yield (slice(None), *o), k, (slice(None), *at)


def _direct(x: Any, w: Any, **attrs: Any) -> np.ndarray:
    full = {"data_format": "NHWC", "explicit_paddings": (), "dilations": _ONES, **attrs}
    sizes = [a.outputs for a in axes_of(x.shape[1:3], w.shape[:2], full)]
    y = np.zeros((x.shape[0], *sizes, w.shape[2], w.shape[3]))
    for o, k, i in _places(x.shape, w.shape, attrs):
        y[o] += x[i][..., None] * w[k]
    return y.reshape(*y.shape[:3], -1)


def _direct_input(sizes: Any, w: Any, g: Any, **attrs: Any) -> np.ndarray:
    out = np.zeros(tuple(sizes))
    split = g.reshape(*g.shape[:3], w.shape[2], w.shape[3])
    for o, k, i in _places(tuple(sizes), w.shape, attrs):
        out[i] += (split[o] * w[k]).sum(-1)
    return out


def _direct_filter(x: Any, sizes: Any, g: Any, **attrs: Any) -> np.ndarray:
    out = np.zeros(tuple(sizes))
    split = g.reshape(*g.shape[:3], out.shape[2], out.shape[3])
    for o, k, i in _places(x.shape, out.shape, attrs):
        out[k] += (x[i][..., None] * split[o]).sum(0)
    return out


# ---- ops ------------------------------------------------------------------------------------
@op("DepthwiseConv2dNative", dtypes=dt.FLOATING, shape=_forward_shape, samples=_samples("xw"),
    reference=_direct, name="depthwise_conv2d")  # fmt: skip
def depthwise_conv2d_op(xp, input, filter, *, strides, padding, explicit_paddings=(),
                        data_format="NHWC", dilations=_ONES):  # fmt: skip
    """Each channel by filters of its own: (n, h, w, c), (kh, kw, c, m) to (n, oh, ow, c * m)."""
    first = is_channels_first(data_format)
    x = channels_last(xp, input) if first else input
    if x.shape[-1] != filter.shape[2]:
        raise ValueError(f"input depth and filter depth differ: {x.shape[-1]} vs {filter.shape[2]}")
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    y = depthwise_arrays.depthwise(xp, x, filter, axes_of(x.shape[1:3], filter.shape[:2], attrs))
    return channels_first(xp, y) if first else y


@depthwise_conv2d_op.gradient
def _(g, _y, input, filter, *, strides, padding, explicit_paddings, data_format, dilations):
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    return (
        lambda: depthwise_backprop_input(shape(input), filter, g, **attrs),
        lambda: depthwise_backprop_filter(input, shape(filter), g, **attrs),
    )


@op("DepthwiseConv2dNativeBackpropInput", dtypes=dt.FLOATING, host=("input_sizes",),
    shape=sizes_shape(0), samples=_samples("Xwg"), reference=_direct_input)  # fmt: skip
def depthwise_backprop_input(xp, input_sizes, filter, out_backprop, *, strides, padding,
                             explicit_paddings=(), data_format="NHWC",
                             dilations=_ONES):  # fmt: skip
    """Gradient of the input of shape `input_sizes` of a depthwise convolution."""
    first = is_channels_first(data_format)
    g = channels_last(xp, out_backprop) if first else out_backprop
    sizes = input_sizes.tolist()
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    axes = axes_of(sizes[2:] if first else sizes[1:3], filter.shape[:2], attrs)
    dx = depthwise_arrays.depthwise_input_gradient(xp, filter, g, axes)
    return channels_first(xp, dx) if first else dx


@depthwise_backprop_input.gradient
def _(g, _y, _sizes, filter, out_backprop, *, strides, padding, explicit_paddings, data_format,
      dilations):  # fmt: skip
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    return (
        lambda: depthwise_backprop_filter(g, shape(filter), out_backprop, **attrs),
        lambda: depthwise_conv2d_op(g, filter, **attrs),
    )


@op("DepthwiseConv2dNativeBackpropFilter", dtypes=dt.FLOATING, host=("filter_sizes",),
    shape=sizes_shape(1), samples=_samples("xWg"), reference=_direct_filter)  # fmt: skip
def depthwise_backprop_filter(xp, input, filter_sizes, out_backprop, *, strides, padding,
                              explicit_paddings=(), data_format="NHWC",
                              dilations=_ONES):  # fmt: skip
    """Gradient of the filter of shape `filter_sizes` of a depthwise convolution."""
    x, g = input, out_backprop
    if is_channels_first(data_format):
        x, g = channels_last(xp, x), channels_last(xp, g)
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    axes = axes_of(x.shape[1:3], filter_sizes.tolist()[:2], attrs)
    return depthwise_arrays.depthwise_filter_gradient(xp, x, g, axes)


@depthwise_backprop_filter.gradient
def _(g, _y, input, _sizes, out_backprop, *, strides, padding, explicit_paddings, data_format,
      dilations):  # fmt: skip
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    return (
        lambda: depthwise_backprop_input(shape(input), g, out_backprop, **attrs),
        lambda: depthwise_conv2d_op(input, g, **attrs),
    )

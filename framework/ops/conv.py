"""Conv2D and the two products of its gradients, as ops.

A convolution, the gradient of its input and that of its filter are linear in both arguments, and
the gradients of each of the three are the other two: derivatives of any order are these ops.
The public functions are in `convolutions`.
"""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops.array import shape
from shardtape.ops.conv_arrays import (
    CASES_2D,
    conv_attrs,
    convolve,
    direct,
    direct_filter_gradient,
    direct_input_gradient,
    filter_gradient,
    forward_shape,
    input_gradient,
    samples_of,
    sizes_shape,
)
from shardtape.ops.registry import op

_ONES = (1, 1, 1, 1)


def _write(xp: Any, out: Any, made: Any) -> None:
    if made is not out:
        xp.copyto(out, made)


@op("Conv2D", dtypes=dt.FLOATING, shape=forward_shape, samples=samples_of(CASES_2D, "xw"),
    reference=direct)  # fmt: skip
def conv2d_op(xp, input, filter, *, strides, padding, explicit_paddings=(), data_format="NHWC",
              dilations=_ONES):  # fmt: skip
    """Convolution: input (n, h, w, c), filter (kh, kw, c / groups, f) to (n, oh, ow, f).

    Strides and dilations have one value per dimension, explicit_paddings two (a flat tuple).
    """
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    return convolve(xp, input, filter, attrs)


@conv2d_op.writes_into()
def _(xp, out, input, filter, *, strides, padding, explicit_paddings=(), data_format="NHWC",
      dilations=_ONES):  # fmt: skip
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    _write(xp, out, convolve(xp, input, filter, attrs, out))


@conv2d_op.gradient
def _(g, _y, input, filter, *, strides, padding, explicit_paddings, data_format, dilations):
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    return (
        lambda: conv2d_backprop_input(shape(input), filter, g, **attrs),
        lambda: conv2d_backprop_filter(input, shape(filter), g, **attrs),
    )


@op("Conv2DBackpropInput", dtypes=dt.FLOATING, host=("input_sizes",), shape=sizes_shape(0),
    samples=samples_of(CASES_2D, "Xwg"), reference=direct_input_gradient)  # fmt: skip
def conv2d_backprop_input(xp, input_sizes, filter, out_backprop, *, strides, padding,
                          explicit_paddings=(), data_format="NHWC",
                          dilations=_ONES):  # fmt: skip
    """Gradient of a convolution's input of shape `input_sizes`; also a transposed convolution."""
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    return input_gradient(xp, input_sizes, filter, out_backprop, attrs)


@conv2d_backprop_input.writes_into()
def _(xp, out, input_sizes, filter, out_backprop, *, strides, padding, explicit_paddings=(),
      data_format="NHWC", dilations=_ONES):  # fmt: skip
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    _write(xp, out, input_gradient(xp, input_sizes, filter, out_backprop, attrs, out))


@conv2d_backprop_input.gradient
def _(g, _y, _sizes, filter, out_backprop, *, strides, padding, explicit_paddings, data_format,
      dilations):  # fmt: skip
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    return (
        lambda: conv2d_backprop_filter(g, shape(filter), out_backprop, **attrs),
        lambda: conv2d_op(g, filter, **attrs),
    )


@op("Conv2DBackpropFilter", dtypes=dt.FLOATING, host=("filter_sizes",), shape=sizes_shape(1),
    samples=samples_of(CASES_2D, "xWg"), reference=direct_filter_gradient)  # fmt: skip
def conv2d_backprop_filter(xp, input, filter_sizes, out_backprop, *, strides, padding,
                           explicit_paddings=(), data_format="NHWC",
                           dilations=_ONES):  # fmt: skip
    """Gradient of a convolution's filter of shape `filter_sizes`."""
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    return filter_gradient(xp, input, filter_sizes, out_backprop, attrs)


@conv2d_backprop_filter.writes_into()
def _(xp, out, input, filter_sizes, out_backprop, *, strides, padding, explicit_paddings=(),
      data_format="NHWC", dilations=_ONES):  # fmt: skip
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    _write(xp, out, filter_gradient(xp, input, filter_sizes, out_backprop, attrs, out))


@conv2d_backprop_filter.gradient
def _(g, _y, input, _sizes, out_backprop, *, strides, padding, explicit_paddings, data_format,
      dilations):  # fmt: skip
    attrs = conv_attrs(strides, padding, explicit_paddings, data_format, dilations)
    return (
        lambda: conv2d_backprop_input(shape(input), g, out_backprop, **attrs),
        lambda: conv2d_op(input, g, **attrs),
    )

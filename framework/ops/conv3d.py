"""Conv3D and the two products of its gradients, as ops; as `conv` has them for two axes."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops.array import shape
from shardtape.ops.conv_arrays import (
    CASES_3D,
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

_ONES = (1, 1, 1, 1, 1)


def _write(xp: Any, out: Any, made: Any) -> None:
    if made is not out:
        xp.copyto(out, made)


def _forward_shape(input: Any, filter: Any, **attrs: Any) -> Any:
    return forward_shape(input, filter, explicit_paddings=(), **attrs)


@op("Conv3D", dtypes=dt.FLOATING, shape=_forward_shape, samples=samples_of(CASES_3D, "xw"),
    reference=direct)  # fmt: skip
def conv3d_op(xp, input, filter, *, strides, padding, data_format="NDHWC", dilations=_ONES):
    """Convolution: input (n, d, h, w, c), filter (kd, kh, kw, c / groups, f) to (n, .., f).

    Strides and dilations have one value per dimension.
    """
    attrs = conv_attrs(strides, padding, (), data_format, dilations)
    return convolve(xp, input, filter, attrs)


@conv3d_op.writes_into()
def _(xp, out, input, filter, *, strides, padding, data_format="NDHWC", dilations=_ONES):
    attrs = conv_attrs(strides, padding, (), data_format, dilations)
    _write(xp, out, convolve(xp, input, filter, attrs, out))


@conv3d_op.gradient
def _(g, _y, input, filter, *, strides, padding, data_format, dilations):
    attrs = _named(strides, padding, data_format, dilations)
    return (
        lambda: conv3d_backprop_input(shape(input), filter, g, **attrs),
        lambda: conv3d_backprop_filter(input, shape(filter), g, **attrs),
    )


def _named(strides: Any, padding: Any, data_format: Any, dilations: Any) -> dict[str, Any]:
    return {"strides": strides, "padding": padding, "data_format": data_format,
            "dilations": dilations}  # fmt: skip


@op("Conv3DBackpropInputV2", dtypes=dt.FLOATING, host=("input_sizes",), shape=sizes_shape(0),
    samples=samples_of(CASES_3D, "Xwg"), reference=direct_input_gradient)  # fmt: skip
def conv3d_backprop_input(xp, input_sizes, filter, out_backprop, *, strides, padding,
                          data_format="NDHWC", dilations=_ONES):  # fmt: skip
    """Gradient of a convolution's input of shape `input_sizes`; also a transposed convolution."""
    attrs = conv_attrs(strides, padding, (), data_format, dilations)
    return input_gradient(xp, input_sizes, filter, out_backprop, attrs)


@conv3d_backprop_input.writes_into()
def _(xp, out, input_sizes, filter, out_backprop, *, strides, padding, data_format="NDHWC",
      dilations=_ONES):  # fmt: skip
    attrs = conv_attrs(strides, padding, (), data_format, dilations)
    _write(xp, out, input_gradient(xp, input_sizes, filter, out_backprop, attrs, out))


@conv3d_backprop_input.gradient
def _(g, _y, _sizes, filter, out_backprop, *, strides, padding, data_format, dilations):
    attrs = _named(strides, padding, data_format, dilations)
    return (
        lambda: conv3d_backprop_filter(g, shape(filter), out_backprop, **attrs),
        lambda: conv3d_op(g, filter, **attrs),
    )


@op("Conv3DBackpropFilterV2", dtypes=dt.FLOATING, host=("filter_sizes",), shape=sizes_shape(1),
    samples=samples_of(CASES_3D, "xWg"), reference=direct_filter_gradient)  # fmt: skip
def conv3d_backprop_filter(xp, input, filter_sizes, out_backprop, *, strides, padding,
                           data_format="NDHWC", dilations=_ONES):  # fmt: skip
    """Gradient of a convolution's filter of shape `filter_sizes`."""
    attrs = conv_attrs(strides, padding, (), data_format, dilations)
    return filter_gradient(xp, input, filter_sizes, out_backprop, attrs)


@conv3d_backprop_filter.writes_into()
def _(xp, out, input, filter_sizes, out_backprop, *, strides, padding, data_format="NDHWC",
      dilations=_ONES):  # fmt: skip
    attrs = conv_attrs(strides, padding, (), data_format, dilations)
    _write(xp, out, filter_gradient(xp, input, filter_sizes, out_backprop, attrs, out))


@conv3d_backprop_filter.gradient
def _(g, _y, input, _sizes, out_backprop, *, strides, padding, data_format, dilations):
    attrs = _named(strides, padding, data_format, dilations)
    return (
        lambda: conv3d_backprop_input(shape(input), g, out_backprop, **attrs),
        lambda: conv3d_op(input, g, **attrs),
    )

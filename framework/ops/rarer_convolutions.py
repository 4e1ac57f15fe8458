"""`tf.nn`'s gradients of depthwise convolutions as functions, and convolutions by blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.context import executing_eagerly
from shardtape.ops.array import concat, pad, shape, stack
from shardtape.ops.blocks import batch_to_space_nd, space_to_batch_nd
from shardtape.ops.conv import conv2d_backprop_input
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.convolutions import conv_attributes
from shardtape.ops.depthwise import depthwise_backprop_filter, depthwise_backprop_input
from shardtape.ops.patches import offsets, window_slices
from shardtape.ops.refusals import refusal
from shardtape.ops.windows import geometry
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor


def depthwise_conv2d_backprop_input(
    input_sizes: Any, filter: Any, out_backprop: Any, strides: Any, padding: Any,
    data_format: str = "NHWC", dilations: Any = (1, 1, 1, 1), name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of the input, of shape `input_sizes`, of `depthwise_conv2d`."""
    g = convert_to_tensor(out_backprop)
    return depthwise_backprop_input(
        convert_to_tensor(input_sizes, dt.int32), convert_to_tensor(filter, g.dtype), g, name=name,
        **conv_attributes(strides, padding, data_format, dilations),
    )  # fmt: skip


def depthwise_conv2d_backprop_filter(
    input: Any, filter_sizes: Any, out_backprop: Any, strides: Any, padding: Any,
    data_format: str = "NHWC", dilations: Any = (1, 1, 1, 1), name: str | None = None,
) -> Tensor:  # fmt: skip
    """The gradient of the filter, of shape `filter_sizes`, of `depthwise_conv2d`."""
    g = convert_to_tensor(out_backprop)
    return depthwise_backprop_filter(
        convert_to_tensor(input, g.dtype), convert_to_tensor(filter_sizes, dt.int32), g, name=name,
        **conv_attributes(strides, padding, data_format, dilations),
    )  # fmt: skip


def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: int, padding: str, name: str | None = None
) -> Tensor:
    """The transpose (gradient) of `atrous_conv2d`.

    Args:
      value: (n, h, w, c). filters: (kh, kw, f, c).
      output_shape: of the result, (n, oh, ow, f).
      rate: distance of the filters' members.
    """
    x = convert_to_tensor(value)
    w = convert_to_tensor(filters, None if hasattr(filters, "dtype") else x.dtype)
    if not x.shape[3:].is_compatible_with(w.shape[3:]):
        raise ValueError(
            "`value` channel count must be compatible with `filters` input channel count. Received:"
            f" {x.shape[3]} and {w.shape[3]}"
        )
    if rate < 1:
        raise ValueError(f"`rate` cannot be less than one. Received: rate={rate}")
    return conv2d_backprop_input(
        convert_to_tensor(output_shape, dt.int32), w, x, name=name,
        **conv_attributes(1, padding, "NHWC", rate),
    )  # fmt: skip


def required_space_to_batch_paddings(
    input_shape: Any, block_shape: Any, base_paddings: Any = None, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Paddings that make sizes multiples of blocks, and the crops that take them off again.

    Args:
      input_shape, block_shape: vectors of one length n.
      base_paddings: (n, 2) that are there in any case; default 0.

    Returns:
      paddings and crops, int32 (n, 2).
    """
    sizes = convert_to_tensor(input_shape, dt.int32)
    blocks = convert_to_tensor(block_shape, dt.int32)
    if base_paddings is None:
        base: Any = convert_to_tensor(np.zeros((int(blocks.shape[0]), 2), np.int32))
    else:
        base = convert_to_tensor(base_paddings, dt.int32)
    before, after = base[:, 0], base[:, 1]
    extra = -(sizes + before + after) % blocks
    paddings = stack([before, after + extra], 1)
    return paddings, stack([extra - extra, extra], 1)


def with_space_to_batch(
    input: Any, dilation_rate: Any, padding: str, op: Callable[..., Any],
    filter_shape: Any = None, spatial_dims: Sequence[int] | None = None,
    data_format: str | None = None,
) -> Any:  # fmt: skip
    """`op` on the members of an image that lie `dilation_rate` apart, each set on its own.

    Args:
      input: (n, axes..., channels), or (n, channels, axes...) with a data_format like "NCHW".
      dilation_rate: for each of the spatial axes.
      padding: "SAME" or "VALID".
      op: function `op(input, num_spatial_dims, padding)`; where the rates are all 1 it gets
        `padding`, else "VALID".
      filter_shape: sizes of the window, needed for "SAME".
      spatial_dims: the axes, increasing from 1; default the first ones.

    Raises ValueError for rates, axes or a padding that do not fit.
    """
    x = convert_to_tensor(input)
    rates = [int(r) for r in np.reshape(np.asarray(dilation_rate), -1)]
    if any(r < 1 for r in rates):
        raise ValueError(f"`dilation_rate` must be positive. Received: {dilation_rate}")
    count = len(rates)
    first = data_format is not None and data_format.startswith("NC")
    axes = list(spatial_dims or range(2 if first else 1, count + (2 if first else 1)))
    if sorted(set(axes)) != axes or axes[0] < 1 or len(axes) != count:
        raise ValueError(
            f"`spatial_dims` must be {count} increasing axes from 1. Received: {spatial_dims}"
        )
    if all(r == 1 for r in rates):
        return op(x, count, padding)
    if padding not in ("SAME", "VALID"):
        raise ValueError(f"`padding` must be 'SAME' or 'VALID'. Received: padding={padding}")
    base = np.zeros((count, 2), np.int32)
    if padding == "SAME":
        if filter_shape is None:
            raise ValueError("`filter_shape` must be specified for `padding='SAME'`.")
        window = np.reshape(np.asarray(filter_shape), -1)[:count]
        span = (window - 1) * np.asarray(rates)  # what the window takes beyond its first member
        base = np.stack([span // 2, span - span // 2], 1).astype(np.int32)
    # the axes between 1 and the last one move too, by blocks of 1
    last = axes[-1]
    blocks = [rates[axes.index(i)] if i in axes else 1 for i in range(1, last + 1)]
    wide = np.array([base[axes.index(i)] if i in axes else (0, 0) for i in range(1, last + 1)])
    paddings, crops = required_space_to_batch_paddings(shape(x)[1 : last + 1], blocks, wide)
    moved = op(space_to_batch_nd(x, blocks, paddings), count, "VALID")
    return batch_to_space_nd(moved, blocks, crops)


def extract_volume_patches(
    input: Any, ksizes: Sequence[int], strides: Sequence[int], padding: str,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Patches of volumes (n, planes, rows, columns, channels), each laid along the last axis.

    Args:
      ksizes, strides: five numbers, the first and last 1.
      padding: "SAME" or "VALID".

    Raises InvalidArgumentError (ValueError in a graph) for windows that do not fit.
    """
    x = convert_to_tensor(input)
    for called, given in (("ksizes", ksizes), ("strides", strides)):
        if len(given) != 5 or given[0] != 1 or given[4] != 1:
            raise ValueError(f"{called} must be five numbers, the first and last 1, got {given}")
    if padding not in ("SAME", "VALID"):
        raise ValueError(f"padding is 'SAME' or 'VALID', got {padding!r}")
    sizes = x.shape.with_rank(5).as_list()[1:4]
    if None in sizes:
        raise ValueError(f"planes, rows and columns must be known, got {x.shape}")
    windows, steps = tuple(ksizes[1:4]), tuple(strides[1:4])
    try:
        axes = geometry(tuple(sizes), windows, steps, (1, 1, 1), padding, ())
    except ValueError as error:
        raise refusal(str(error)) from None
    x = pad(x, [[0, 0], *[[a.before, a.after] for a in axes], [0, 0]])
    parts = [x[window_slices(axes, offset)] for offset in offsets(axes)]
    return concat(parts, 4)


def parallel_stack(values: Any, name: str = "parallel_stack") -> Tensor:
    """`tf.stack` along axis 0, of tensors whose shapes are known, inside functions only.

    Raises RuntimeError where operations run at once, ValueError for unknown or other shapes.
    """
    if executing_eagerly():
        raise RuntimeError("tf.parallel_stack() is not compatible with eager execution.")
    members = [convert_to_tensor(v) for v in values]
    known = TensorShape(members[0].shape)
    if not all(m.shape.is_fully_defined() and m.shape == known for m in members):
        raise ValueError("parallel_stack needs tensors of one known shape, got "
                         f"{[str(m.shape) for m in members]}")  # fmt: skip
    return stack(members, name=name)


__all__ = [
    "atrous_conv2d_transpose",
    "depthwise_conv2d_backprop_filter",
    "depthwise_conv2d_backprop_input",
    "extract_volume_patches",
    "parallel_stack",
    "required_space_to_batch_paddings",
    "with_space_to_batch",
]

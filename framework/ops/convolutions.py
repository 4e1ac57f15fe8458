"""`tf.nn`'s convolutions."""

from __future__ import annotations

from typing import Any

from shardtape.ops.array import expand_dims, reshape, shape, squeeze
from shardtape.ops.conv import conv2d_backprop_input, conv2d_op
from shardtape.ops.conv3d import conv3d_backprop_input, conv3d_op
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.depthwise import depthwise_conv2d_op
from shardtape.ops.joining import concat
from shardtape.ops.refusals import refusal
from shardtape.ops.windows import is_channels_first, padding_attrs, per_dimension
from shardtape.tensor import Tensor


def conv_attributes(
    strides: Any, padding: Any, data_format: str, dilations: Any, rank: int = 2
) -> dict[str, Any]:
    """The attributes of a convolution op, of arguments in the forms that users write."""
    name, explicit = padding_attrs(padding, rank + 2)
    return {
        "strides": per_dimension(strides, rank, data_format, "strides"),
        "padding": name,
        "explicit_paddings": explicit,
        "data_format": data_format,
        "dilations": per_dimension(dilations, rank, data_format, "dilations"),
    }


def conv2d(
    input: Any,
    filters: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """2-D convolution (cross-correlation, as everywhere in learning).

    Args:
      input: (..., h, w, c), or (..., c, h, w) with data_format "NCHW".
      filters: (kh, kw, c / groups, f).
      strides: an int, or a list of 1, 2 or 4 ints.
      padding: "SAME", "VALID" or [[0, 0], [top, bottom], [left, right], [0, 0]].
      dilations: as `strides`; default 1.

    Returns (..., oh, ow, f).
    """
    x = input if isinstance(input, Tensor) else convert_to_tensor(input)
    attrs = conv_attributes(strides, padding, data_format or "NHWC", dilations)
    x, outer = _one_batch(x, 2)
    return _batches(conv2d_op(x, filters, name=name, **attrs), outer)


def _one_batch(x: Tensor, rank: int) -> tuple[Tensor, Any]:
    """(x with all axes before the last `rank` + 1 joined, the sizes of these or None for one)."""
    given = x.shape.rank
    if given is None or given == rank + 2:
        return x, None
    if given < rank + 2:
        raise refusal(f"conv{rank}d needs an input of rank {rank + 2} or more, got shape {x.shape}")
    sizes = shape(x)
    inner = -1 - rank
    return reshape(x, concat([[-1], sizes[inner:]], 0)), sizes[:inner]


def _batches(y: Tensor, outer: Any) -> Tensor:
    """What a convolution of `_one_batch` gave, with the axes that were joined."""
    return y if outer is None else reshape(y, concat([outer, shape(y)[1:]], 0))


def conv1d(
    input: Any,
    filters: Any,
    stride: Any,
    padding: Any,
    data_format: str = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """1-D convolution: input (..., w, c), filters (k, c, f) to (..., ow, f)."""
    layout = data_format or "NWC"
    axis = _new_axis(layout)
    attrs = _as_plane(stride, padding, layout, dilations)
    x, outer = _one_batch(input if isinstance(input, Tensor) else convert_to_tensor(input), 1)
    y = conv2d_op(expand_dims(x, axis), expand_dims(filters, 0), name=name, **attrs)
    return _batches(squeeze(y, [axis]), outer)


def _new_axis(layout: str) -> int:
    """Where a line of (n, w, c) gets the axis of height 1."""
    return 2 if is_channels_first(layout) else 1


def _as_plane(stride: Any, padding: Any, layout: str, dilations: Any) -> dict[str, Any]:
    axis = _new_axis(layout)
    attrs = conv_attributes(stride, padding, layout, dilations, rank=1)
    for what in ("strides", "dilations"):
        values = list(attrs[what])
        attrs[what] = (*values[:axis], 1, *values[axis:])
    if attrs["explicit_paddings"]:
        pads = list(attrs["explicit_paddings"])
        attrs["explicit_paddings"] = (*pads[: 2 * axis], 0, 0, *pads[2 * axis :])
    attrs["data_format"] = "NCHW" if is_channels_first(layout) else "NHWC"
    return attrs


def conv2d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str = "NHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose of `conv2d` (the gradient of its input).

    Args:
      input: (n, h, w, c).
      filters: (kh, kw, f, c).
      output_shape: (n, oh, ow, f) as ints or an int tensor.

    Raises ValueError for channels that do not fit.
    """
    attrs = conv_attributes(strides, padding, data_format or "NHWC", dilations)
    return conv2d_backprop_input(output_shape, *_two(filters, input), name=name, **attrs)


def conv1d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose of `conv1d`: input (n, w, c), filters (k, f, c) to `output_shape`."""
    layout = data_format or "NWC"
    axis = _new_axis(layout)
    attrs = _as_plane(strides, padding, layout, dilations)
    sizes = convert_to_tensor(output_shape, hint_integer=True)
    full = concat([sizes[:axis], [1], sizes[axis:]], 0)
    filters, x = _two(filters, input)
    y = conv2d_backprop_input(
        full, expand_dims(filters, 0), expand_dims(x, axis), name=name, **attrs
    )
    return squeeze(y, [axis])


def conv3d(
    input: Any,
    filters: Any,
    strides: Any,
    padding: str,
    data_format: str = "NDHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """3-D convolution: input (..., d, h, w, c), filters (kd, kh, kw, c / groups, f) to (..., f).

    Args:
      strides, dilations: an int, or a list of 1, 3 or 5 ints.
      padding: "SAME" or "VALID".
    """
    x, outer = _one_batch(input if isinstance(input, Tensor) else convert_to_tensor(input), 3)
    attrs = _solid(strides, padding, data_format, dilations)
    return _batches(conv3d_op(x, filters, name=name, **attrs), outer)


def conv3d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: str = "SAME",
    data_format: str = "NDHWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose of `conv3d`: input (n, d, h, w, c), filters (kd, kh, kw, f, c).

    Args:
      output_shape: (n, od, oh, ow, f) as ints or an int tensor.
    """
    attrs = _solid(strides, padding, data_format, dilations)
    return conv3d_backprop_input(output_shape, *_two(filters, input), name=name, **attrs)


def _solid(strides: Any, padding: Any, data_format: Any, dilations: Any) -> dict[str, Any]:
    if not isinstance(padding, str):
        raise ValueError(f"a 3-D convolution takes padding 'SAME' or 'VALID', got {padding!r}")
    attrs = conv_attributes(strides, padding, data_format or "NDHWC", dilations, 3)
    del attrs["explicit_paddings"]
    return attrs


def conv_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose of `convolution`, over as many axes as the filters have: one to three.

    Raises ValueError for another number.
    """
    filters = convert_to_tensor(filters)
    functions = {3: (conv1d_transpose, "NWC"), 4: (conv2d_transpose, "NHWC"),
                 5: (conv3d_transpose, "NDHWC")}  # fmt: skip
    if filters.shape.rank not in functions:
        raise ValueError(f"conv_transpose takes filters of rank 3 to 5, got shape {filters.shape}")
    function, layout = functions[filters.shape.rank]
    return function(
        input, filters, output_shape, strides, padding, data_format or layout, dilations, name
    )


def _two(filters: Any, x: Any) -> tuple[Tensor, Tensor]:
    x = convert_to_tensor(x)
    return convert_to_tensor(filters, None if hasattr(filters, "dtype") else x.dtype), x


def atrous_conv2d(
    value: Any, filters: Any, rate: int, padding: Any, name: str | None = None
) -> Tensor:
    """`conv2d` with stride 1 and filters whose members lie `rate` apart."""
    return conv2d(value, filters, 1, padding, dilations=rate, name=name)


def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """Each channel by filters of its own: input (n, h, w, c), filter (kh, kw, c, m) to (.., c * m).

    Args:
      strides: 4 ints; those of height and width must be equal.
    """
    attrs = conv_attributes(strides, padding, data_format or "NHWC", dilations)
    return depthwise_conv2d_op(input, filter, name=name, **attrs)


def separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`depthwise_conv2d`, then a convolution over the channels with filters (1, 1, c * m, f)."""
    layout = data_format or "NHWC"
    y = depthwise_conv2d(input, depthwise_filter, strides, padding, layout, dilations)
    return conv2d(y, pointwise_filter, 1, "VALID", layout, name=name)


def convolution(
    input: Any,
    filters: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """A convolution over as many axes as the filters have: one to three.

    Raises ValueError for another number.
    """
    filters = convert_to_tensor(filters)
    rank = filters.shape.rank
    if rank == 3:
        return conv1d(input, filters, strides, padding, data_format or "NWC", dilations, name)
    if rank == 4:
        return conv2d(input, filters, strides, padding, data_format or "NHWC", dilations, name)
    if rank == 5:
        steps = 1 if strides is None else strides
        return conv3d(input, filters, steps, padding, data_format or "NDHWC", dilations, name)
    raise ValueError(f"convolution takes filters of rank 3 to 5, got shape {filters.shape}")

"""`tf.nn`'s poolings."""

from __future__ import annotations

from typing import Any

from shardtape import errors
from shardtape.context import state
from shardtape.ops.array import expand_dims, reshape, shape, squeeze, stack, transpose, zeros_like
from shardtape.ops.blocks import batch_to_space, space_to_batch
from shardtape.ops.convert import convert_to_tensor, single_array
from shardtape.ops.pool import avg_pool3d_op, avg_pool_op, max_pool3d_op, max_pool_op
from shardtape.ops.reduce import reduce_max
from shardtape.ops.windows import is_channels_first, padding_attrs, per_dimension
from shardtape.tensor import Tensor

_LAYOUTS = {3: "NWC", 4: "NHWC", 5: "NDHWC"}


def _attrs(
    ksize: Any, strides: Any, padding: Any, data_format: str, rank: int, explicit: bool
) -> dict[str, Any]:
    name, pads = padding_attrs(padding, rank + 2)
    if pads and not explicit:
        raise ValueError(f"this pooling takes padding 'SAME' or 'VALID' only, got {padding!r}")
    attrs = {
        "ksize": per_dimension(ksize, rank, data_format, "ksize"),
        "strides": per_dimension(strides, rank, data_format, "strides"),
        "padding": name,
        "data_format": data_format,
    }
    if explicit:
        attrs["explicit_paddings"] = pads
    return attrs


def _is_over_channels(ksize: Any, strides: Any, layout: str) -> bool:
    """Whether a window or a step reaches over images or channels. Raises for images."""
    channels = 1 if is_channels_first(layout) else 3
    full = [list(v) for v in (ksize, strides) if not isinstance(v, int) and len(v) == 4]
    if any(v[0] != 1 for v in full):
        raise errors.UnimplementedError(
            f"Pooling is not yet supported on the batch dimension: ksize={ksize}, strides={strides}"
        )
    return any(v[channels] != 1 for v in full)


def _over_channels(input: Any, ksize: Any, strides: Any, padding: Any, layout: str) -> Tensor:
    """The largest of neighbouring channels: (n, h, w, c) to (n, h, w, c / k)."""
    x = convert_to_tensor(input)
    size, step = per_dimension(ksize, 2, layout, "ksize"), per_dimension(strides, 2, layout, "")
    channels = x.shape[-1]
    if is_channels_first(layout) or list(size[:3]) != [1, 1, 1] or list(step[:3]) != [1, 1, 1]:
        raise errors.UnimplementedError(
            "MaxPooling supports exactly one of pooling across depth or pooling across "
            f"width/height, of images NHWC. Got ksize={ksize}, strides={strides}, {layout}"
        )
    if size[3] != step[3] or channels is None or channels % size[3]:
        raise errors.UnimplementedError(
            "Depthwise max pooling requires the depth window to equal the depth stride and to "
            f"evenly divide the input depth. Got ksize={ksize}, strides={strides} and {channels} "
            "channels"
        )
    sizes = shape(x)
    parts = reshape(x, [sizes[0], sizes[1], sizes[2], channels // size[3], size[3]])
    return reduce_max(parts, -1)


def max_pool2d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NHWC",
    name: str | None = None,
) -> Tensor:
    """The largest of each window: (n, h, w, c) to (n, oh, ow, c).

    Args:
      ksize, strides: an int, or a list of 1, 2 or 4 ints.
      padding: "SAME", "VALID" or a list of pairs, one per dimension.
    """
    layout = data_format or "NHWC"
    if _is_over_channels(ksize, strides, layout):
        return _over_channels(input, ksize, strides, padding, layout)
    if state.graph is None:
        input = single_array(input)
    return max_pool_op(
        input, name=name or "MaxPool2d", **_attrs(ksize, strides, padding, layout, 2, True)
    )


def avg_pool2d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NHWC",
    name: str | None = None,
) -> Tensor:
    """The mean of each window, of its members inside the input: (n, h, w, c) to (n, oh, ow, c).

    Args:
      ksize, strides: an int, or a list of 1, 2 or 4 ints.
      padding: "SAME" or "VALID".
    """
    layout = data_format or "NHWC"
    if _is_over_channels(ksize, strides, layout):
        raise errors.UnimplementedError(
            f"avg_pool takes the mean over rows and columns only, got ksize={ksize} and "
            f"strides={strides}; reshape and reduce_mean take it over channels"
        )
    return avg_pool_op(
        input, name=name or "AvgPool2D", **_attrs(ksize, strides, padding, layout, 2, False)
    )


def _line(
    function: Any, x: Any, ksize: Any, strides: Any, padding: Any, layout: str, name: Any
) -> Tensor:
    """A pooling of (n, w, c) as one of images of height 1."""
    first = is_channels_first(layout)
    axis = 2 if first else 1
    window = per_dimension(ksize, 1, layout, "ksize")
    steps = per_dimension(strides, 1, layout, "strides")
    if not isinstance(padding, str):
        padding = [*padding[:axis], [0, 0], *padding[axis:]]
    y = function(
        expand_dims(x, axis), [*window[:axis], 1, *window[axis:]],
        [*steps[:axis], 1, *steps[axis:]], padding, "NCHW" if first else "NHWC", name,
    )  # fmt: skip
    return squeeze(y, [axis])


def max_pool1d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str = "NWC",
    name: str | None = None,
) -> Tensor:
    """The largest of each window: (n, w, c) to (n, ow, c)."""
    return _line(max_pool2d, input, ksize, strides, padding, data_format or "NWC", name)


def avg_pool1d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NWC",
    name: str | None = None,
) -> Tensor:
    """The mean of each window: (n, w, c) to (n, ow, c)."""
    return _line(avg_pool2d, input, ksize, strides, padding, data_format or "NWC", name)


def avg_pool3d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NDHWC",
    name: str | None = None,
) -> Tensor:
    """The mean of each window: (n, d, h, w, c) to (n, od, oh, ow, c)."""
    layout = data_format or "NDHWC"
    return avg_pool3d_op(input, name=name, **_attrs(ksize, strides, padding, layout, 3, False))


def max_pool3d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str = "NDHWC",
    name: str | None = None,
) -> Tensor:
    """The largest of each window: (n, d, h, w, c) to (n, od, oh, ow, c).

    Args:
      ksize, strides: an int, or a list of 1, 3 or 5 ints.
      padding: "SAME" or "VALID".
    """
    layout = data_format or "NDHWC"
    return max_pool3d_op(input, name=name, **_attrs(ksize, strides, padding, layout, 3, False))


def _by_rank(functions: dict[int, Any], input: Any, data_format: Any, what: str) -> Any:
    x = input if isinstance(input, Tensor) else convert_to_tensor(input)
    rank = len(data_format) if data_format else x.shape.rank
    if rank not in functions:
        raise ValueError(f"{what} takes an input of rank {sorted(functions)}, got shape {x.shape}")
    return functions[rank], x, data_format or _LAYOUTS[rank]


def max_pool(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: str | None = None,
    name: str | None = None,
) -> Tensor:
    """`max_pool1d`, `max_pool2d` or `max_pool3d`, by the rank of the input."""
    functions = {3: max_pool1d, 4: max_pool2d, 5: max_pool3d}
    function, x, layout = _by_rank(functions, input, data_format, "max_pool")
    return function(x, ksize, strides, padding, layout, name)


def avg_pool(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: str,
    data_format: str | None = None,
    name: str | None = None,
) -> Tensor:
    """`avg_pool1d`, `avg_pool2d` or `avg_pool3d`, by the rank of the input."""
    functions = {3: avg_pool1d, 4: avg_pool2d, 5: avg_pool3d}
    function, x, layout = _by_rank(functions, input, data_format, "avg_pool")
    return function(x, ksize, strides, padding, layout, name)


def pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """`max_pool` or `avg_pool` by name ("MAX", "AVG").

    With dilations the members of a window lie apart.

    Raises ValueError for another name, or for dilations with strides or padding.
    """
    functions = {"MAX": max_pool, "AVG": avg_pool}
    if pooling_type not in functions:
        raise ValueError(f"pooling_type must be one of {sorted(functions)}, got {pooling_type!r}")
    steps = 1 if strides is None else strides
    function = functions[pooling_type]
    rank = convert_to_tensor(input).shape.rank
    spread = _each(1 if dilations is None else dilations, (rank or 4) - 2)
    if all(d == 1 for d in spread):
        return function(input, window_shape, steps, padding, data_format, name)
    if any(s != 1 for s in _each(steps, len(spread))):
        raise ValueError("strides > 1 not supported in conjunction with dilation_rate > 1")
    window = _each(window_shape, len(spread))
    return _spread_pool(function, input, window, spread, padding, data_format)


def _each(value: Any, count: int) -> list[int]:
    numbers = [int(v) for v in value] if hasattr(value, "__len__") else [int(value)]
    return numbers * count if len(numbers) == 1 else numbers


def _spread_pool(
    function: Any, input: Any, window: Any, spread: Any, padding: str, data_format: str | None
) -> Tensor:
    """Windows whose members lie `spread` apart: as many interleaved images are pooled alone."""
    if padding.upper() != "VALID":
        raise ValueError(f"pool with dilations takes padding='VALID' only, got {padding!r}")
    x = convert_to_tensor(input)
    first = is_channels_first(data_format) if data_format else False
    count = len(spread)
    if first:
        x = transpose(x, [0, *range(2, count + 2), 1])
    missing = -shape(x)[1:-1] % convert_to_tensor(list(spread))
    ends = stack([zeros_like(missing), missing], 1)
    parts = function(space_to_batch(x, list(spread), ends), window, 1, "VALID")
    made = batch_to_space(parts, list(spread), ends)
    return transpose(made, [0, count + 1, *range(1, count + 1)]) if first else made

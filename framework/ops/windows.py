"""Sliding windows of convolutions and poolings: output sizes, padding, the slices of an offset.

Everything here is integers; no array is touched.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from shardtape.ops.refusals import refusal
from shardtape.shapes import TensorShape

CHANNELS_LAST = frozenset(("NHWC", "NWC", "NDHWC"))
CHANNELS_FIRST = frozenset(("NCHW", "NCW", "NCDHW"))


class Span(NamedTuple):
    """Outputs [start, stop) that one offset of the window feeds, and the inputs they read."""

    outputs: slice
    inputs: slice
    whole: bool  # every output is fed


class Axis(NamedTuple):
    """The windows along one spatial axis."""

    size: int
    window: int
    stride: int
    dilation: int
    before: int  # padding
    after: int
    outputs: int

    @property
    def reach(self) -> int:
        """Positions from the first to the last member of a window."""
        return (self.window - 1) * self.dilation + 1

    @property
    def padded(self) -> int:
        return self.size + self.before + self.after

    @property
    def overlaps(self) -> bool:
        return self.stride < self.reach

    def spans(self) -> tuple[Span, ...]:
        """What each member of the windows reads, without the padding."""
        return _spans(self)

    def counts(self) -> list[int]:
        """How many members of each window lie inside the input."""
        got = [0] * self.outputs
        for span in self.spans():
            for o in range(span.outputs.start, span.outputs.stop):
                got[o] += 1
        return got


@functools.lru_cache(maxsize=1024)
def _spans(axis: Axis) -> tuple[Span, ...]:
    spans = []
    for offset in range(axis.window):
        shift, stride = offset * axis.dilation - axis.before, axis.stride
        first = max(0, -(shift // stride)) if shift < 0 else 0
        last = (axis.size - 1 - shift) // stride if shift < axis.size else -1
        stop = max(first, min(axis.outputs, last + 1))
        begin = first * stride + shift
        end = begin + (stop - first - 1) * stride + 1 if stop > first else begin
        whole = first == 0 and stop == axis.outputs
        spans.append(Span(slice(first, stop), slice(begin, end, stride), whole))
    return tuple(spans)


def output_size(
    size: int | None,
    window: int,
    stride: int,
    dilation: int = 1,
    padding: str = "VALID",
    explicit: Sequence[int] = (0, 0),
) -> int | None:
    """Number of windows along an axis; None for an unknown size.

    Raises ValueError where no window fits.
    """
    if stride < 1 or window < 1:
        raise ValueError(
            f"strides and windows must be positive, got stride {stride} and window {window}"
        )
    if size is None:
        return None
    reach = (window - 1) * dilation + 1
    if padding == "SAME":
        return -(-size // stride)
    if padding == "EXPLICIT":
        size += explicit[0] + explicit[1]
    outputs = (size - reach + stride) // stride
    if outputs < 0:
        raise ValueError(
            f"Computed output size would be negative: {outputs} [input_size: {size}, "
            f"effective_filter_size: {reach}, stride: {stride}]"
        )
    return outputs


@functools.lru_cache(maxsize=1024)
def geometry(
    sizes: tuple[int, ...],
    window: tuple[int, ...],
    strides: tuple[int, ...],
    dilations: tuple[int, ...],
    padding: str,
    explicit: tuple[int, ...],
) -> tuple[Axis, ...]:
    """The axes of an op; all tuples have one member per spatial axis, `explicit` two.

    Raises ValueError where no window fits.
    """
    axes = []
    for i, (n, k, s, d) in enumerate(zip(sizes, window, strides, dilations)):
        pads = explicit[2 * i : 2 * i + 2] if padding == "EXPLICIT" else (0, 0)
        outputs = output_size(n, k, s, d, padding, pads)
        if padding == "SAME":
            needed = max(0, (outputs - 1) * s + (k - 1) * d + 1 - n)  # type: ignore[operator]
            pads = (needed // 2, needed - needed // 2)
        axes.append(Axis(n, k, s, d, pads[0], pads[1], outputs))  # type: ignore[arg-type]
    return tuple(axes)


def is_channels_first(data_format: str) -> bool:
    """Raises ValueError for a layout that there is not."""
    if data_format in CHANNELS_LAST:
        return False
    if data_format in CHANNELS_FIRST:
        return True
    raise ValueError(f"Unknown data_format: {data_format!r}")


def spatial(values: Sequence[int], data_format: str) -> tuple[int, ...]:
    """The spatial members of a list of one value per dimension."""
    if is_channels_first(data_format):
        return tuple(values[2:])
    return tuple(values[1:-1])


def spatial_explicit(values: Sequence[int], data_format: str) -> tuple[int, ...]:
    """The spatial members of a flat list of two paddings per dimension."""
    if not values:
        return ()
    if is_channels_first(data_format):
        return tuple(values[4:])
    return tuple(values[2:-2])


def check_attributes(
    op: str, strides: Sequence[int], padding: str, data_format: str, dilations: Sequence[int] = ()
) -> None:
    """Raises ValueError for strides, dilations or paddings that no window can have."""
    if padding not in ("SAME", "VALID", "EXPLICIT"):
        raise ValueError(f"{op}: padding must be SAME, VALID or EXPLICIT, got {padding!r}")
    channel = 1 if is_channels_first(data_format) else -1
    for what, values in (("strides", strides), ("dilations", dilations)):
        if not values:
            continue
        if values[0] != 1 or values[channel] != 1:
            raise ValueError(
                f"{op}: {what} in the batch and depth dimensions must be 1, got {list(values)}"
            )
        if any(v <= 0 for v in values):
            raise ValueError(f"{op}: {what} must be positive, got {list(values)}")


def output_shape(
    shape: TensorShape,
    channels: int | None,
    window: Sequence[int | None],
    strides: Sequence[int],
    dilations: Sequence[int],
    padding: str,
    explicit: Sequence[int],
    data_format: str,
) -> TensorShape:
    """The static shape of windows over `shape`; `window` is spatial, the rest per dimension.

    Raises ValueError where a window does not fit, which the kernels answer with an empty result.
    """
    rank = len(strides)
    if shape.rank is None:
        shape = TensorShape([None] * rank)
    shape = shape.with_rank(rank)
    sizes = spatial(shape.as_list(), data_format)  # type: ignore[arg-type]
    steps, rates = spatial(strides, data_format), spatial(dilations, data_format)
    pads = spatial_explicit(explicit, data_format)
    out: list[int | None] = []
    for i, (n, k, s, d) in enumerate(zip(sizes, window, steps, rates)):
        if k is None and padding != "SAME":
            out.append(None)
        else:
            pair = pads[2 * i : 2 * i + 2] if pads else (0, 0)
            reach = ((k or 1) - 1) * d + 1
            if padding != "SAME" and n is not None and n + sum(pair) < reach:
                raise ValueError(
                    f"Negative dimension size caused by subtracting {reach} from {n + sum(pair)}: "
                    f"windows of {list(window)} do not fit into {list(sizes)}"
                )
            out.append(output_size(n, k or 1, s, d, padding, pair))
    if is_channels_first(data_format):
        return TensorShape([shape[0], channels, *out])
    return TensorShape([shape[0], *out, channels])


def per_dimension(value: Any, spatial_rank: int, data_format: str, name: str) -> tuple[int, ...]:
    """Strides, dilations or window sizes as users write them, one per dimension.

    Args:
      value: None (ones), an int, or a sequence of 1, `spatial_rank` or `spatial_rank + 2`.

    Raises ValueError for another length.
    """
    if value is None:
        value = [1]
    elif not hasattr(value, "__len__"):
        value = [value]
    values = [int(v) for v in value]
    if len(values) == spatial_rank + 2:
        return tuple(values)
    if len(values) == 1:
        values = values * spatial_rank
    elif len(values) != spatial_rank:
        raise ValueError(
            f"{name} should be of length 1, {spatial_rank} or {spatial_rank + 2}. "
            f"Received: {name}={value} of length {len(values)}"
        )
    if is_channels_first(data_format):
        return (1, 1, *values)
    return (1, *values, 1)


def padding_attrs(padding: Any, rank: int) -> tuple[str, tuple[int, ...]]:
    """`padding` as users write it: a name, or a pair per dimension.

    Returns (name, flat explicit paddings). Raises ValueError for another form (for another name
    InvalidArgumentError in eager mode).
    """
    if isinstance(padding, str):
        name = padding.upper()
        if name not in ("SAME", "VALID"):
            raise refusal(f"padding must be 'SAME', 'VALID' or a list of pairs, got {padding!r}")
        return name, ()
    pairs = [tuple(int(v) for v in pair) for pair in padding]
    if len(pairs) != rank or any(len(p) != 2 for p in pairs):
        raise ValueError(
            f"An explicit padding has one pair for each of the {rank} dimensions, got {padding}"
        )
    return "EXPLICIT", tuple(v for pair in pairs for v in pair)

"""Grayscale morphology of pictures: the largest (smallest) sum over a moving window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape import errors
from shardtape.ops.arithmetic import maximum, negative
from shardtape.ops.array import pad, reverse
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.refusals import refusal
from shardtape.tensor import Tensor


def _middle(values: Sequence[int], called: str) -> tuple[int, int]:
    """Height's and width's of four values. Raises UnimplementedError for other steps than 1."""
    batch, height, width, depth = (int(v) for v in values)
    if batch != 1 or depth != 1:
        raise errors.UnimplementedError(
            f"{called} along batch and depth must be 1, got {list(values)}"
        )
    return height, width


def _span(size: int, window: int, stride: int, padding: str) -> tuple[int, int, int]:
    """Output size, zeros before, zeros after along one axis."""
    if padding == "VALID":
        return (size - window) // stride + 1, 0, 0
    out = -(-size // stride)
    total = max((out - 1) * stride + window - size, 0)
    return out, total // 2, total - total // 2


def dilation2d(
    input: Any, filters: Any, strides: Sequence[int], padding: str, data_format: str,
    dilations: Sequence[int], name: str | None = None,
) -> Tensor:  # fmt: skip
    """max over a window of input + filters, for every channel by itself.

    Args:
      input: floats (batch, height, width, depth), height and width known.
      filters: (window height, window width, depth), of the same dtype.
      strides, dilations: four numbers, the first and last 1.
      padding: "SAME" or "VALID"; what lies outside never is the largest.
      data_format: "NHWC".

    Raises:
      InvalidArgumentError: shapes or a padding that do not fit (ValueError in a graph).
      ValueError: another data format.
    """
    if data_format != "NHWC":
        raise ValueError(f"dilation2d and erosion2d take the data_format NHWC, got {data_format!r}")
    x = convert_to_tensor(input)
    window = convert_to_tensor(filters, None if isinstance(filters, Tensor) else x.dtype)
    if padding not in ("SAME", "VALID"):
        raise refusal(f"padding must be 'SAME' or 'VALID', got {padding!r}")
    if x.shape.rank != 4 or window.shape.rank != 3:
        raise refusal(f"input needs rank 4 and filters rank 3, got {x.shape} and {window.shape}")
    _, height, width, depth = x.shape.as_list()
    rows, columns, channels = window.shape.as_list()
    if None in (height, width, rows, columns):
        raise ValueError(f"height and width must be known, got {x.shape} and {window.shape}")
    if None not in (depth, channels) and depth != channels:
        raise refusal(f"input and filters need one depth, got {depth} and {channels}")
    (down, right), (far, wide) = _middle(strides, "strides"), _middle(dilations, "dilations")
    high, above, below = _span(height, (rows - 1) * far + 1, down, padding)
    broad, before, after = _span(width, (columns - 1) * wide + 1, right, padding)
    if high < 1 or broad < 1:
        raise refusal(
            f"filters of shape {window.shape} do not fit into an input of shape {x.shape}"
        )
    framed = pad(
        x, [[0, 0], [above, below], [before, after], [0, 0]], constant_values=-float("inf")
    )
    best: Any = None
    for i in range(rows):
        for j in range(columns):
            top, left = i * far, j * wide
            part = framed[
                :, top : top + (high - 1) * down + 1 : down,
                left : left + (broad - 1) * right + 1 : right,
            ] + window[i, j]  # fmt: skip
            best = part if best is None else maximum(best, part)  # of equal ones the first learns
    return best


def erosion2d(
    value: Any, filters: Any, strides: Sequence[int], padding: str, data_format: str,
    dilations: Sequence[int], name: str | None = None,
) -> Tensor:  # fmt: skip
    """min over a window of value - filters; arguments and errors as of `dilation2d`."""
    x = convert_to_tensor(value)
    window = convert_to_tensor(filters, None if isinstance(filters, Tensor) else x.dtype)
    flipped = reverse(window, [0, 1])
    return negative(dilation2d(negative(x), flipped, strides, padding, data_format, dilations))


__all__ = ["dilation2d", "erosion2d"]

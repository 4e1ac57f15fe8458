"""Rearranging space: blocks of pixels to channels or to the batch, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.ops.constants import DATA
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.ops.shape_rules import known_ints
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import Tensor


def _nhwc(data_format: str) -> None:
    if data_format != "NHWC":
        raise ValueError(f"data_format {data_format!r} is not supported: use NHWC")


def _to_depth_shape(input: Arg, *, block_size: int, **attrs: Any) -> TensorShape:
    if input.shape.rank is None:
        return TensorShape([None] * 4)
    n, h, w, c = input.shape.with_rank(4)
    for d in (h, w):
        if d is not None and d % block_size:
            raise ValueError(f"height and width of {input.shape} must be divisible by {block_size}")
    return TensorShape([n, h and h // block_size, w and w // block_size, c and c * block_size**2])


def _to_space_shape(input: Arg, *, block_size: int, **attrs: Any) -> TensorShape:
    if input.shape.rank is None:
        return TensorShape([None] * 4)
    n, h, w, c = input.shape.with_rank(4)
    if c is not None and c % block_size**2:
        raise ValueError(f"channels of {input.shape} must be divisible by {block_size**2}")
    return TensorShape([n, h and h * block_size, w and w * block_size, c and c // block_size**2])


@op("SpaceToDepth", dtypes=DATA, shape=_to_depth_shape, widen=False,
    samples=lambda rng: [((rng.normal(size=(1, 4, 2, 3)),), {"block_size": 2})])  # fmt: skip
def space_to_depth_op(xp, input, *, block_size, data_format="NHWC"):
    """Blocks of pixels become channels: [n, h, w, c] to [n, h/b, w/b, c*b*b]."""
    _nhwc(data_format)
    (n, h, w, c), b = input.shape, block_size
    split = input.reshape(n, h // b, b, w // b, b, c).transpose(0, 1, 3, 2, 4, 5)
    return split.reshape(n, h // b, w // b, b * b * c)


@space_to_depth_op.gradient
def _(g, _y, _input, *, block_size, data_format):
    return depth_to_space_op(g, block_size=block_size, data_format=data_format)


@op("DepthToSpace", dtypes=DATA, shape=_to_space_shape, widen=False,
    samples=lambda rng: [((rng.normal(size=(1, 2, 1, 8)),), {"block_size": 2})])  # fmt: skip
def depth_to_space_op(xp, input, *, block_size, data_format="NHWC"):
    """Channels become blocks of pixels: [n, h, w, c*b*b] to [n, h*b, w*b, c]."""
    _nhwc(data_format)
    (n, h, w, c), b = input.shape, block_size
    split = input.reshape(n, h, w, b, b, c // (b * b)).transpose(0, 1, 3, 2, 4, 5)
    return split.reshape(n, h * b, w * b, c // (b * b))


@depth_to_space_op.gradient
def _(g, _y, _input, *, block_size, data_format):
    return space_to_depth_op(g, block_size=block_size, data_format=data_format)


def _batched_shape(factor: int) -> Any:
    """The shape rule: the batch grows (factor 1) or shrinks (-1) by the block."""

    def rule(input: Arg, block_shape: Arg, widths: Arg) -> TensorShape:
        block, pads = known_ints(block_shape), widths.value
        if input.shape.rank is None:
            return UNKNOWN
        if block is None or None in block or pads is None or isinstance(pads, list):
            return TensorShape([None] * input.shape.rank)
        pads = np.asarray(pads).reshape(-1, 2).tolist()
        n, dims = input.shape[0], input.shape.as_list()
        whole = int(np.prod([int(b or 0) for b in block]))
        dims[0] = None if n is None else (n * whole if factor > 0 else n // whole)
        for i, (b, (lead, trail)) in enumerate(zip(block, pads), 1):
            if dims[i] is None:
                continue
            if factor > 0:
                dims[i] = (dims[i] + lead + trail) // b
            else:
                dims[i] = dims[i] * b - lead - trail
        return TensorShape(dims)

    return rule


def _i(*values: Any) -> np.ndarray:
    return np.array(values, np.int32)


@op("SpaceToBatchND", dtypes=DATA, host=("block_shape", "paddings"), shape=_batched_shape(1),
    widen=False,
    samples=lambda rng: [((rng.normal(size=(1, 3, 2, 2)), _i(2, 2), _i([1, 0], [0, 0])), {}),
                         ((rng.normal(size=(2, 4)), _i(2), _i([0, 2])), {})])  # fmt: skip
def space_to_batch_nd(xp, input, block_shape, paddings):
    """Blocks along the axes after the first become the batch, after zero padding."""
    block, pads = block_shape.tolist(), paddings.reshape(-1, 2).tolist()
    m = len(block)
    rest = input.shape[m + 1 :]
    padded = [input.shape[0], *[n + a + b for n, (a, b) in zip(input.shape[1:], pads)], *rest]
    room = xp.zeros(padded, input.dtype)
    inside = tuple([slice(a, a + n) for n, (a, _) in zip(input.shape[1:], pads)])
    room[(slice(None), *inside)] = input
    if any(n % b for n, b in zip(padded[1:], block)):
        raise ValueError(f"padded sizes {padded[1 : m + 1]} must be divisible by {block}")
    split = [padded[0]]
    for n, b in zip(padded[1:], block):
        split += [n // b, b]
    order = [
        *range(2, 2 * m + 1, 2),
        0,
        *range(1, 2 * m, 2),
        *range(2 * m + 1, 2 * m + 1 + len(rest)),
    ]
    moved = room.reshape(*split, *rest).transpose(order)
    sizes = [n // b for n, b in zip(padded[1:], block)]
    return moved.reshape(padded[0] * int(np.prod(block)), *sizes, *rest)


@space_to_batch_nd.gradient
def _(g, _y, _input, block_shape, paddings):
    return batch_to_space_nd(g, block_shape, paddings)


@op("BatchToSpaceND", dtypes=DATA, host=("block_shape", "crops"), shape=_batched_shape(-1),
    widen=False,
    samples=lambda rng: [((rng.normal(size=(4, 2, 1, 2)), _i(2, 2), _i([1, 0], [0, 0])), {}),
                         ((rng.normal(size=(4, 3)), _i(2), _i([0, 2])), {})])  # fmt: skip
def batch_to_space_nd(xp, input, block_shape, crops):
    """The batch becomes blocks along the axes after the first, which are then cropped."""
    block, cut = block_shape.tolist(), crops.reshape(-1, 2).tolist()
    m = len(block)
    whole = int(np.prod(block))
    if input.shape[0] % whole:
        raise ValueError(f"the batch {input.shape[0]} must be divisible by {whole}")
    n, sizes, rest = input.shape[0] // whole, input.shape[1 : m + 1], input.shape[m + 1 :]
    order = [m]
    for i in range(m):
        order += [m + 1 + i, i]
    order += range(2 * m + 1, 2 * m + 1 + len(rest))
    moved = input.reshape(*block, n, *sizes, *rest).transpose(order)
    full = moved.reshape(n, *[d * b for d, b in zip(sizes, block)], *rest)
    inside = [slice(a, d * b - z) for d, b, (a, z) in zip(sizes, block, cut)]
    return full[(slice(None), *inside)]


@batch_to_space_nd.gradient
def _(g, _y, _input, block_shape, crops):
    return space_to_batch_nd(g, block_shape, crops)


# ---- public functions -------------------------------------------------------------------------
def space_to_depth(
    input: Any, block_size: int, data_format: str = "NHWC", name: str | None = None
) -> Tensor:
    """Blocks of pixels become channels: [n, h, w, c] to [n, h/b, w/b, c*b*b]."""
    return space_to_depth_op(input, block_size=block_size, data_format=data_format, name=name)


def depth_to_space(
    input: Any, block_size: int, data_format: str = "NHWC", name: str | None = None
) -> Tensor:
    """Channels become blocks of pixels: [n, h, w, c*b*b] to [n, h*b, w*b, c]."""
    return depth_to_space_op(input, block_size=block_size, data_format=data_format, name=name)


def space_to_batch(input: Any, block_shape: Any, paddings: Any, name: str | None = None) -> Tensor:
    """Blocks along the axes after the first become the batch, after zero padding."""
    return space_to_batch_nd(convert_to_tensor(input), block_shape, paddings, name=name)


def batch_to_space(input: Any, block_shape: Any, crops: Any, name: str | None = None) -> Tensor:
    """The batch becomes blocks along the axes after the first, which are then cropped."""
    return batch_to_space_nd(convert_to_tensor(input), block_shape, crops, name=name)

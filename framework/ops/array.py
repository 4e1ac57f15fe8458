"""The functions on arrays under one name; they are written in the files by concern."""

from shardtape.ops.broadcasting import (
    broadcast_args,
    broadcast_dynamic_shape,
    broadcast_to,
    sum_to_shape_of,
)
from shardtape.ops.filling import (
    fill,
    ones,
    ones_like,
    range,
    zeros,
    zeros_like,
)
from shardtape.ops.gather import (
    boolean_mask,
    gather,
    scatter_like,
    unsorted_segment_sum,
)
from shardtape.ops.joining import (
    concat,
    pack,
    split,
    split_like,
    stack,
    sum_tiles,
    tile,
    unpack,
    unstack,
)
from shardtape.ops.selecting import (
    select,
    where,
)
from shardtape.ops.shaping import (
    expand_dims,
    identity,
    invert_permutation,
    prevent_gradient,
    rank,
    reshape,
    shape,
    size,
    squeeze,
    stop_gradient,
    transpose,
)

__all__ = [
    "boolean_mask",
    "broadcast_args",
    "broadcast_dynamic_shape",
    "broadcast_to",
    "concat",
    "expand_dims",
    "fill",
    "gather",
    "identity",
    "invert_permutation",
    "ones",
    "ones_like",
    "pack",
    "prevent_gradient",
    "range",
    "rank",
    "reshape",
    "scatter_like",
    "select",
    "shape",
    "size",
    "split",
    "split_like",
    "squeeze",
    "stack",
    "stop_gradient",
    "sum_tiles",
    "sum_to_shape_of",
    "tile",
    "transpose",
    "unpack",
    "unsorted_segment_sum",
    "unstack",
    "where",
    "zeros",
    "zeros_like",
]

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
from shardtape.ops.padding import (
    mirror_pad_grad,
    pad,
    slice_grad,
    unpad,
)
from shardtape.ops.padding import (
    slice_ as slice,
)
from shardtape.ops.partition import (
    dynamic_partition,
    dynamic_stitch,
)
from shardtape.ops.scatter import (
    gather_nd,
    scatter_nd,
    tensor_scatter_nd_add,
    tensor_scatter_nd_max,
    tensor_scatter_nd_min,
    tensor_scatter_nd_sub,
    tensor_scatter_nd_update,
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
    "dynamic_partition",
    "dynamic_stitch",
    "expand_dims",
    "fill",
    "gather",
    "gather_nd",
    "identity",
    "invert_permutation",
    "mirror_pad_grad",
    "ones",
    "ones_like",
    "pack",
    "pad",
    "prevent_gradient",
    "range",
    "rank",
    "reshape",
    "scatter_like",
    "scatter_nd",
    "select",
    "shape",
    "size",
    "slice",
    "slice_grad",
    "split",
    "split_like",
    "squeeze",
    "stack",
    "stop_gradient",
    "sum_tiles",
    "sum_to_shape_of",
    "tensor_scatter_nd_add",
    "tensor_scatter_nd_max",
    "tensor_scatter_nd_min",
    "tensor_scatter_nd_sub",
    "tensor_scatter_nd_update",
    "tile",
    "transpose",
    "unpack",
    "unpad",
    "unsorted_segment_sum",
    "unstack",
    "where",
    "zeros",
    "zeros_like",
]

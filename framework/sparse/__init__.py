"""`tf.sparse`: SparseTensors."""

from shardtape.sparse.arithmetic import (
    add,
    eye,
    map_values,
    mask,
    reduce_max,
    reduce_sum,
    softmax,
    sparse_dense_matmul,
    to_indicator,
)
from shardtape.sparse.arithmetic import sparse_maximum as maximum
from shardtape.sparse.arithmetic import sparse_minimum as minimum
from shardtape.sparse.counting import bincount
from shardtape.sparse.crossing import cross, cross_hashed
from shardtape.sparse.places import (
    concat,
    expand_dims,
    fill_empty_rows,
    reorder,
    reset_shape,
    reshape,
    retain,
    slice,
    split,
    transpose,
)
from shardtape.sparse.segments import segment_mean, segment_sqrt_n, segment_sum
from shardtape.sparse_tensor import SparseTensor, from_dense, to_dense

__all__ = [
    "SparseTensor",
    "add",
    "bincount",
    "concat",
    "cross",
    "cross_hashed",
    "expand_dims",
    "eye",
    "fill_empty_rows",
    "from_dense",
    "map_values",
    "mask",
    "maximum",
    "minimum",
    "reduce_max",
    "reduce_sum",
    "reorder",
    "reset_shape",
    "reshape",
    "retain",
    "segment_mean",
    "segment_sqrt_n",
    "segment_sum",
    "slice",
    "softmax",
    "sparse_dense_matmul",
    "split",
    "to_dense",
    "to_indicator",
    "transpose",
]

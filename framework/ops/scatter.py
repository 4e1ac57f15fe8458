"""Elements by index vectors: GatherNd, ScatterNd and updates of tensors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import compare
from shardtape.ops.cast import cast
from shardtape.ops.composites import takes_composites
from shardtape.ops.constants import DATA
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import ones_like_op, zeros_like_op
from shardtape.ops.gather import sum_rows
from shardtape.ops.kernel_errors import shown
from shardtape.ops.registry import Arg, op
from shardtape.ops.shape_rules import from_vector
from shardtape.ops.shaping import host_shape, shape
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import Tensor


def index_columns(xp: Any, indices: Any, dims: Any, what: str) -> tuple[Any, ...]:
    """Index vectors [..., depth] as one array per axis. Raises for one that is out of range."""
    depth = indices.shape[-1]
    if depth > len(dims):
        raise ValueError(f"index vectors of {depth} entries for a tensor of rank {len(dims)}")
    columns = tuple([indices[..., i] for i in range(depth)])
    if xp is np:
        for i, column in enumerate(columns):
            if column.size and (column.min() < 0 or column.max() >= dims[i]):
                flat = indices.reshape(-1, depth)
                bad = np.argmax(((flat < 0) | (flat >= np.array(dims[:depth]))).any(1))
                place = "".join(f"[{n}]" for n in np.unravel_index(bad, indices.shape[:-1]))
                raise errors.InvalidArgumentError(
                    f"indices{place} = {shown(flat[bad].tolist())} does not index into "
                    + (
                        f"param shape {shown(dims)}, node name: GatherNd"
                        if what == "GatherNd"
                        else f"shape {shown(dims)}"
                    )
                    + f" [Op:{what}]"
                )
    return columns


# ---- reading ----------------------------------------------------------------------------------
def _gather_nd_shape(params: Arg, indices: Arg) -> TensorShape:
    if params.shape.rank is None or indices.shape.rank is None or indices.shape[-1] is None:
        return UNKNOWN
    if indices.shape[-1] > params.shape.rank:
        raise ValueError(
            f"indices.shape[-1] must be <= params.rank, but saw indices shape: {indices.shape} "
            f"and params shape: {params.shape}"
        )
    return indices.shape[:-1].concatenate(params.shape[indices.shape[-1] :])


@op(
    "GatherNd",
    dtypes=DATA,
    mixed=True,
    shape=_gather_nd_shape,
    samples=lambda rng: [
        ((rng.normal(size=(3, 4)), np.array([[0, 1], [2, 3], [0, 1]], np.int32)), {}),
        ((rng.normal(size=(3, 4)), np.array([[[2]], [[0]]], np.int64)), {}),
    ],
)
def gather_nd_op(xp, params, indices):
    """Elements or slices of `params` at index vectors: indices [..., depth]."""
    columns = index_columns(xp, indices, params.shape, "GatherNd")
    if not columns:
        return xp.broadcast_to(params, indices.shape[:-1] + params.shape).copy()
    if xp is not np or not params.flags.c_contiguous:
        return params[columns]
    place = columns[0]  # of whole slices; `take` copies them faster than several indices do
    for column, n in zip(columns[1:], params.shape[1:]):
        place = place.astype(np.intp) * n + column
    count = math.prod(params.shape[: len(columns)])
    return params.reshape(count, *params.shape[len(columns) :]).take(place, 0)


@gather_nd_op.gradient
def _(g, _y, params, indices):
    return scatter_nd_op(indices, g, shape(params)), None


# ---- writing ----------------------------------------------------------------------------------
def check_updates(indices: Any, dims: Any, updates: Any) -> None:
    """Raises ValueError unless `updates` [..., rest of dims] fit index vectors [..., depth]."""
    outer, depth = tuple(indices.shape[:-1]), indices.shape[-1]
    inner = tuple(dims[depth:])
    if tuple(updates.shape) == outer + inner:
        return
    if not updates.ndim:
        raise ValueError("Updates shape must have rank at least one. Found:[]")
    if tuple(updates.shape[: len(outer)]) != outer:
        raise ValueError(
            "Outer dimensions of indices and update must match. Indices shape: "
            f"{shown(indices.shape)}, updates shape:{shown(updates.shape)}"
        )
    raise ValueError(
        "Inner dimensions of output shape must match inner dimensions of updates shape. "
        f"Output: {shown(dims)} updates: {shown(updates.shape)}"
    )


def _check_updates_shape(tensor: TensorShape, indices: Arg, updates: Arg) -> None:
    """What `check_updates` refuses, as far as the shapes are known. Raises ValueError."""
    if indices.shape.rank is None or updates.shape.rank is None or not indices.shape.rank:
        return
    outer = indices.shape[:-1]
    if updates.shape.rank < outer.rank or not updates.shape[: outer.rank].is_compatible_with(outer):
        raise ValueError(
            f"Dimensions [0,{outer.rank}) of indices[shape={indices.shape}] must match "
            f"dimensions [0,{outer.rank}) of updates[shape={updates.shape}]"
        )
    depth = indices.shape[-1]
    if tensor.rank is None or depth is None or depth > tensor.rank:
        return
    if not updates.shape[outer.rank :].is_compatible_with(tensor[depth:]):
        raise ValueError(
            f"Dimensions [{depth},{tensor.rank}) of input[shape={tensor}] must match dimensions "
            f"[{outer.rank},{updates.shape.rank}) of updates[shape={updates.shape}]"
        )


def _scatter_nd_shape(indices: Arg, updates: Arg, shape: Arg) -> TensorShape:
    made = from_vector(2)(indices, updates, shape)
    _check_updates_shape(made, indices, updates)
    return made


def _update_shape(tensor: Arg, indices: Arg, updates: Arg) -> TensorShape:
    _check_updates_shape(tensor.shape, indices, updates)
    return tensor.shape


@op(
    "ScatterNd",
    dtypes=dt.NUMERIC | dt.BOOL | {dt.string},
    mixed=True,
    dtype=lambda dtypes, attrs: dtypes[1],
    host=("shape",),
    shape=_scatter_nd_shape,
    samples=lambda rng: [
        ((np.array([[1], [3], [1]], np.int32), rng.normal(size=(3,)), np.array([4], np.int32)), {}),
        ((np.array([[0], [2]], np.int32), rng.normal(size=(2, 3)), np.array([3, 3], np.int32)), {}),
        ((np.array([[0, 1]], np.int32), rng.normal(size=(1,)), np.array([2, 2], np.int32)), {}),
    ],
)
def scatter_nd_op(xp, indices, updates, shape):
    """Zeros of `shape` with `updates` added at the index vectors: indices [..., depth]."""
    dims, depth = tuple(shape.tolist()), indices.shape[-1]
    check_updates(indices, dims, updates)
    columns = index_columns(xp, indices, dims, "ScatterNd")
    flat = xp.zeros(indices.shape[:-1], np.int64)
    for column, n in zip(columns, dims):
        flat = flat * n + column
    count = int(np.prod(dims[:depth], dtype=np.int64))
    width = int(np.prod(dims[depth:], dtype=np.int64))
    if updates.dtype.kind == "b":
        out = xp.zeros(dims, updates.dtype)
        out[columns] = updates
        return out
    if updates.dtype == object:
        return _scattered_strings(updates.reshape(flat.size, width), flat, count).reshape(dims)
    rows = updates.reshape(flat.size, width)
    return sum_rows(xp, rows, flat.reshape(-1), count).reshape(dims)


def _scattered_strings(rows: Any, places: Any, count: int) -> Any:
    """Rows of strings at places, b"" elsewhere; what meets at one place is joined in order."""
    out = np.full((count, rows.shape[1]), b"", object)
    for place, row in zip(places.reshape(-1), rows):
        out[place] += row
    return out


@scatter_nd_op.gradient
def _(g, _y, indices, _updates, _shape):
    return None, gather_nd_op(g, indices)


def _update_dtype(dtypes: Any, attrs: Any) -> dt.DType:
    if dtypes[0] is not dtypes[2]:
        raise errors.InvalidArgumentError(
            f"tensor and updates need one dtype, got {dtypes[0].name} and {dtypes[2].name}"
        )
    return dtypes[0]


def _update_samples(rng: np.random.Generator) -> Any:
    return [
        ((rng.normal(size=(4,)), np.array([[1], [3]], np.int32), rng.normal(size=(2,))), {}),
        ((rng.normal(size=(3, 2)), np.array([[2]], np.int32), rng.normal(size=(1, 2))), {}),
    ]


def _update(type_name: str, dtypes: Any, cases: Any = _update_samples) -> Any:
    return op(type_name, dtypes=dtypes, dtype=_update_dtype, mixed=True, shape=_update_shape,
              widen=False, samples=cases)  # fmt: skip


@_update("TensorScatterUpdate", DATA)
def tensor_scatter_update_op(xp, tensor, indices, updates):
    """`tensor` with `updates` at the index vectors; of several for one place the last stays."""
    check_updates(indices, tensor.shape, updates)
    out = tensor.copy()
    out[index_columns(xp, indices, tensor.shape, "TensorScatterUpdate")] = updates
    return out


@tensor_scatter_update_op.gradient
def _(g, _y, _tensor, indices, updates):
    kept = tensor_scatter_update_op(g, indices, zeros_like_op(updates))
    return kept, None, gather_nd_op(g, indices)


@_update("TensorScatterAdd", dt.NUMERIC)
def tensor_scatter_add_op(xp, tensor, indices, updates):
    """`tensor` with `updates` added at the index vectors."""
    check_updates(indices, tensor.shape, updates)
    out = tensor.copy()
    xp.add.at(out, index_columns(xp, indices, tensor.shape, "TensorScatterAdd"), updates)
    return out


@tensor_scatter_add_op.gradient
def _(g, _y, _tensor, indices, _updates):
    return g, None, gather_nd_op(g, indices)


@_update("TensorScatterSub", dt.NUMERIC)
def tensor_scatter_sub_op(xp, tensor, indices, updates):
    """`tensor` with `updates` subtracted at the index vectors."""
    check_updates(indices, tensor.shape, updates)
    out = tensor.copy()
    xp.subtract.at(out, index_columns(xp, indices, tensor.shape, "TensorScatterSub"), updates)
    return out


@tensor_scatter_sub_op.gradient
def _(g, _y, _tensor, indices, _updates):
    return g, None, -gather_nd_op(g, indices)


@_update("TensorScatterMax", dt.REAL)
def tensor_scatter_max_op(xp, tensor, indices, updates):
    """The larger of `tensor` and the `updates` at the index vectors."""
    check_updates(indices, tensor.shape, updates)
    out = tensor.copy()
    xp.maximum.at(out, index_columns(xp, indices, tensor.shape, "TensorScatterMax"), updates)
    return out


@_update("TensorScatterMin", dt.REAL)
def tensor_scatter_min_op(xp, tensor, indices, updates):
    """The smaller of `tensor` and the `updates` at the index vectors."""
    check_updates(indices, tensor.shape, updates)
    out = tensor.copy()
    xp.minimum.at(out, index_columns(xp, indices, tensor.shape, "TensorScatterMin"), updates)
    return out


def _extreme_gradient(g: Any, y: Any, tensor: Any, indices: Any, updates: Any) -> Any:
    """Equal shares for the element and all updates that are the extreme one."""
    chosen = gather_nd_op(y, indices)
    here = cast(compare.equal(chosen, updates), g.dtype)
    there = cast(compare.equal(y, tensor), g.dtype)
    shares = g / tensor_scatter_add_op(there, indices, here)
    return there * shares, None, here * gather_nd_op(shares, indices)


tensor_scatter_max_op.gradient(_extreme_gradient)
tensor_scatter_min_op.gradient(_extreme_gradient)


# ---- public functions -------------------------------------------------------------------------
@takes_composites
def gather_nd(params: Any, indices: Any, batch_dims: int = 0, name: str | None = None) -> Tensor:
    """Elements or slices of `params` at index vectors: indices [..., depth].

    The first `batch_dims` axes of both go together.
    """
    indices = convert_to_tensor(indices)
    if batch_dims:
        indices = _with_batch_index(indices, batch_dims)
    return gather_nd_op(convert_to_tensor(params), indices, name=name)


def _with_batch_index(indices: Tensor, batch_dims: int) -> Tensor:
    """Index vectors that begin with their own place along the batch axes."""
    from shardtape.ops.filling import range as range_
    from shardtape.ops.joining import concat
    from shardtape.ops.shaping import reshape

    sizes = shape(indices)
    one = ones_like_op(indices[..., :1])
    parts = []
    for i in range(batch_dims):
        places = cast(range_(sizes[i]), indices.dtype)
        dims = [-1 if k == i else 1 for k in range(len(indices.shape))]
        parts.append(reshape(places, dims) * one)
    return concat([*parts, indices], axis=-1)


def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Tensor:
    """Zeros of `shape` with `updates` added at the index vectors."""
    return scatter_nd_op(indices, updates, host_shape(shape), name=name)


def _updated(update_op: Any, tensor: Any, indices: Any, updates: Any, name: Any) -> Tensor:
    x = convert_to_tensor(tensor)
    if not isinstance(getattr(updates, "dtype", None), dt.DType):
        updates = convert_to_tensor(updates, x.dtype)
    return update_op(x, indices, updates, name=name)


def tensor_scatter_nd_update(tensor: Any, indices: Any, updates: Any, name: Any = None) -> Tensor:
    """`tensor` with `updates` at the index vectors."""
    return _updated(tensor_scatter_update_op, tensor, indices, updates, name)


def tensor_scatter_nd_add(tensor: Any, indices: Any, updates: Any, name: Any = None) -> Tensor:
    """`tensor` with `updates` added at the index vectors."""
    return _updated(tensor_scatter_add_op, tensor, indices, updates, name)


def tensor_scatter_nd_sub(tensor: Any, indices: Any, updates: Any, name: Any = None) -> Tensor:
    """`tensor` with `updates` subtracted at the index vectors."""
    return _updated(tensor_scatter_sub_op, tensor, indices, updates, name)


def tensor_scatter_nd_max(tensor: Any, indices: Any, updates: Any, name: Any = None) -> Tensor:
    """The larger of `tensor` and the `updates` at the index vectors."""
    return _updated(tensor_scatter_max_op, tensor, indices, updates, name)


def tensor_scatter_nd_min(tensor: Any, indices: Any, updates: Any, name: Any = None) -> Tensor:
    """The smaller of `tensor` and the `updates` at the index vectors."""
    return _updated(tensor_scatter_min_op, tensor, indices, updates, name)

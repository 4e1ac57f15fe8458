"""Reading rows and elements by index, and sums of rows by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops import compare
from shardtape.ops.composites import takes_composites
from shardtape.ops.constants import DATA, int_scalar
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.joining import concat
from shardtape.ops.node_names import scoped
from shardtape.ops.registry import Arg, op
from shardtape.ops.segment_sums import summed_segments
from shardtape.ops.selecting import select, where_op
from shardtape.ops.shape_rules import axis_index, known_int
from shardtape.ops.shaping import reshape, shape, size
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import Tensor


def check_range(xp: Any, indices: Any, bound: int, what: str) -> None:
    """Raises InvalidArgumentError for an index outside 0..bound-1 (on the host)."""
    if xp is np and indices.size and (indices.min() < 0 or indices.max() >= bound):
        at = np.argwhere((indices < 0) | (indices >= bound))[0]
        place = f"[{', '.join(map(str, at))}]" if indices.ndim else ""
        raise errors.InvalidArgumentError(
            f"indices{place} = {indices[tuple(at)]} is not in [0, {bound}) [Op:{what}]"
        )


# ---- rows by index ----------------------------------------------------------------------------
def _gather_shape(params: Arg, indices: Arg, axis: Arg, *, batch_dims: int = 0) -> TensorShape:
    if not indices.dtype.is_integer:
        raise TypeError(
            f"Value passed to parameter 'indices' has DataType {indices.dtype.name} not in list of "
            "allowed values: int16, int32, int64"
        )
    p, i, at = params.shape, indices.shape, known_int(axis)
    if p.rank is None or i.rank is None or at is None:
        return UNKNOWN
    at = axis_index(at, p.rank)
    batch = batch_dims + i.rank if batch_dims < 0 else batch_dims
    return p[:at].concatenate(i[batch:]).concatenate(p[at + 1 :])


def _gather_samples(rng: np.random.Generator) -> Any:
    p = rng.normal(size=(3, 4))
    return [
        ((p, np.array([2, 0, 2], np.int32), np.int32(0)), {}),
        ((p, np.array([[1, 3], [0, 0]], np.int64), np.int32(1)), {}),
        ((p, np.int32(1), np.int32(-1)), {}),
        ((p, np.array([[1, 3], [0, 0], [2, 1]], np.int32), np.int32(1)), {"batch_dims": 1}),
    ]


@op("GatherV2", dtypes=DATA, mixed=True, host=("axis",), shape=_gather_shape,
    samples=_gather_samples)  # fmt: skip
def gather_op(xp, params, indices, axis, *, batch_dims=0):
    """Slices of `params` along `axis` at `indices` (any shape), which replace that axis.

    The first `batch_dims` axes of both go together.
    """
    if indices.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers, not {indices.dtype}")
    at = axis_index(int(axis), params.ndim)
    check_range(xp, indices, params.shape[at], "GatherV2")
    batch = batch_dims + indices.ndim if batch_dims < 0 else batch_dims
    if not batch:
        return xp.take(params, indices, at)
    if params.shape[:batch] != indices.shape[:batch]:
        raise ValueError(
            f"the first {batch} axes of params {params.shape} and indices {indices.shape} differ"
        )
    grid = []
    rank = at + indices.ndim - batch
    for i in range(at):
        dims = [1] * rank
        dims[i] = params.shape[i]
        grid.append(xp.arange(params.shape[i]).reshape(dims))
    index_dims = indices.shape[:batch] + (1,) * (at - batch) + indices.shape[batch:]
    return params[(*grid, indices.reshape(index_dims))]


@gather_op.writes_into()
def _(xp, out, params, indices, axis, *, batch_dims=0):
    if batch_dims or xp is not np or params.dtype == object:
        xp.copyto(out, gather_op.kernel(xp, params, indices, axis, batch_dims=batch_dims))
        return
    at = axis_index(int(axis), params.ndim)
    check_range(xp, indices, params.shape[at], "GatherV2")
    np.take(params, indices, at, out=out, mode="clip")


@gather_op.gradient
def _(g, _y, params, indices, axis, *, batch_dims):
    if batch_dims == 0 and _is_zero(axis):
        sizes = shape(params)
        count = reshape(size(indices), [1])
        rows = reshape(g, concat([count, sizes[1:]], 0))
        return IndexedSlices(rows, reshape(indices, [-1]), sizes), None
    return scatter_like(g, params, indices, axis, batch_dims=batch_dims), None


def _is_zero(axis: Any) -> bool:
    from shardtape.graph.static import constant_value

    known = constant_value(axis)
    return known is not None and int(known) == 0


def _scatter_like_reference(g: Any, params: Any, indices: Any, axis: Any, batch_dims: int) -> Any:
    where = np.arange(params.size).reshape(params.shape)
    places = gather_op.kernel(np, where, indices, axis, batch_dims=batch_dims)
    out = np.zeros(params.size, g.dtype)
    for place, value in zip(places.ravel(), g.ravel()):
        out[place] += value
    return out.reshape(params.shape)


@op(
    "ScatterLike",
    dtypes=dt.NUMERIC,
    shape_only=("params",),
    mixed=True,
    host=("axis",),
    shape=lambda g, params, indices, axis, batch_dims=0: params.shape,
    samples=lambda rng: [
        (
            (
                rng.normal(size=(3, 2, 2)),
                np.zeros((3, 4)),
                np.array([[1, 3], [0, 0]], np.int64),
                np.int32(1),
            ),
            {},
        ),
        (
            (
                rng.normal(size=(3, 2)),
                np.zeros((3, 4)),
                np.array([[1, 3], [0, 0], [2, 1]], np.int32),
                np.int32(1),
            ),
            {"batch_dims": 1},
        ),
    ],
    reference=lambda g, params, indices, axis, batch_dims=0: _scatter_like_reference(
        g, params, indices, axis, batch_dims
    ),
)
def scatter_like(xp, g, params, indices, axis, *, batch_dims=0):
    """The gradient of `gather` along any axis: `g` added up at `indices` in zeros like `params`."""
    if not g.size:
        return xp.zeros(params.shape, g.dtype)
    at = axis_index(int(axis), params.ndim)
    batch = batch_dims + indices.ndim if batch_dims < 0 else batch_dims
    outer = int(np.prod(params.shape[:batch], dtype=np.int64))
    middle = int(np.prod(params.shape[batch:at], dtype=np.int64))
    inner = int(np.prod(params.shape[at + 1 :], dtype=np.int64))
    count = params.shape[at]
    # the axis in front: rows (outer, index) of (middle, inner)
    moved = g.reshape(outer, middle, -1, inner).swapaxes(1, 2).reshape(-1, middle * inner)
    ids = indices.reshape(outer, -1) + count * xp.arange(outer, dtype=np.int64)[:, None]
    total = sum_rows(xp, moved, ids.reshape(-1), outer * count)
    return total.reshape(outer, count, middle, inner).swapaxes(1, 2).reshape(params.shape)


@scatter_like.gradient
def _(g, _y, _g, _params, indices, axis, *, batch_dims):
    return gather_op(g, indices, axis, batch_dims=batch_dims), None, None


# ---- sums of rows -----------------------------------------------------------------------------
def sum_rows(xp: Any, rows: Any, ids: Any, count: int) -> Any:
    """Rows added up by id: [n, ...] to [count, ...]; negative ids are dropped."""
    total = xp.zeros((count, *rows.shape[1:]), rows.dtype)
    if not rows.size:
        return total
    if xp is not np:
        kept = ids >= 0
        xp.add.at(total, ids[kept], rows[kept])
        return total
    if rows.size == rows.shape[0]:  # single numbers: sorting costs more than it saves
        kept = ids if ids.min() >= 0 else ids[ids >= 0]
        flat = rows.reshape(-1)
        np.add.at(total.reshape(-1), kept, flat if kept is ids else flat[ids >= 0])
        return total
    if not bool((ids[1:] >= ids[:-1]).all()):
        order = np.argsort(ids, kind="stable")
        rows, ids = rows.take(order, 0), ids[order]
    first = int(np.searchsorted(ids, 0))
    if first:
        rows, ids = rows[first:], ids[first:]
        if not len(ids):
            return total
    starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1])))
    total[ids[starts]] = summed_segments(rows, starts)
    return total


def _segment_shape(data: Arg, ids: Arg, count: Arg) -> TensorShape:
    if data.shape.rank is None or ids.shape.rank is None:
        return UNKNOWN
    return TensorShape([known_int(count)]).concatenate(data.shape[ids.shape.rank :])


@op(
    "UnsortedSegmentSum",
    dtypes=dt.NUMERIC,
    mixed=True,
    host=("num_segments",),
    shape=_segment_shape,
    samples=lambda rng: [
        ((rng.normal(size=(4, 2)), np.array([1, 0, 1, -1], np.int32), np.int32(3)), {}),
        ((rng.normal(size=(2, 2)), np.array([[1, 0], [1, 1]], np.int64), np.int32(2)), {}),
    ],
)
def unsorted_segment_sum(xp, data, segment_ids, num_segments):
    """Row i of the result is the sum of the rows of `data` whose id is i; negative ids drop."""
    rank, count = segment_ids.ndim, int(num_segments)
    if data.shape[:rank] != segment_ids.shape:
        raise ValueError("data.shape must start with segment_ids.shape")
    ids = segment_ids.reshape(-1)
    if xp is np and ids.size and ids.max() >= count:
        raise errors.InvalidArgumentError(
            f"segment_ids has {ids.max()}, which is not in [0, {count}) [Op:UnsortedSegmentSum]"
        )
    width = int(np.prod(data.shape[rank:], dtype=np.int64))
    rows = data.reshape(ids.shape[0], width)
    return sum_rows(xp, rows, ids, count).reshape(count, *data.shape[rank:])


@unsorted_segment_sum.gradient
def _(g, _y, _data, segment_ids, _count):
    zero = zeros_like_op(segment_ids)
    there = compare.greater_equal(segment_ids, zero)
    rows = gather_op(g, select(there, segment_ids, zero), int_scalar(0))
    kept = reshape(there, concat([shape(there), shape(rows)[_rank_of(there) :] * 0 + 1], 0))
    return select(kept, rows, zeros_like_op(rows)), None


def _rank_of(x: Any) -> Any:
    from shardtape.ops.shaping import rank

    known = x.shape.rank
    return rank(x) if known is None else known


# ---- public functions -------------------------------------------------------------------------
@takes_composites
def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: Any = None,
    batch_dims: int = 0,
    name: str | None = None,
) -> Tensor:
    """Slices of `params` along `axis` (default `batch_dims`) at `indices`.

    Of a Variable along axis 0 only the rows that are asked for are read.

    Raises InvalidArgumentError for an index that is out of range.
    """
    if axis is None:
        axis = batch_dims
    if type(axis) is int:
        if axis == 0 and batch_dims == 0:
            read = getattr(params, "sparse_read", None)
            if read is not None:
                return read(indices, name=name)
        axis = int_scalar(axis)
    return gather_op(params, indices, axis, batch_dims=batch_dims, name=name)


@takes_composites
@scoped("boolean_mask")
def boolean_mask(tensor: Any, mask: Any, axis: Any = None, name: str = "boolean_mask") -> Tensor:
    """The slices of `tensor` where `mask` (bool, of the shape of axes `axis`...) holds.

    Raises ValueError for a scalar mask, or one whose shape does not fit.
    """
    x, mask = convert_to_tensor(tensor), convert_to_tensor(mask)
    mask_rank = mask.shape.rank
    if mask_rank == 0:
        raise ValueError("mask cannot be scalar.")
    if mask_rank is None:
        raise ValueError(
            "Number of mask dimensions must be specified, even if some dimensions are None. "
            "E.g. shape=[None] is ok, but shape=None is not."
        )
    at = 0 if axis is None else int(axis)
    at = at + x.shape.rank if at < 0 else at  # type: ignore[operator]
    x.shape[at : at + mask_rank].assert_is_compatible_with(mask.shape)
    sizes = shape(x)
    inside = reshape(mask, [-1])
    flat = reshape(x, concat([sizes[:at], reshape(size(mask), [1]), sizes[at + mask_rank :]], 0))
    found = reshape(where_op(inside), [-1])
    return gather_op(flat, found, int_scalar(at), name=name)

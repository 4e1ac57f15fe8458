"""Order of elements: reversed, rolled, sorted, the largest, the distinct, positions in order."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops import samples
from shardtape.ops.composites import takes_composites
from shardtape.ops.constants import DATA, int_scalar
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.gather import scatter_like
from shardtape.ops.largest_of_rows import largest_of_rows
from shardtape.ops.node_names import scoped
from shardtape.ops.refusals import refusal
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.shape_rules import axes_of, known_int, with_dim
from shardtape.ops.shaping import reshape, shape, transpose
from shardtape.ops.whole_numbers import refuse_fractions
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import Tensor

_DENSE = 4  # numbers of a range for each element, up to which a table of the range is made
_LONG_ROW = 64  # columns; shorter rows are sorted as fast


# ---- reversed and rolled ----------------------------------------------------------------------
@op(
    "ReverseV2",
    dtypes=DATA,
    host=("axis",),
    shape=same_as(0),
    may_view=True,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), np.array([1], np.int32)), {}),
        ((rng.normal(size=(2, 3)), np.array([0, -1], np.int32)), {}),
    ],
)
def reverse_op(xp, tensor, axis):
    """`tensor` with the order along some axes reversed."""
    axes = axes_of(axis, tensor.ndim)
    return tensor[tuple([slice(None, None, -1 if i in axes else 1) for i in range(tensor.ndim)])]


@reverse_op.gradient
def _(g, _y, _tensor, axis):
    return reverse_op(g, axis)


@op(
    "Roll",
    dtypes=DATA,
    host=("shift", "axis"),
    shape=same_as(0),
    widen=False,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), np.int32(2), np.int32(1)), {}),
        ((rng.normal(size=(2, 3)), np.array([1, -1], np.int32), np.array([0, 1], np.int32)), {}),
    ],
)
def roll_op(xp, input, shift, axis):
    """`input` moved along axes by `shift` places; what falls out comes in at the other end."""
    return xp.roll(input, tuple(shift.reshape(-1).tolist()), tuple(axis.reshape(-1).tolist()))


@roll_op.gradient
def _(g, _y, _input, shift, axis):
    return roll_op(g, -shift, axis)


@op(
    "ReverseSequence",
    dtypes=DATA,
    mixed=True,
    shape=same_as(0),
    widen=False,
    samples=lambda rng: [
        ((rng.normal(size=(2, 4)), np.array([3, 1])), {"seq_dim": 1, "batch_dim": 0}),
        ((rng.normal(size=(3, 2, 2)), np.array([2, 3])), {"seq_dim": 0, "batch_dim": 1}),
    ],
)
def reverse_sequence_op(xp, input, seq_lengths, *, seq_dim, batch_dim=0):
    """The first `seq_lengths[b]` elements along `seq_dim` reversed for every b of `batch_dim`."""
    count = input.shape[seq_dim]
    along = [1] * input.ndim
    along[seq_dim] = count
    across = [1] * input.ndim
    across[batch_dim] = input.shape[batch_dim]
    place = xp.arange(count).reshape(along)
    lengths = seq_lengths.reshape(across)
    source = xp.where(place < lengths, lengths - 1 - place, place)
    return xp.take_along_axis(input, xp.broadcast_to(source, input.shape), seq_dim)


@reverse_sequence_op.gradient
def _(g, _y, _input, seq_lengths, *, seq_dim, batch_dim):
    return reverse_sequence_op(g, seq_lengths, seq_dim=seq_dim, batch_dim=batch_dim), None


# ---- the largest ------------------------------------------------------------------------------
def _top_k_shape(input: Arg, k: Arg, **attrs: Any) -> list[TensorShape]:
    if input.shape.rank is None:
        return [UNKNOWN] * 2
    count, n = known_int(k), input.shape[-1]
    if count is not None and n is not None and count > n:
        raise ValueError(f"input must have last dimension >= k = {count} but is {n}")
    return [with_dim(input.shape, -1, count)] * 2


@op(
    "TopKV2",
    dtypes=dt.REAL,
    dtype=lambda dtypes, attrs: (dtypes[0], dt.int32),
    host=("k",),
    outputs=2,
    widen=False,
    shape=_top_k_shape,
    samples=lambda rng: [
        ((samples.distinct((2, 5))(rng)[0][0][0], np.int32(2)), {}),
        ((samples.distinct((4,))(rng)[0][0][0], np.int32(4)), {}),
    ],
)
def top_k_op(xp, input, k, *, sorted=True):
    """The k largest elements along the last axis in descending order, and their places; of equal
    ones the first comes first."""
    count = int(k)
    if count < 0:
        raise errors.InvalidArgumentError(f"Need k >= 0, got {count} [Op:TopKV2]")
    if count > input.shape[-1]:
        raise errors.InvalidArgumentError(
            f"input must have at least k columns. Had {input.shape[-1]}, needed {count} [Op:TopKV2]"
        )
    n = input.shape[-1]
    if xp is np and n >= _LONG_ROW and 0 < count <= n // 2 and input.dtype.kind in "fiu":
        found = largest_of_rows(input.reshape(-1, n), count) if input.size else None
        if found is not None:
            return tuple([part.reshape(*input.shape[:-1], count) for part in found])
    order = n - 1 - xp.argsort(input[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    places = order[..., :count]
    return xp.take_along_axis(input, places, -1), places.astype(np.int32)


@top_k_op.gradient
def _(g, y, input, _k):
    if g[0] is None:
        return None
    return scatter_like(g[0], input, y[1], int_scalar(-1), batch_dims=-1)


# ---- the distinct -----------------------------------------------------------------------------
def _unique(xp: Any, x: Any) -> tuple[Any, Any, Any]:
    """Distinct values in the order of their first place, place in them, counts."""
    if x.ndim != 1:
        raise ValueError(f"unique expects a vector, got shape {list(x.shape)}: use tf.reshape")
    if xp is np and x.dtype.kind in "iu" and x.size:
        low, high = int(x.min()), int(x.max())
        if high - low < _DENSE * x.size and high < 1 << 63:
            return _unique_of_range(x, low, high)
    values, first, inverse, counts = xp.unique(
        x, return_index=True, return_inverse=True, return_counts=True
    )
    order = xp.argsort(first)
    rank = xp.argsort(order)
    return values[order], rank[inverse.reshape(-1)], counts[order]


def _unique_of_range(x: np.ndarray, low: int, high: int) -> tuple[Any, Any, Any]:
    """`_unique` of whole numbers that lie close together, without sorting them."""
    places = x.astype(np.int64) - low
    first = np.full(high - low + 1, -1, np.int64)
    first[places[::-1]] = np.arange(x.size - 1, -1, -1)  # the last one written is the first
    found = np.flatnonzero(first >= 0)
    chosen = found[np.argsort(first[found])]
    rank = np.empty(high - low + 1, np.int64)
    rank[chosen] = np.arange(chosen.size)
    counts = np.bincount(places, minlength=high - low + 1)
    return x[first[chosen]], rank[places], counts[chosen]


_DISTINCT = lambda rng: [((np.array([1.0, 3.0, 1.0, 2.0, 3.0]),), {}),
                         ((np.array([4.0, 4.0]),), {"out_idx": dt.int64})]  # fmt: skip


@op(
    "Unique",
    dtypes=DATA - {dt.complex64, dt.complex128},
    dtype=lambda dtypes, attrs: (dtypes[0], attrs["out_idx"]),
    outputs=2,
    dynamic=True,
    widen=False,
    differentiable=False,
    shape=lambda x, out_idx=None: [TensorShape([None]), x.shape],
    samples=_DISTINCT,
)
def unique_op(xp, x, *, out_idx=dt.int32):
    """The distinct elements of a vector in their order, and each element's place among them."""
    values, places, _ = _unique(xp, x)
    return values, places


@op(
    "UniqueWithCounts",
    dtypes=DATA - {dt.complex64, dt.complex128},
    dtype=lambda dtypes, attrs: (dtypes[0], attrs["out_idx"], attrs["out_idx"]),
    outputs=3,
    dynamic=True,
    widen=False,
    differentiable=False,
    shape=lambda x, out_idx=None: [TensorShape([None]), x.shape, TensorShape([None])],
    samples=_DISTINCT,
)
def unique_with_counts_op(xp, x, *, out_idx=dt.int32):
    """As `Unique`, with the number of times that each distinct element occurs."""
    return _unique(xp, x)


@op(
    "ListDiff",
    dtypes=DATA - {dt.complex64, dt.complex128},
    dtype=lambda dtypes, attrs: (dtypes[0], attrs["out_idx"]),
    outputs=2,
    dynamic=True,
    widen=False,
    differentiable=False,
    shape=lambda x, y, out_idx=None: [TensorShape([None])] * 2,
    samples=lambda rng: [((np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 4.0])), {})],
)
def list_diff_op(xp, x, y, *, out_idx=dt.int32):
    """The elements of the vector `x` that are not in `y`, and their places."""
    if x.dtype == object:
        known = set(y.tolist())
        places = np.array([i for i, v in enumerate(x.tolist()) if v not in known], np.int64)
    else:
        places = xp.nonzero(~xp.isin(x, y))[0]
    return x[places], places


# ---- positions in an order --------------------------------------------------------------------
def _bound(xp: Any, rows: Any, values: Any, side: str) -> Any:
    if rows.ndim != 2 or values.ndim != 2 or rows.shape[0] != values.shape[0]:
        raise ValueError("sorted_inputs and values must be matrices with as many rows")
    found = [xp.searchsorted(rows[i], values[i], side=side) for i in range(rows.shape[0])]
    return xp.stack(found) if found else xp.zeros(values.shape, np.int64)


def _bound_samples(rng: np.random.Generator) -> Any:
    return [((np.array([[1.0, 2.0, 2.0, 5.0]]), np.array([[0.0, 2.0, 3.0, 9.0]])), {})]


@op("LowerBound", dtypes=dt.REAL, dtype="out_type", shape=same_as(1), differentiable=False,
    widen=False, samples=_bound_samples)  # fmt: skip
def lower_bound(xp, sorted_inputs, values, *, out_type=dt.int32):
    """For each value the first place in its sorted row at which it may be inserted."""
    return _bound(xp, sorted_inputs, values, "left")


@op("UpperBound", dtypes=dt.REAL, dtype="out_type", shape=same_as(1), differentiable=False,
    widen=False, samples=_bound_samples)  # fmt: skip
def upper_bound(xp, sorted_inputs, values, *, out_type=dt.int32):
    """For each value the last place in its sorted row at which it may be inserted."""
    return _bound(xp, sorted_inputs, values, "right")


# ---- public functions -------------------------------------------------------------------------
TopKV2 = namedtuple("TopKV2", ["values", "indices"])
Unique = namedtuple("Unique", ["y", "idx"])
UniqueWithCounts = namedtuple("UniqueWithCounts", ["y", "idx", "count"])
ListDiff = namedtuple("ListDiff", ["out", "idx"])


@takes_composites
def reverse(tensor: Any, axis: Any, name: str | None = None) -> Tensor:
    """`tensor` with the order along `axis` (a list) reversed."""
    if type(axis) is int:
        raise refusal(f"axis of reverse must be a list of axes, like [{axis}], got {axis}")
    return reverse_op(tensor, axis, name=name)


def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """`input` moved along `axis` by `shift` places, round and round."""
    return roll_op(input, shift, axis, name=name)


def reverse_sequence(
    input: Any, seq_lengths: Any, seq_axis: int | None = None, batch_axis: int | None = None,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The first `seq_lengths[b]` elements along `seq_axis` reversed for every b."""
    lengths = convert_to_tensor(seq_lengths)
    return reverse_sequence_op(
        convert_to_tensor(input), lengths, seq_dim=seq_axis, batch_dim=batch_axis or 0, name=name
    )


def top_k(
    input: Any, k: Any = 1, sorted: bool = True, index_type: Any = dt.int32, name: Any = None
) -> Any:
    """The k largest elements along the last axis, and their places: (values, indices)."""
    from shardtape.ops.cast import cast

    refuse_fractions(k, "k of top_k", errors.InvalidArgumentError)
    k = int_scalar(k) if type(k) is int else k
    values, indices = top_k_op(input, k, sorted=sorted, name=name)
    return TopKV2(values, cast(indices, index_type))


def _last_axis(x: Any, axis: int) -> Any:
    """`x` with `axis` in the last place, and the permutation that undoes it (None: it is)."""
    rank = len(x.shape)
    if not -rank <= axis < rank:
        raise refusal(f"axis {axis} of sort or argsort is out of range for shape {x.shape}")
    at = axis % rank
    if at == rank - 1:
        return x, None
    order = [i for i in range(rank) if i != at] + [at]
    return transpose(x, order), [order.index(i) for i in range(rank)]


def _check_direction(direction: str) -> None:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(
            f"Argument `direction` should be one of 'ASCENDING' or 'DESCENDING'. Received: "
            f"direction={direction}"
        )


def _mirrored(x: Any) -> Any:
    """Values in the opposite order; undone by itself."""
    if x.dtype.is_unsigned:
        return convert_to_tensor(x.dtype.max, x.dtype) - x
    return -x - 1 if x.dtype.is_integer else -x


@scoped("sort")
def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: Any = None) -> Tensor:
    """`values` in order along `axis`."""
    _check_direction(direction)
    x, back = _last_axis(convert_to_tensor(values), axis)
    count = shape(x)[-1]
    if direction == "DESCENDING":
        made = top_k_op(x, count)[0]
    else:
        made = _mirrored(top_k_op(_mirrored(x), count)[0])
    return made if back is None else transpose(made, back, name=name)


def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """The places of `values` in order along `axis`, int32; of equal ones the first first."""
    _check_direction(direction)
    x, back = _last_axis(convert_to_tensor(values), axis)
    source = x if direction == "DESCENDING" else _mirrored(x)
    made = top_k_op(source, shape(x)[-1])[1]
    return made if back is None else transpose(made, back, name=name)


def unique(x: Any, out_idx: Any = dt.int32, name: str | None = None) -> Any:
    """The distinct elements of a vector in their order, and each element's place among them."""
    return Unique(*unique_op(x, out_idx=dt.as_dtype(out_idx), name=name))


def unique_with_counts(x: Any, out_idx: Any = dt.int32, name: str | None = None) -> Any:
    """As `unique`, with the number of times that each occurs: (y, idx, count)."""
    return UniqueWithCounts(*unique_with_counts_op(x, out_idx=dt.as_dtype(out_idx), name=name))


def setdiff1d(x: Any, y: Any, index_dtype: Any = dt.int32, name: str | None = None) -> Any:
    """The elements of the vector `x` that are not in `y`, and their places."""
    return ListDiff(*list_diff_op(x, y, out_idx=dt.as_dtype(index_dtype), name=name))


def searchsorted(
    sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = dt.int32,
    name: str | None = None,
) -> Tensor:  # fmt: skip
    """Where `values` would be inserted into sorted rows (the last axis), ints of their shape."""
    rows = convert_to_tensor(sorted_sequence)
    wanted = convert_to_tensor(values, None if isinstance(values, Tensor) else rows.dtype)
    last = shape(rows)[-1]
    flat_rows = reshape(rows, [-1, last])
    flat_wanted = reshape(wanted, [-1, shape(wanted)[-1]])
    bound = {"left": lower_bound, "right": upper_bound}.get(side)
    if bound is None:
        raise ValueError(f"side must be either 'right' or 'left', got {side!r}")
    found = bound(flat_rows, flat_wanted, out_type=dt.as_dtype(out_type))
    return reshape(found, shape(wanted), name=name)

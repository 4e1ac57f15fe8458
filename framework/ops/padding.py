"""Slices of given sizes, and padding: zeros, a constant, or a mirror."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.constants import DATA
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.kernel_errors import shown
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.shape_rules import known_ints, same_rank
from shardtape.ops.shaping import host_shape, shape
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import Tensor


def _vector(*values: int) -> np.ndarray:
    return np.array(values, np.int32)


# ---- slices -----------------------------------------------------------------------------------
def _slice_shape(input: Arg, begin: Arg, size: Arg) -> TensorShape:
    starts, sizes = known_ints(begin), known_ints(size)
    if sizes is None:
        return same_rank(input)
    dims = input.shape.as_list() if input.shape.rank is not None else [None] * len(sizes)
    starts = starts or [None] * len(sizes)
    out: list[Any] = []
    for d, b, n in zip(dims, starts, sizes):
        if n == -1:
            out.append(None if d is None or b is None else d - b)
        else:
            if d is not None and b is not None and n is not None and not 0 <= b <= b + n <= d:
                raise ValueError(f"slice of {n} from {b} does not lie in a size of {d}")
            out.append(n)
    return TensorShape(out)


@op(
    "Slice",
    dtypes=DATA,
    host=("begin", "size"),
    shape=_slice_shape,
    may_view=True,
    samples=lambda rng: [
        ((rng.normal(size=(3, 4)), _vector(1, 0), _vector(2, 3)), {}),
        ((rng.normal(size=(3, 4)), _vector(0, 1), _vector(-1, -1)), {}),
    ],
)
def slice_op(xp, input, begin, size):
    """`size` elements along every axis from `begin` on; -1 means all that are left."""
    starts, sizes = begin.tolist(), size.tolist()
    if len(starts) != input.ndim or len(sizes) != input.ndim:
        raise ValueError(f"begin {starts} and size {sizes} need one entry per axis")
    index = []
    for i, (b, n, d) in enumerate(zip(starts, sizes, input.shape)):
        n = d - b if n == -1 else n
        if not 0 <= b <= b + n <= d:
            raise errors.InvalidArgumentError(
                f"Expected size[{i}] in [0, {d - b}], but got {n} [Op:Slice]"
                if 0 <= b <= d
                else f"Expected begin[{i}] in [0, {d}], but got {b} [Op:Slice]"
            )
        index.append(slice(b, b + n))
    return input[tuple(index)]


@slice_op.gradient
def _(g, _y, input, begin, _size):
    return slice_grad(g, input, begin)


def _slice_grad_reference(g: Any, input: Any, begin: Any) -> Any:
    out = np.zeros_like(input)
    for at, value in np.ndenumerate(g):
        out[tuple(i + b for i, b in zip(at, begin))] = value
    return out


@op(
    "SliceGrad",
    dtypes=dt.NUMERIC | dt.BOOL,
    widen=False,
    mixed=True,
    host=("begin",),
    shape=same_as(1),
    shape_only=("input",),
    samples=lambda rng: [((rng.normal(size=(2, 3)), np.zeros((3, 4)), _vector(1, 0)), {})],
    reference=_slice_grad_reference,
)
def slice_grad(xp, g, input, begin):
    """Zeros in the shape of `input` with `g` in the place of the slice from `begin` on."""
    out = xp.zeros(input.shape, g.dtype)
    out[tuple([slice(b, b + n) for b, n in zip(begin.tolist(), g.shape)])] = g
    return out


@slice_grad.writes_into()
def _(xp, out, g, input, begin):
    out[...] = 0
    out[tuple([slice(b, b + n) for b, n in zip(begin.tolist(), g.shape)])] = g


@slice_grad.gradient
def _(gg, _y, g, _input, begin):
    return slice_op(gg, begin, shape(g)), None


# ---- padding ----------------------------------------------------------------------------------
def _pad_shape(input: Arg, paddings: Arg, *rest: Any, **attrs: Any) -> TensorShape:
    widths = paddings.value
    rank = input.shape.rank
    if rank is None:
        rows = paddings.shape[0] if paddings.shape.rank == 2 else None
        return UNKNOWN if rows is None else TensorShape([None] * rows)
    if widths is None or isinstance(widths, list):
        return TensorShape([None] * rank)
    widths = np.asarray(widths).reshape(-1, 2).tolist()
    if len(widths) != rank:
        raise ValueError(f"paddings {widths} need one row per axis of {input.shape}")
    return TensorShape([None if d is None else d + a + b for d, (a, b) in zip(input.shape, widths)])


def _widths(paddings: Any, rank: int) -> list[list[int]]:
    if paddings.size and (paddings.ndim != 2 or paddings.shape[1] != 2):
        raise ValueError(f"paddings must be a matrix with 2 columns: {shown(paddings.shape)}")
    widths = paddings.reshape(-1, 2).tolist()
    if len(widths) != rank or any(w < 0 for pair in widths for w in pair):
        raise ValueError(f"paddings {widths} need one row of two sizes per axis, none negative")
    return widths


def _pad_samples(rng: np.random.Generator) -> Any:
    return [
        ((rng.normal(size=(2, 3)), np.array([[1, 0], [0, 2]], np.int32)), {}),
        ((rng.normal(size=()), np.zeros((0, 2), np.int32)), {}),
    ]


def _padded(xp: Any, input: Any, paddings: Any, value: Any) -> Any:
    widths = _widths(paddings, input.ndim)
    dims = [n + a + b for n, (a, b) in zip(input.shape, widths)]
    if input.dtype == object:
        out = np.full(dims, b"" if value is None else value, object)
    else:
        out = xp.zeros(dims, input.dtype) if value is None else xp.full(dims, value, input.dtype)
    out[_inside(input.shape, widths)] = input
    return out


def _inside(dims: Any, widths: Any) -> tuple[slice, ...]:
    return tuple([slice(a, a + n) for n, (a, _) in zip(dims, widths)])


@op("Pad", dtypes=DATA, host=("paddings",), shape=_pad_shape, widen=False, samples=_pad_samples)
def pad_op(xp, input, paddings):
    """`input` with `paddings[i]` = (before, after) zeros along axis i."""
    return _padded(xp, input, paddings, None)


@pad_op.writes_into()
def _(xp, out, input, paddings):
    out[...] = b"" if out.dtype == object else 0
    out[_inside(input.shape, paddings.reshape(-1, 2).tolist())] = input


@pad_op.gradient
def _(g, _y, input, paddings):
    return unpad(g, input, paddings)


@op(
    "PadV2",
    dtypes=DATA,
    host=("paddings",),
    shape=_pad_shape,
    widen=False,
    samples=lambda rng: [((*inputs, rng.normal(size=())), {}) for inputs, _ in _pad_samples(rng)],
)
def pad_v2_op(xp, input, paddings, constant_values):
    """`input` with `paddings[i]` = (before, after) copies of a scalar along axis i."""
    return _padded(xp, input, paddings, constant_values)


@pad_v2_op.gradient
def _(g, _y, input, paddings, _value):
    return unpad(g, input, paddings), None


@op(
    "Unpad",
    dtypes=DATA,
    mixed=True,
    host=("paddings",),
    shape=same_as(1),
    shape_only=("input",),
    may_view=True,
    samples=lambda rng: [
        ((rng.normal(size=(3, 5)), np.zeros((2, 3)), np.array([[1, 0], [0, 2]], np.int32)), {})
    ],
    reference=lambda g, input, paddings: g[1:, :3],
)
def unpad(xp, g, input, paddings):
    """The part of `g` that `pad` would fill from `input`."""
    return g[_inside(input.shape, paddings.reshape(-1, 2).tolist())]


@unpad.gradient
def _(g, _y, _g, _input, paddings):
    return pad_op(g, paddings), None


def _mirror_index(xp: Any, n: int, before: int, after: int, mode: str) -> Any:
    """For each place along a padded axis the place of the input that it shows."""
    skip = 1 if mode == "REFLECT" else 0
    if before > n - skip or after > n - skip:
        raise ValueError(
            f"paddings must be no greater than the dimension size{' - 1' * skip}: "
            f"{before}, {after} greater than {n - skip}"
        )
    places = np.arange(n)
    head = places[skip : skip + before][::-1]
    tail = places[: n - skip][::-1][:after]
    return np.concatenate([head, places, tail])


def _mirror_samples(rng: np.random.Generator) -> Any:
    x, widths = rng.normal(size=(3, 4)), np.array([[1, 0], [2, 1]], np.int32)
    return [((x, widths), {"mode": "REFLECT"}), ((x, widths), {"mode": "SYMMETRIC"})]


@op("MirrorPad", dtypes=DATA, host=("paddings",), shape=_pad_shape, widen=False,
    samples=_mirror_samples)  # fmt: skip
def mirror_pad_op(xp, input, paddings, *, mode):
    """`input` with mirrored borders; "SYMMETRIC" repeats the edge, "REFLECT" does not."""
    for axis, (before, after) in enumerate(_widths(paddings, input.ndim)):
        if before or after:
            index = _mirror_index(xp, input.shape[axis], before, after, mode)
            input = xp.take(input, xp.asarray(index), axis)
    return input if input.flags.owndata else input.copy()


@mirror_pad_op.gradient
def _(g, _y, _input, paddings, *, mode):
    return mirror_pad_grad(g, paddings, mode=mode)


def _unpadded_shape(input: Arg, paddings: Arg, **attrs: Any) -> TensorShape:
    widths = paddings.value
    if input.shape.rank is None or widths is None or isinstance(widths, list):
        return same_rank(input)
    widths = np.asarray(widths).reshape(-1, 2).tolist()
    return TensorShape([None if d is None else d - a - b for d, (a, b) in zip(input.shape, widths)])


@op(
    "MirrorPadGrad",
    dtypes=dt.NUMERIC,
    host=("paddings",),
    shape=_unpadded_shape,
    samples=lambda rng: [
        ((rng.normal(size=(4, 7)), widths), attrs) for (_, widths), attrs in _mirror_samples(rng)
    ],
)
def mirror_pad_grad(xp, input, paddings, *, mode):
    """Mirrored borders added to the elements that they show."""
    for axis, (before, after) in enumerate(_widths(paddings, input.ndim)):
        n = input.shape[axis] - before - after
        lead = (slice(None),) * axis
        out = input[(*lead, slice(before, before + n))].copy()
        index = _mirror_index(xp, n, before, after, mode)
        for at in [*range(before), *range(before + n, before + n + after)]:
            to = (*lead, int(index[at]))
            out[to] = out[to] + input[(*lead, at)]
        input = out
    return input


@mirror_pad_grad.gradient
def _(g, _y, _input, paddings, *, mode):
    return mirror_pad_op(g, paddings, mode=mode)


# ---- public functions -------------------------------------------------------------------------
def slice_(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """`size` elements along every axis from `begin` on; -1 means all that are left."""
    return slice_op(input_, host_shape(begin), host_shape(size), name=name)


def pad(
    tensor: Any, paddings: Any, mode: str = "CONSTANT", constant_values: Any = 0, name: Any = None
) -> Tensor:
    """`tensor` with `paddings[i]` = (before, after) further elements along axis i.

    Args:
      mode: "CONSTANT", "REFLECT" or "SYMMETRIC".

    Raises:
      ValueError: another mode.
    """
    mode = mode.upper()
    if mode == "CONSTANT":
        plain = isinstance(constant_values, (int, float)) and constant_values == 0
        if plain:
            return pad_op(tensor, paddings, name=name)
        x = convert_to_tensor(tensor)
        value = convert_to_tensor(
            constant_values, None if isinstance(constant_values, Tensor) else x.dtype
        )
        return pad_v2_op(x, paddings, value, name=name)
    if mode in ("REFLECT", "SYMMETRIC"):
        return mirror_pad_op(tensor, paddings, mode=mode, name=name)
    raise ValueError(
        "Value of argument `mode` expected to be one of 'CONSTANT', 'REFLECT', or 'SYMMETRIC'. "
        f"Received `mode` = {mode}"
    )

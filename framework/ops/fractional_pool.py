"""Pools whose windows differ in size by one, so that the size shrinks by a fraction.

A random op draws where windows begin; the pools themselves are made of other ops, which have the
gradients.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.backend import philox
from shardtape.ops.cast import cast
from shardtape.ops.contraction import einsum
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.distorted_boxes import Words
from shardtape.ops.gather import gather
from shardtape.ops.math import truncatediv
from shardtape.ops.random import _stream, seeds
from shardtape.ops.reduce import reduce_max
from shardtape.ops.registry import RANDOM, Arg, op
from shardtape.ops.shape_rules import known_ints
from shardtape.ops.shaping import shape
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor

_TYPES = (dt.float32, dt.float64, dt.int32, dt.int64)


def _shuffled(lengths: list[int], words: Words) -> list[int]:
    for i in range(len(lengths) - 1):
        j = i + words.below(len(lengths) - i)
        lengths[i], lengths[j] = lengths[j], lengths[i]
    return lengths


def _edges(size: int, count: int, pseudo_random: bool, words: Words) -> list[int]:
    """Where each of `count` windows begins, and the end of the last.

    Windows have k or k + 1 elements. Pseudo-random ones begin at ceil(ratio * (i + u)) for one
    random u (Graham, Fractional Max-Pooling, 2014), of a range that allows no other lengths.
    """
    k, longer = divmod(size, count)
    if not pseudo_random or not longer:
        lengths = [k + 1] * longer + [k] * (count - longer)
        if not pseudo_random:
            lengths = _shuffled(lengths, words)
        return np.concatenate([[0], np.cumsum(lengths)]).tolist()
    ratio = size / count
    most = min((k + 2) / ratio - 1, (size + 1 - k) / ratio - (count - 1))
    u = words.unit64() * most
    return [0, *(math.ceil(ratio * (i + u)) - 1 for i in range(1, count)), size]


def _shapes(sizes: Arg, **attrs: Any) -> list[TensorShape]:
    known = known_ints(sizes) or [None, None]
    counts = [None if n is None else math.floor(n / r) + 1 for n, r in zip(known, attrs["ratios"])]
    return [TensorShape([n]) for n in counts]


@op(
    "FractionalPoolWindows", outputs=2, shape=_shapes, dtype=lambda dtypes, attrs: (dt.int64,) * 2,
    host=("sizes",), effects=RANDOM, widen=False, differentiable=False,
    samples=lambda rng: [
        ((np.array([11, 9], np.int32),),
         {"ratios": (1.44, 1.3), "pseudo_random": random, "seed": 7, "deterministic": True})
        for random in (False, True)
    ],
)  # fmt: skip
def fractional_pool_windows(
    xp, sizes, *, ratios, pseudo_random=False, deterministic=False, seed=0, seed2=0, _stream_id=0
):
    """The edges of windows along the rows and columns of images (height, width): two vectors.

    The same seeds give the same edges in every call if it is `deterministic`.
    """
    counts = [math.floor(n / r) for n, r in zip(sizes.tolist(), ratios)]
    for axis, (count, n, ratio) in enumerate(zip(counts, sizes.tolist(), ratios), 1):
        if count < 1:
            raise ValueError(
                f"Pooling ratio is higher than input dimension size for dimension {axis}: "
                f"{n} elements, pooling ratio {ratio}"
            )
    blocks = [1 if pseudo_random else -(-count // 4) for count in counts]
    if deterministic:
        state = philox.from_seeds(seed, seed2)
    else:
        state = _stream(xp, sum(blocks), _stream_id, seed, seed2, "FractionalPool")
    found = []
    for n, count, used in zip(sizes.tolist(), counts, blocks):
        edges = _edges(n, count, pseudo_random, Words(state))
        found.append(xp.asarray(np.array(edges, np.int64)))
        if not pseudo_random or n % count:  # equal windows need no number
            state = state.skip(used)
    return tuple(found)


def _bounds(edges: np.ndarray, overlapping: bool) -> tuple[np.ndarray, np.ndarray]:
    """The first and last element of each window; overlapping ones share an edge."""
    last = edges[1:] - (0 if overlapping else 1)
    return edges[:-1], np.minimum(last, edges[-1] - 1)


@op(
    "FractionalPoolMembers", shape=lambda edges, **attrs: TensorShape([None, None]),
    dtypes=frozenset((dt.int64,)), widen=False, differentiable=False, dynamic=True,
    samples=lambda rng: [((np.array([0, 2, 3, 5]),), {}),
                         ((np.array([0, 2, 3, 5]),), {"overlapping": True})],
    reference=lambda edges, overlapping=False: (
        np.array([[0, 1, 2], [2, 3, 3], [3, 4, 4]]) if overlapping
        else np.array([[0, 1], [2, 2], [3, 4]])),
)  # fmt: skip
def fractional_pool_members(xp, edges, *, overlapping=False):
    """The elements of each window (windows, most), short ones with their last again."""
    first, last = _bounds(np.asarray(backend.to_host(edges)), overlapping)
    step = np.arange(int((last - first).max()) + 1)
    return xp.asarray(np.minimum(first[:, None] + step, last[:, None]))


@op(
    "FractionalPoolMask", shape=lambda edges, **attrs: TensorShape([None, None]),
    dtypes=frozenset((dt.int64,)), widen=False, differentiable=False, dtype=dt.float64,
    dynamic=True,
    samples=lambda rng: [((np.array([0, 2, 3, 5]),), {}),
                         ((np.array([0, 2, 3, 5]),), {"overlapping": True})],
    reference=lambda edges, overlapping=False: np.array(
        [[1.0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1]] if overlapping
        else [[1.0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 1]]),
)  # fmt: skip
def fractional_pool_mask(xp, edges, *, overlapping=False):
    """A matrix (windows, elements) of 1 where an element is in a window, else 0."""
    first, last = _bounds(np.asarray(backend.to_host(edges)), overlapping)
    place = np.arange(int(last[-1]) + 1)
    inside = (place >= first[:, None]) & (place <= last[:, None])
    return xp.asarray(inside.astype(np.float64))


# ---- public functions -------------------------------------------------------------------------
def _windows(
    value: Any, pooling_ratio: Any, pseudo_random: bool, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The images, and the edges along rows and columns."""
    x = convert_to_tensor(value)
    if x.shape.rank not in (None, 4):
        raise ValueError(f"value must be 4-dimensional (n, h, w, c), got shape {x.shape}")
    if x.dtype not in _TYPES:
        raise TypeError(f"fractional pools take {[t.name for t in _TYPES]}, got {x.dtype.name}")
    ratios = list(pooling_ratio) if isinstance(pooling_ratio, (list, tuple)) else [pooling_ratio]
    if len(ratios) == 1:
        ratios = [1.0, ratios[0], ratios[0], 1.0]
    elif len(ratios) == 2:
        ratios = [1.0, *ratios, 1.0]
    if len(ratios) != 4 or ratios[0] != 1 or ratios[3] != 1:
        raise ValueError(
            "`pooling_ratio` should have first and last elements with value 1.0. Received: "
            f"pooling_ratio={pooling_ratio}"
        )
    if min(ratios) < 1:
        raise ValueError(
            f"`pooling_ratio` should be >= 1.0. Received: pooling_ratio={pooling_ratio}"
        )
    drawn = seeds(seed) if seed else seeds(None) | {"seed": 0, "seed2": 0}
    rows, columns = fractional_pool_windows(
        shape(x)[1:3], ratios=tuple(float(r) for r in ratios[1:3]),
        pseudo_random=bool(pseudo_random), deterministic=bool(seed), **drawn,
    )  # fmt: skip
    return x, rows, columns


def fractional_max_pool(
    value: Any, pooling_ratio: Any, pseudo_random: bool = False, overlapping: bool = False,
    seed: int = 0, name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The largest of each of the windows, which are drawn so that sizes shrink by a fraction.

    Args:
      value: (n, h, w, c), float32, float64, int32 or int64.
      pooling_ratio: how much smaller rows and columns get: a number, two, or [1, r, r, 1].
      pseudo_random: draw one number for all windows, in place of an order of their lengths.
      overlapping: windows share the element between them.
      seed: draws the same windows in every call; 0 draws anew.

    Returns:
      (n, h', w', c); where windows begin along rows and columns, with the end, int64.
    """
    x, rows, columns = _windows(value, pooling_ratio, pseudo_random, seed)
    for axis, edges in ((1, rows), (2, columns)):
        members = fractional_pool_members(edges, overlapping=bool(overlapping))
        x = reduce_max(gather(x, members, axis=axis), axis + 1)
    return x, rows, columns


def fractional_avg_pool(
    value: Any, pooling_ratio: Any, pseudo_random: bool = False, overlapping: bool = False,
    seed: int = 0, name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """The mean of each of the windows; else as `fractional_max_pool`."""
    x, rows, columns = _windows(value, pooling_ratio, pseudo_random, seed)
    kind = x.dtype if x.dtype.is_floating else dt.float64
    down, across = (
        cast(fractional_pool_mask(edges, overlapping=bool(overlapping)), kind)
        for edges in (rows, columns)
    )
    sums = einsum("ph,nhwc,qw->npqc", down, cast(x, kind), across)
    counts = einsum("ph,qw->pq", down, across)[:, :, None]
    if x.dtype.is_floating:
        return sums / counts, rows, columns
    return truncatediv(cast(sums, x.dtype), cast(counts, x.dtype)), rows, columns

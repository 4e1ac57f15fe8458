"""Normal values between bounds of their own: `StatelessParameterizedTruncatedNormal`.

As in TensorFlow the bounds choose one of three ways to draw and reject (Robert, "Simulation of
truncated normal variables", 1995): normals, uniforms, or exponentials that begin at the lower
bound. Large results of TensorFlow are cut by its threads, each with a part of the stream; these
are drawn as one thread would.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.backend import philox
from shardtape.errors import InternalError, InvalidArgumentError
from shardtape.graph.scopes import name_scope
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.random import shape_input, sizes_of
from shardtape.ops.registry import op
from shardtape.ops.shape_rules import from_vector
from shardtape.tensor import Tensor

_MOST_TRIES = 1000  # for one value
_NORMALS_FROM = 1.3  # that many deviations inside of the bounds normals are drawn
_FLOATS = frozenset((dt.float16, dt.float32, dt.float64))
_PARAMETERS = ("means", "stddevs", "minvals", "maxvals")


class _Stream:
    """Draws groups of values of one block, as TensorFlow's distributions do."""

    def __init__(self, position: philox.Philox, kind: Any) -> None:
        self._position, self._kind = position, kind
        self.group = 2 if kind == np.float64 else 4

    def groups(self, distribution: Any, count: int) -> np.ndarray:
        drawn = distribution(np, self._position, count * self.group, self._kind)
        return drawn.reshape(count, self.group)

    def skip(self, groups: int) -> None:
        self._position = self._position.skip(groups)


def _draw(stream: _Stream, lowest: Any, highest: Any, count: int) -> np.ndarray:
    """`count` standard normals in [lowest, highest], of the bounds' type."""
    kind = type(lowest)
    root = np.sqrt(lowest * lowest + kind(4))
    spread = kind(0.5) + (lowest * (lowest - root)) / kind(4)
    cutoff = kind(2) * np.exp(spread) / (lowest + root)
    width, inside = highest - lowest, kind(_NORMALS_FROM)
    per_try = 1  # groups
    if (lowest < -inside and highest >= 0) or (highest > inside and lowest <= 0):

        def attempt(tries: int) -> tuple[np.ndarray, np.ndarray]:
            z = stream.groups(philox.normal, tries)
            return z, (z >= lowest) & (z <= highest)

    elif width < cutoff:
        per_try, most = 2, kind(0) if lowest < 0 else lowest * lowest

        def attempt(tries: int) -> tuple[np.ndarray, np.ndarray]:
            pairs = stream.groups(philox.uniform, 2 * tries)
            z = pairs[::2] * width + lowest
            return z, pairs[1::2] <= np.exp((most - z * z) / kind(2))

    else:
        rate = (lowest + root) / kind(2)

        def attempt(tries: int) -> tuple[np.ndarray, np.ndarray]:
            drawn = stream.groups(philox.uniform, tries)
            z = -np.log(drawn[:, ::2]) / rate + lowest
            x = rate - z if lowest < rate else lowest - rate
            return z, (drawn[:, 1::2] <= np.exp(-x * x / kind(2))) & (z < highest)

    found: list[np.ndarray] = []
    missing, refused = count, 0
    while missing:
        z, taken = attempt(max(8, missing))
        places = np.flatnonzero(taken)[:missing]
        gaps = np.diff(places, prepend=-1 - refused) - 1
        rest = taken.size - 1 - places[-1] if len(places) else refused + taken.size
        if np.any(gaps > _MOST_TRIES) or (len(places) < missing and rest > _MOST_TRIES):
            raise InternalError(
                f"No normal value between {lowest} and {highest} standard deviations was found in "
                f"{_MOST_TRIES} tries."
            )
        found.append(z.ravel()[places])
        missing, refused = missing - len(places), rest
        used = len(z) if missing else int(places[-1]) // z.shape[1] + 1
        stream.skip(used * per_try)
    return np.concatenate(found) if found else np.empty(0, kind)


def _samples(rng: np.random.Generator) -> Any:
    seed = np.array([1, 2])
    between = [np.float64(v) for v in (0.5, 2.0, -1.0, 4.0)]
    return [
        ((np.array([2, 3], np.int32), seed, *between), {}),
        ((np.array([4], np.int32), seed, *[np.float64(v) for v in (0.0, 1.0, 3.0, 5.0)]), {}),
    ]


@op(
    "StatelessParameterizedTruncatedNormal",
    shape=from_vector(0),
    dtype=lambda dtypes, attrs: dtypes[2],
    host=("shape", "seed", *_PARAMETERS),
    widen=False,
    differentiable=False,
    samples=_samples,
)
def parameterized_truncated_normal_op(xp, shape, seed, means, stddevs, minvals, maxvals):
    """Normals of given means and deviations in [minval, maxval]; these broadcast to `shape`."""
    sizes, count = sizes_of(shape)
    given = np.broadcast_arrays(means, stddevs, minvals, maxvals)
    batch = given[0].shape
    if len(batch) > len(sizes) or tuple(sizes)[len(sizes) - len(batch) :] != batch:
        raise InvalidArgumentError(
            f"Shape passed in must end with broadcasted shape: {list(sizes)} does not end with "
            f"{list(batch)}, to which {', '.join(_PARAMETERS)} broadcast."
        )
    if seed.shape != (2,):
        raise InvalidArgumentError(f"seed must have shape [2], not {list(seed.shape)}")
    kind = means.dtype.type
    position = philox.from_stateless_seed(int(seed[0]), int(seed[1]))
    stream = _Stream(position.skip(0), means.dtype)
    batches = given[0].size
    out = np.empty((count // batches if batches else 0, batches), means.dtype)
    for i, (mean, stddev, low, high) in enumerate(zip(*[g.ravel() for g in given])):
        if not (stddev > 0 and low < high and (np.isfinite(low) or np.isfinite(high))):
            raise InvalidArgumentError(
                f"Invalid parameters: mean {mean}, stddev {stddev}, bounds {low} and {high}. The "
                "deviation must be positive, the bounds in order and one of them finite."
            )
        if low == -np.inf or high < mean:  # mirrored: the bound that counts is the lower one
            low, high, stddev = high, low, -stddev
        drawn = _draw(stream, kind((low - mean) / stddev), kind((high - mean) / stddev), len(out))
        out[:, i] = drawn * stddev + mean
    return xp.asarray(out.reshape(sizes))


def stateless_parameterized_truncated_normal(
    shape: Any,
    seed: Any,
    means: Any = 0.0,
    stddevs: Any = 1.0,
    minvals: Any = -2.0,
    maxvals: Any = 2.0,
    name: str | None = None,
) -> Tensor:
    """Normal values between bounds that follow from `seed`.

    Args:
      shape: of the result; it ends with what the four parameters broadcast to.
      seed: two integers.
      means, stddevs: of the normals before they are cut; float16, float32 or float64.
      minvals, maxvals: the bounds, one of which may be infinite.

    Raises:
      InvalidArgumentError: a deviation that is not positive, bounds out of order or both
        infinite, or a shape that does not end with that of the parameters.
    """
    with name_scope(name, "stateless_parameterized_truncated_normal"):
        sizes = shape_input(shape)
        mean = convert_to_tensor(means)
        if mean.dtype not in _FLOATS:
            raise TypeError(
                f"means of {mean.dtype.name} cannot be drawn from; use float16, float32 or float64"
            )
        rest = [convert_to_tensor(v, mean.dtype) for v in (stddevs, minvals, maxvals)]
        return parameterized_truncated_normal_op(sizes, convert_to_tensor(seed), mean, *rest)

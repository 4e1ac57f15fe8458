"""Binomial numbers of a seed or of a generator's position."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shardtape import dtypes as dt
from shardtape.backend import philox, rejection
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.random import shape_input, sizes_of
from shardtape.ops.registry import op
from shardtape.ops.shape_rules import from_vector

_TYPES = frozenset((dt.float16, dt.float32, dt.float64))


class Kinds(NamedTuple):
    """What is drawn: `repeats` numbers for each of the broadcast trials and odds (k,)."""

    sizes: tuple[int, ...]
    trials: Any
    odds: Any
    repeats: int

    @property
    def blocks(self) -> int:
        """256ths of what TensorFlow has a generator skip."""
        return self.trials.size * 2 * 100 * (self.repeats + 3) // 4


def binomial_kinds(xp: Any, shape: Any, counts: Any, probs: Any) -> Kinds:
    """Checks and broadcasts. Raises ValueError for a shape or values that do not fit."""
    sizes, total = sizes_of(shape)
    trials, odds = xp.broadcast_arrays(counts, probs)
    rank = trials.ndim
    if rank and sizes[len(sizes) - rank :] != trials.shape:
        raise ValueError(
            f"shape {list(sizes)} must end with the broadcast shape {list(trials.shape)} of "
            "counts and probs"
        )
    if not ((trials >= 0) & xp.isfinite(trials)).all().item():
        raise ValueError("counts of binomial numbers must be finite and at least 0")
    if not ((odds >= 0) & (odds <= 1)).all().item():
        raise ValueError("probs of binomial numbers must be between 0 and 1")
    count = total // trials.size if trials.size else 0
    return Kinds(sizes, trials.reshape(-1), odds.reshape(-1), count)


def draw_binomial(xp: Any, position: philox.Philox, kinds: Kinds) -> Any:
    """Binomial numbers (float64) of `kinds.sizes`."""
    made = rejection.binomial(xp, position, kinds.trials, kinds.odds, kinds.repeats)
    return made.reshape(kinds.sizes)


@op("StatelessRandomBinomial", shape=from_vector(0), dtypes=_TYPES, dtype="dtype",
    host=("shape", "seed"), widen=False, differentiable=False, mixed=True,
    samples=lambda rng: [((np.array([4, 2], np.int32), np.array([5, 9], np.int64),
                           np.array([3.0, 60.0]), np.array([0.4, 0.7])), {})])  # fmt: skip
def stateless_random_binomial_op(xp, shape, seed, counts, probs, *, dtype=dt.int64):
    """Binomial numbers that follow from `seed` [2]; `shape` ends with that of the parameters."""
    position = philox.from_stateless_seed(int(seed[0]), int(seed[1]))
    made = draw_binomial(xp, position, binomial_kinds(xp, shape, counts, probs))
    return made.astype(dt.as_dtype(dtype).numpy_dtype)


def stateless_binomial(
    shape: Any, seed: Any, counts: Any, probs: Any, output_dtype: Any = dt.int32,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Numbers of successes in `counts` trials that succeed with `probs`, from `seed` [2].

    Args:
      shape: ends with the shape that counts and probs broadcast to.
    """
    counts = convert_to_tensor(counts, dtype_hint=dt.float32)
    probs = convert_to_tensor(probs, counts.dtype)
    return stateless_random_binomial_op(
        shape_input(shape), convert_to_tensor(seed), counts, probs,
        dtype=dt.as_dtype(output_dtype), name=name,
    )  # fmt: skip

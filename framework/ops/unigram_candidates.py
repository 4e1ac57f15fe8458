"""Samples of classes by frequencies that are given: `tf.random.fixed_unigram_candidate_sampler`."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.ops.candidates import draw_classes, sample_shapes
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.random import _stream, seeds
from shardtape.ops.registry import RANDOM, op

_BLOCKS_PER_SAMPLE = 512  # that an op takes of its stream for each class that it draws
_WORD = 2.0**32

FixedUnigramCandidateSampler = namedtuple(
    "FixedUnigramCandidateSampler",
    ["sampled_candidates", "true_expected_count", "sampled_expected_count"],
)


@lru_cache(maxsize=64)
def _chances(unigrams: tuple[float, ...], distortion: float) -> np.ndarray:
    weights = np.power(np.asarray(unigrams, np.float64), distortion)
    return weights / weights.sum()


@op(
    "FixedUnigramCandidateSampler", shape=sample_shapes, outputs=3, dtypes=frozenset((dt.int64,)),
    host=("true_classes",), dtype=lambda dtypes, attrs: (dt.int64, dt.float32, dt.float32),
    effects=RANDOM, widen=False, differentiable=False,
    samples=lambda rng: [((np.array([[1], [3]], np.int64),),
                          {"num_true": 1, "num_sampled": 3, "unique": unique, "range_max": 4,
                           "unigrams": (3.0, 1.0, 2.0, 4.0)}) for unique in (True, False)],
)  # fmt: skip
def fixed_unigram_op(
    xp, true_classes, *, num_true, num_sampled, unique, range_max, unigrams, distortion=1.0,
    num_reserved_ids=0, num_shards=1, shard=0, seed=0, seed2=0, _stream_id=0,
):  # fmt: skip
    """Classes drawn by their frequencies, and how often they and the true ones are expected."""
    if true_classes.ndim != 2 or true_classes.shape[1] != num_true:
        raise ValueError(f"true_classes must be a matrix with num_true = {num_true} columns, got "
                         f"{list(true_classes.shape)}")  # fmt: skip
    every = (0.0,) * num_reserved_ids + tuple(unigrams)
    own = tuple(w if i % num_shards == shard else 0.0 for i, w in enumerate(every))
    chances = _chances(own, distortion)
    borders = np.cumsum(chances)

    def draw(words: tuple[int, int], range_max: int) -> int:
        place = (words[0] + words[1] / _WORD) / _WORD * borders[-1]
        return int(min(np.searchsorted(borders, place, side="right"), range_max - 1))

    def chance(classes: np.ndarray, range_max: int) -> np.ndarray:
        inside = (classes >= 0) & (classes < range_max)
        return np.where(inside, chances[np.where(inside, classes, 0)], 0.0)

    blocks = _BLOCKS_PER_SAMPLE * num_sampled
    key = (num_true, num_sampled, unique, range_max)
    position = _stream(xp, blocks, _stream_id, seed, seed2, "FixedUnigramCandidateSampler", *key)
    if unique and num_sampled > np.count_nonzero(chances):
        raise ValueError(f"Sampler's range is too small: {num_sampled} different ones of "
                         f"{np.count_nonzero(chances)}")  # fmt: skip
    return draw_classes(draw, chance, position, true_classes, num_sampled, unique, range_max)


def fixed_unigram_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int,
    vocab_file: str = "", distortion: float = 1.0, num_reserved_ids: int = 0, num_shards: int = 1,
    shard: int = 0, unigrams: Sequence[float] = (), seed: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Classes drawn by frequencies that are given.

    Args:
      true_classes: int64 (batch, num_true).
      unique: no class is drawn twice.
      range_max: number of classes, the reserved ones included.
      vocab_file: a file whose lines end in ",frequency", in the order of the classes.
      distortion: power of the frequencies: 1 takes them as they are, 0 draws evenly.
      num_reserved_ids: classes at the start that are never drawn.
      num_shards, shard: draw of the classes k with k % num_shards == shard only.
      unigrams: the frequencies, in place of the file.

    Returns:
      sampled_candidates (num_sampled,), true_expected_count (batch, num_true) and
      sampled_expected_count (num_sampled,). A seed repeats them; they are not TensorFlow's.

    Raises InvalidArgumentError for both or neither of the two, or another number of frequencies.
    """
    if bool(vocab_file) == bool(len(unigrams)):
        raise errors.InvalidArgumentError(
            "Must provide either vocab_file or unigrams, and not both."
        )
    weights = _of_file(vocab_file) if vocab_file else [float(u) for u in unigrams]
    if len(weights) + num_reserved_ids != range_max:
        raise errors.InvalidArgumentError(
            f"range_max is {range_max}, but there are {num_reserved_ids} reserved classes and "
            f"{len(weights)} frequencies"
        )
    made = fixed_unigram_op(
        convert_to_tensor(true_classes, dt.int64), num_true=num_true, num_sampled=num_sampled,
        unique=bool(unique), range_max=range_max, unigrams=tuple(weights),
        distortion=float(distortion), num_reserved_ids=num_reserved_ids, num_shards=num_shards,
        shard=shard, **seeds(seed), name=name,
    )  # fmt: skip
    return FixedUnigramCandidateSampler(*made)


def _of_file(path: str) -> list[float]:
    from shardtape.io.files import read_file

    lines = read_file(path).numpy().decode().splitlines()
    try:
        return [float(line.rsplit(",", 1)[-1]) for line in lines]
    except ValueError as error:
        raise errors.InvalidArgumentError(f"Wrong vocabulary format in {path}: {error}") from error

"""Samples of classes, and the losses that look at a sample instead of all classes."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.backend import philox
from shardtape.ops import array
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.cross_entropy import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits,
)
from shardtape.ops.embedding import embedding_lookup
from shardtape.ops.linalg import matmul
from shardtape.ops.random import _stream, seeds
from shardtape.ops.reduce import reduce_sum
from shardtape.ops.registry import RANDOM, Arg, op
from shardtape.ops.transcendental import log
from shardtape.shapes import TensorShape

_BLOCKS_PER_SAMPLE = 512  # that an op takes of its stream for each class that it draws
_INT64 = frozenset((dt.int64,))

LogUniformCandidateSampler = namedtuple(
    "LogUniformCandidateSampler",
    ["sampled_candidates", "true_expected_count", "sampled_expected_count"],
)
UniformCandidateSampler = namedtuple(
    "UniformCandidateSampler",
    ["sampled_candidates", "true_expected_count", "sampled_expected_count"],
)
AllCandidateSampler = namedtuple(
    "AllCandidateSampler",
    ["sampled_candidates", "true_expected_count", "sampled_expected_count"],
)
ComputeAccidentalHits = namedtuple("ComputeAccidentalHits", ["indices", "ids", "weights"])


# ---- kernels ----------------------------------------------------------------------------------
def _pairs_of_words(position: philox.Philox) -> Iterator[tuple[int, int]]:
    while True:
        a, b, c, d = position.block()
        yield a, b
        yield c, d
        position = position.skip(1)


def _uniform_class(words: tuple[int, int], range_max: int) -> int:
    return (words[1] << 32 | words[0]) % range_max


def _log_uniform_class(words: tuple[int, int], range_max: int) -> int:
    mantissa = (words[0] & 0xFFFFF) << 32 | words[1]
    unit = mantissa / 2.0**52
    return int(np.exp(unit * np.log(range_max + 1.0))) - 1 if range_max else 0


def _uniform_chance(classes: np.ndarray, range_max: int) -> np.ndarray:
    return np.full(classes.shape, 1.0 / range_max)


def _log_uniform_chance(classes: np.ndarray, range_max: int) -> np.ndarray:
    c = classes.astype(np.float64)
    return (np.log(c + 2) - np.log(c + 1)) / np.log(range_max + 1.0)


def draw_classes(
    draw: Callable[..., int], chance: Callable[..., np.ndarray], position: philox.Philox,
    true_classes: Any, num_sampled: int, unique: bool, range_max: int,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Classes by `draw(two words, range_max)`, and how often the true ones and they are expected
    by `chance(classes, range_max)`."""
    if unique and num_sampled > range_max:
        raise ValueError(
            f"Sampler's range is too small: {num_sampled} different ones of {range_max}"
        )
    drawn: dict[int, None] | list[int] = {} if unique else []
    tries = 0
    words = _pairs_of_words(position)
    while len(drawn) < num_sampled:
        tries += 1
        found = draw(next(words), range_max)
        if isinstance(drawn, dict):
            drawn[found] = None
        else:
            drawn.append(found)
    sampled = np.array(list(drawn), np.int64)

    def expected(classes: np.ndarray) -> np.ndarray:
        p = chance(classes, range_max)
        made = p * tries if tries == num_sampled else -np.expm1(tries * np.log1p(-p))
        return made.astype(np.float32)

    return sampled, expected(np.asarray(true_classes)), expected(sampled)


def sample_shapes(true_classes: Arg, *, num_sampled: int, **attrs: Any) -> list[TensorShape]:
    """The shapes of what a sampler gives."""
    drawn = TensorShape([num_sampled])
    return [drawn, true_classes.shape, drawn]


def _register(type_name: str, draw: Any, chance: Any) -> Any:
    def kernel(xp, true_classes, *, num_true, num_sampled, unique, range_max, seed=0, seed2=0,
               _stream_id=0):  # fmt: skip
        if true_classes.ndim != 2 or true_classes.shape[1] != num_true:
            raise ValueError(f"true_classes must be a matrix with num_true = {num_true} columns, "
                             f"got {list(true_classes.shape)}")  # fmt: skip
        wrong = (true_classes < 0) | (true_classes >= range_max)
        if wrong.any():
            raise ValueError(f"`true_candidate` out of range [0, {range_max}), received "
                             f"{true_classes[wrong][0]}")  # fmt: skip
        attrs = (num_true, num_sampled, unique, range_max)
        blocks = _BLOCKS_PER_SAMPLE * num_sampled
        position = _stream(xp, blocks, _stream_id, seed, seed2, type_name, *attrs)
        return draw_classes(draw, chance, position, true_classes, num_sampled, unique, range_max)

    kernel.__name__ = type_name
    kernel.__doc__ = "Classes, and how often the true ones and they are expected in a sample."
    samples = [((np.array([[1], [4]], np.int64),),
                {"num_true": 1, "num_sampled": 3, "unique": unique, "range_max": 9})
               for unique in (True, False)]  # fmt: skip
    return op(
        type_name, shape=sample_shapes, outputs=3, dtypes=_INT64, host=("true_classes",),
        dtype=lambda dtypes, attrs: (dt.int64, dt.float32, dt.float32), effects=RANDOM,
        widen=False, differentiable=False, samples=lambda rng: samples,
    )(kernel)  # fmt: skip


_uniform_op = _register("UniformCandidateSampler", _uniform_class, _uniform_chance)
_log_uniform_op = _register("LogUniformCandidateSampler", _log_uniform_class, _log_uniform_chance)


# ---- samplers ---------------------------------------------------------------------------------
def _sampler(sampler: Any, kind: Any, true_classes: Any, seed: Any, name: Any, **attrs: Any) -> Any:
    got = sampler(convert_to_tensor(true_classes, dt.int64), **attrs, **seeds(seed), name=name)
    return kind(*got)


def uniform_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int,
    seed: int | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Classes drawn evenly from [0, range_max).

    Args:
      true_classes: int64 (batch, num_true).
      unique: no class is drawn twice.

    Returns:
      sampled_candidates (num_sampled,), true_expected_count (batch, num_true) and
      sampled_expected_count (num_sampled,).
    """
    return _sampler(
        _uniform_op, UniformCandidateSampler, true_classes, seed, name, num_true=num_true,
        num_sampled=num_sampled, unique=unique, range_max=range_max,
    )  # fmt: skip


def log_uniform_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, range_max: int,
    seed: int | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """As `uniform_candidate_sampler`; class k has the chance log((k+2)/(k+1)) / log(range_max+1),
    as words have that are sorted by falling frequency."""
    return _sampler(
        _log_uniform_op, LogUniformCandidateSampler, true_classes, seed, name, num_true=num_true,
        num_sampled=num_sampled, unique=unique, range_max=range_max,
    )  # fmt: skip


def all_candidate_sampler(
    true_classes: Any, num_true: int, num_sampled: int, unique: bool, seed: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """All classes from 0 to below num_sampled, each once."""
    true_classes = convert_to_tensor(true_classes, dt.int64)
    ones = array.ones(array.shape(true_classes), dt.float32)
    return AllCandidateSampler(
        array.range(num_sampled, dtype=dt.int64), ones, array.ones([num_sampled], dt.float32)
    )


def compute_accidental_hits(
    true_classes: Any, sampled_candidates: Any, num_true: int, seed: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """Where a sampled class is a true one.

    Returns:
      indices (rows of true_classes), ids (places in the sample), weights (the least float32).
    """
    true_classes = convert_to_tensor(true_classes, dt.int64)
    sampled = convert_to_tensor(sampled_candidates, dt.int64)
    hits = array.where(true_classes[:, :, None] == sampled[None, None, :])
    count = array.shape(hits)[0]
    weights = array.fill([count], float(np.finfo(np.float32).min))
    return ComputeAccidentalHits(cast(hits[:, 0], dt.int32), hits[:, 2], weights)


# ---- losses -----------------------------------------------------------------------------------
def _sampled_logits(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: int, num_classes: int,
    num_true: int, sampled_values: Any, remove_accidental_hits: bool, seed: int | None,
) -> tuple[Any, Any]:  # fmt: skip
    labels = cast(convert_to_tensor(labels), dt.int64)
    inputs = convert_to_tensor(inputs)
    if sampled_values is None:
        sampled_values = log_uniform_candidate_sampler(
            labels, num_true, num_sampled, True, num_classes, seed
        )
    sampled, true_count, sampled_count = [array.stop_gradient(v) for v in sampled_values]
    sampled = cast(sampled, dt.int64)
    flat = array.reshape(labels, [-1])
    count = array.shape(flat)[0]
    ids = array.concat([flat, sampled], 0)
    rows = embedding_lookup(weights, ids)
    offsets = embedding_lookup(biases, ids)
    of_samples = matmul(inputs, rows[count:], transpose_b=True) + offsets[count:]
    width = array.shape(rows)[-1]
    own = array.reshape(rows[:count], array.stack([-1, num_true, width]))
    of_true = reduce_sum(array.expand_dims(inputs, 1) * own, 2)
    of_true = of_true + array.reshape(offsets[:count], [-1, num_true])
    if remove_accidental_hits:
        hits = compute_accidental_hits(labels, sampled, num_true)
        places = array.stack([cast(hits.indices, dt.int64), hits.ids], 1)
        least = cast(hits.weights, of_samples.dtype)
        # a class that is true twice counts once: twice the least number would be infinite
        masked = array.tensor_scatter_nd_update(array.zeros_like(of_samples), places, least)
        of_samples = of_samples + masked
    of_true = of_true - log(cast(true_count, of_true.dtype))
    of_samples = of_samples - log(cast(sampled_count, of_samples.dtype))
    wanted = array.concat([array.ones_like(of_true) / num_true, array.zeros_like(of_samples)], 1)
    return array.concat([of_true, of_samples], 1), wanted


def _single(table: Any) -> Any:
    if isinstance(table, (list, tuple)):
        if len(table) != 1:
            raise errors.InvalidArgumentError("weights in several parts are not supported")
        return table[0]
    return table


def sampled_softmax_loss(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: int, num_classes: int,
    num_true: int = 1, sampled_values: Any = None, remove_accidental_hits: bool = True,
    seed: int | None = None, name: str | None = "sampled_softmax_loss",
) -> Any:  # fmt: skip
    """The softmax loss (batch,) over the true classes and a sample of the others; for training.

    Args:
      weights, biases: (num_classes, dim) and (num_classes,).
      labels: (batch, num_true) classes.
      inputs: (batch, dim).
      sampled_values: what a sampler gave; default `log_uniform_candidate_sampler`.
      remove_accidental_hits: sampled classes that are true ones do not count.
    """
    logits, wanted = _sampled_logits(
        _single(weights), _single(biases), labels, inputs, num_sampled, num_classes, num_true,
        sampled_values, remove_accidental_hits, seed,
    )  # fmt: skip
    return softmax_cross_entropy_with_logits(labels=array.stop_gradient(wanted), logits=logits)


def nce_loss(
    weights: Any, biases: Any, labels: Any, inputs: Any, num_sampled: int, num_classes: int,
    num_true: int = 1, sampled_values: Any = None, remove_accidental_hits: bool = False,
    name: str | None = "nce_loss",
) -> Any:  # fmt: skip
    """The noise-contrastive loss (batch,): true classes against sampled ones; arguments as of
    `sampled_softmax_loss`."""
    logits, wanted = _sampled_logits(
        _single(weights), _single(biases), labels, inputs, num_sampled, num_classes, num_true,
        sampled_values, remove_accidental_hits, None,
    )  # fmt: skip
    return reduce_sum(sigmoid_cross_entropy_with_logits(labels=wanted, logits=logits), 1)

"""Numbers and classes that are drawn by rejection; `function_cases` says how to record them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

_RNG = np.random.RandomState(3)
WEIGHTS, BIASES = _RNG.randn(20, 4).astype(np.float32), _RNG.randn(20).astype(np.float32)
INPUTS, LABELS = _RNG.randn(3, 4).astype(np.float32), np.array([[2, 5], [7, 0], [1, 1]], np.int64)


def _seeded(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Two draws one after the other, from one global seed."""

    def case(tf: Any) -> Any:
        tf.random.set_seed(11)
        return [function(tf), function(tf)]

    return case


def _loss(name: str, **options: Any) -> Callable[[Any], Any]:
    def case(tf: Any) -> Any:
        tf.random.set_seed(4)
        weights, biases = tf.Variable(WEIGHTS), tf.Variable(BIASES)
        sample = tf.random.log_uniform_candidate_sampler(LABELS, 2, 6, True, 20, seed=9)
        with tf.GradientTape() as tape:
            loss = getattr(tf.nn, name)(
                weights, biases, LABELS, INPUTS, 6, 20, 2, sampled_values=sample, **options
            )
        slopes = [tf.convert_to_tensor(g) for g in tape.gradient(loss, [weights, biases])]
        return [loss, *slopes]

    return case


CASES: dict[str, Callable[[Any], Any]] = {
    "gamma": _seeded(lambda tf: tf.random.gamma([4], [0.4, 1.0, 2.5], seed=3)),
    "gamma_beta": _seeded(lambda tf: tf.random.gamma([2], [[0.5], [9.0]], [1.0, 4.0], tf.float64)),
    "gamma_none": _seeded(lambda tf: tf.random.gamma([0], [0.5, 1.5])),
    "poisson": _seeded(lambda tf: tf.random.poisson([50], [0.5, 9.9, 10.0, 300.0], seed=2)),
    "poisson_double": _seeded(
        lambda tf: tf.random.poisson([2, 3], tf.constant(20.0, tf.float64), tf.int64)
    ),
    "stateless_gamma": lambda tf: tf.random.stateless_gamma([40, 3], [1, 2], [0.4, 1.0, 7.0]),
    "stateless_gamma_beta": lambda tf: tf.random.stateless_gamma(
        [5], [1, 2], 0.4, 2.0, dtype=tf.float64
    ),
    "stateless_poisson": lambda tf: tf.random.stateless_poisson([90, 2], [1, 2], [3.0, 40.0]),
    "stateless_poisson_types": lambda tf: tf.random.stateless_poisson(
        [5], [7, 2], tf.constant(60.0, tf.float64), tf.float32
    ),
    "log_uniform": _seeded(
        lambda tf: list(tf.random.log_uniform_candidate_sampler(LABELS, 2, 5, True, 10, seed=3))
    ),
    "log_uniform_again": _seeded(
        lambda tf: list(tf.random.log_uniform_candidate_sampler(LABELS, 2, 30, False, 1000, seed=3))
    ),
    "uniform_classes": _seeded(
        lambda tf: list(tf.random.uniform_candidate_sampler(LABELS, 2, 5, True, 12, seed=3))
    ),
    "uniform_again": _seeded(
        lambda tf: list(tf.random.uniform_candidate_sampler(LABELS, 2, 9, False, 12))
    ),
    "all_classes": lambda tf: list(tf.random.all_candidate_sampler(LABELS, 2, 9, True)),
    "accidental_hits": lambda tf: list(
        tf.nn.compute_accidental_hits(LABELS, np.array([3, 5, 1, 7, 0], np.int64), 2)
    ),
    "sampled_softmax": _loss("sampled_softmax_loss", remove_accidental_hits=False),
    "sampled_softmax_hits": _loss("sampled_softmax_loss"),
    "nce": _loss("nce_loss"),
}

"""Counts and crosses of sparse and ragged rows; `function_cases` says how they are recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DENSE = [[1, 2, 0, 2], [0, 5, 1, 1]]
WEIGHTS = [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]


def _sparse(tf: Any, weights: bool = False) -> Any:
    made = tf.sparse.from_dense(tf.constant(DENSE))
    return made.with_values(tf.range(1.0, 7.0)) if weights else made


def _ragged(tf: Any, weights: bool = False) -> Any:
    return tf.ragged.constant([[1.0, 2.5], [], [2.0]] if weights else [[1, 1], [], [2]])


def _features(tf: Any) -> list[Any]:
    texts = tf.sparse.from_dense([["a", "b"], ["c", ""]])
    return [texts, tf.constant([["d", "e"], ["f", "g"]]), tf.constant([[1, 2], [3, -4]], tf.int64)]


CASES: dict[str, Callable[[Any], Any]] = {
    "bincount_all": lambda tf: [
        tf.sparse.bincount(_sparse(tf)),
        tf.sparse.bincount(DENSE),
        tf.sparse.bincount(_ragged(tf)),
        tf.sparse.bincount(_ragged(tf), axis=None),
    ],
    "bincount_rows": lambda tf: [
        tf.sparse.bincount(x, axis=-1, **options)
        for x in (_sparse(tf), DENSE, _ragged(tf), [1, 1, 3], tf.constant(DENSE, tf.int64))
        for options in (
            {},
            {"binary_output": True},
            {"minlength": 10},
            {"maxlength": 3},
            {"minlength": 4, "maxlength": 9},
        )
    ],
    "bincount_weights": lambda tf: [
        tf.sparse.bincount(DENSE, weights=WEIGHTS, axis=-1),
        tf.sparse.bincount(DENSE, weights=WEIGHTS),
        tf.sparse.bincount(_sparse(tf), weights=_sparse(tf, True), axis=-1),
        tf.sparse.bincount(_sparse(tf), weights=_sparse(tf, True)),
        tf.sparse.bincount(_ragged(tf), weights=_ragged(tf, True), axis=-1),
    ],
    "cross": lambda tf: [
        tf.sparse.cross(_features(tf)),
        tf.sparse.cross(_features(tf)[1:], separator="*"),
        tf.sparse.cross(_features(tf)[:1]),
        tf.sparse.cross([tf.sparse.from_dense([[1, 0], [2, 3]]), _features(tf)[1]]),
    ],
    "cross_hashed": lambda tf: [
        tf.sparse.cross_hashed(_features(tf)),
        tf.sparse.cross_hashed(_features(tf), num_buckets=100),
        tf.sparse.cross_hashed(_features(tf)[1:], num_buckets=10, hash_key=5),
        tf.sparse.cross_hashed(_features(tf)[2:]),
    ],
    "ragged_cross_hashed": lambda tf: [
        tf.ragged.cross_hashed([_ragged(tf), tf.ragged.constant([["a"], ["b"], ["c", "d"]])]),
        tf.ragged.cross_hashed([_ragged(tf)], num_buckets=7, hash_key=11),
    ],
}

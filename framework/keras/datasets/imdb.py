"""`tf.keras.datasets.imdb`: 50,000 reviews of films, good or bad, as word numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.datasets import words
from shardtape.keras.datasets.archives import read_npz

_SHA256: str | None = "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"
_MD5: str | None = "bfafd718b763782e994055a2d397834f"


def load_data(
    path: str = "imdb.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> Any:
    """((x_train, y_train), (x_test, y_test)): arrays of lists of word numbers, and 0 or 1.

    The arguments are those of `words.selected`; `seed` decides the order.
    """
    if kwargs:
        raise TypeError(f"Unrecognized keyword arguments: {kwargs}.")
    names = ("x_train", "y_train", "x_test", "y_test")
    parts = read_npz("imdb.npz", _SHA256, names, path, lists=True)
    rng = np.random.RandomState(seed)
    shuffled = []
    for texts, labels in (parts[:2], parts[2:]):
        order = np.arange(len(texts))
        rng.shuffle(order)
        shuffled.append((texts[order], labels[order]))
    (x, y), (x_test, y_test) = shuffled
    kept, kept_labels = words.selected(
        np.concatenate([x, x_test]), np.concatenate([y, y_test]), num_words, skip_top, maxlen,
        start_char, oov_char, index_from,
    )  # fmt: skip
    border = len(x)
    made, given = words.ragged_array(kept), np.asarray(kept_labels)
    return (made[:border], given[:border]), (made[border:], given[border:])


def get_word_index(path: str = "imdb_word_index.json") -> dict[str, int]:
    """The number of each word, from 1 on (in the data they are shifted by `index_from`)."""
    return words.word_index(path, "imdb_word_index.json", _MD5)

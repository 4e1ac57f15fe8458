"""`tf.keras.datasets.reuters`: 11,228 newswires of 46 topics, as word numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.keras.datasets import words
from shardtape.keras.datasets.archives import read_npz

_SHA256: str | None = "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"
_MD5: str | None = "4d44cc38712099c9e383dc6e5f11a921"


def load_data(
    path: str = "reuters.npz",
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    test_split: float = 0.2,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
    **kwargs: Any,
) -> Any:
    """((x_train, y_train), (x_test, y_test)): arrays of lists of word numbers, and topics.

    The arguments are those of `words.selected`; `seed` decides the order.
    """
    if kwargs:
        raise TypeError(f"Unrecognized keyword arguments: {kwargs}.")
    x, y = read_npz("reuters.npz", _SHA256, ("x", "y"), path, lists=True)
    order = np.arange(len(x))
    np.random.RandomState(seed).shuffle(order)
    texts, labels = words.selected(x[order], y[order], num_words, skip_top, maxlen, start_char,
                                   oov_char, index_from)  # fmt: skip
    border = int(len(texts) * (1 - test_split))
    made, given = words.ragged_array(texts), np.asarray(labels)
    return (made[:border], given[:border]), (made[border:], given[border:])


_LABELS = (
    "cocoa", "grain", "veg-oil", "earn", "acq", "wheat", "copper", "housing", "money-supply",
    "coffee", "sugar", "trade", "reserves", "ship", "cotton", "carcass", "crude", "nat-gas",
    "cpi", "money-fx", "interest", "gnp", "meal-feed", "alum", "oilseed", "gold", "tin",
    "strategic-metal", "livestock", "retail", "ipi", "iron-steel", "rubber", "heat", "jobs",
    "lei", "bop", "zinc", "orange", "pet-chem", "dlr", "gas", "silver", "wpi", "hog", "lead",
)  # fmt: skip


def get_label_names() -> tuple[str, ...]:
    """The names of the 46 topics, by their numbers."""
    return _LABELS


def get_word_index(path: str = "reuters_word_index.json") -> dict[str, int]:
    """The number of each word, from 1 on (in the data they are shifted by `index_from`)."""
    return words.word_index(path, "reuters_word_index.json", _MD5)

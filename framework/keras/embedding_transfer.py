"""Embeddings of one vocabulary taken over for another one."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.keras import initializers
from shardtape.ops.convert import convert_to_tensor
from shardtape.tensor import Tensor


def warmstart_embedding_matrix(
    base_vocabulary: Any, new_vocabulary: Any, base_embeddings: Any,
    new_embeddings_initializer: Any = "uniform",
) -> Tensor:  # fmt: skip
    """The rows of a new vocabulary: those of the old one where it had the word.

    Args:
      base_vocabulary, new_vocabulary: lists of words, or files with one in each line.
      base_embeddings: (words, size) of the old vocabulary.
      new_embeddings_initializer: of the rows of new words, or an array of all rows.
    """
    old, new = _words(base_vocabulary), _words(new_vocabulary)
    base = np.asarray(base_embeddings)
    shape = (len(new), base.shape[1])
    if hasattr(new_embeddings_initializer, "shape"):
        rows = np.array(new_embeddings_initializer)
    else:
        made = initializers.get(new_embeddings_initializer)(shape, dtype=dt.as_dtype(base.dtype))
        rows = np.array(made.numpy())
    places = {word: i for i, word in enumerate(old)}
    for i, word in enumerate(new):
        if word in places:
            rows[i] = base[places[word]]
    return convert_to_tensor(rows)


def _words(vocabulary: Any) -> list[Any]:
    if isinstance(vocabulary, (str, os.PathLike)):
        with open(vocabulary, encoding="utf-8") as file:
            return file.read().splitlines()
    listed = np.asarray(vocabulary).ravel().tolist()
    return [word.decode() if isinstance(word, bytes) else word for word in listed]

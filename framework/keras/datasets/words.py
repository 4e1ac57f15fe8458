"""Texts as lists of word numbers: the selection that the data sets of texts share."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from shardtape.keras.datasets import archives
from shardtape.keras.downloads import get_file


def selected(
    texts: Any, labels: Any, num_words: int | None, skip_top: int, maxlen: int | None,
    start_char: int | None, oov_char: int | None, index_from: int,
) -> tuple[list[list[int]], Any]:  # fmt: skip
    """(texts, labels) with shifted word numbers, without long texts and rare or frequent words.

    Args:
      num_words: words of this number and above are left out.
      skip_top: words of a lower number are left out.
      maxlen: longer texts are left out.
      start_char: begins each text.
      oov_char: stands for words that are left out; None: nothing does.
      index_from: is added to all word numbers.

    Raises ValueError where no text is left.
    """
    first = [] if start_char is None else [start_char]
    shift = index_from or 0
    if start_char is not None or index_from:
        texts = [[*first, *(w + shift for w in text)] for text in texts]
    else:
        texts = [list(text) for text in texts]
    if maxlen:
        kept = [(text, label) for text, label in zip(texts, labels) if len(text) < maxlen]
        texts, labels = [text for text, _ in kept], [label for _, label in kept]
        if not texts:
            raise ValueError(
                f"After filtering for sequences shorter than maxlen={maxlen}, no sequence was "
                "kept. Increase maxlen."
            )
    top = num_words or max(max(text) for text in texts)

    def kept_words(text: list[int]) -> list[int]:
        if oov_char is None:
            return [w for w in text if skip_top <= w < top]
        return [w if skip_top <= w < top else oov_char for w in text]

    return [kept_words(text) for text in texts], labels


def ragged_array(texts: list[list[int]]) -> np.ndarray:
    """An array of lists."""
    made = np.empty(len(texts), object)
    made[:] = texts
    return made


def word_index(path: str, name: str, md5: str | None) -> dict[str, int]:
    """The numbers of words, from 1 on, before any shift."""
    file = get_file(path, archives.KERAS + name, file_hash=md5)
    with open(file, encoding="utf-8") as opened:
        return json.load(opened)

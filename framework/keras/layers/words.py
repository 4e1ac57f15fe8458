"""Texts cut into words: what `TextVectorization` does before it looks words up."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.registry import READS, Arg, op
from shardtape.ops.text import objects
from shardtape.shapes import TensorShape

_PUNCTUATION = re.compile(rb"""[!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~']""")


def _words_shape(texts: Arg, **attrs: Any) -> TensorShape:
    return TensorShape([texts.shape[0] if texts.shape.rank else None, None])


# Strings are small: a plan that folds or merges them saves nothing, hence no pure op.
@op("TextWords", dtypes=dt.ANY, effects=READS, dynamic=True, differentiable=False,
    shape=_words_shape)  # fmt: skip
def text_words(xp, texts, *, standardize=None, split=None, ngrams=()):
    """Words of each text in a row of strings, empty strings after them; see `words_of`."""
    rows = [
        [word for text in cells for word in words_of(standardized(text, standardize), split)]
        for cells in texts.reshape(texts.shape[0], -1 if texts.size else 0)
    ]
    rows = [with_ngrams(row, ngrams) for row in rows]
    out = np.empty((len(rows), max((len(r) for r in rows), default=0)), object)
    out[...] = b""
    for i, row in enumerate(rows):
        out[i, : len(row)] = row
    return out


@op("TextStandardize", dtypes=dt.ANY, effects=READS, differentiable=False,
    shape=lambda texts, **attrs: texts.shape)  # fmt: skip
def text_standardize(xp, texts, *, standardize=None):
    """Standardized texts in the shape of the texts; see `standardized`."""
    texts = np.asarray(texts)
    return objects([standardized(t, standardize) for t in texts.reshape(-1)], texts.shape)


def standardized(text: bytes, kind: str | None) -> bytes:
    """A text in lower case or without punctuation, as `standardize` of the layer says."""
    if kind in ("lower", "lower_and_strip_punctuation"):
        text = text.lower()  # ASCII letters only, as TensorFlow does without an encoding
    if kind in ("strip_punctuation", "lower_and_strip_punctuation"):
        text = _PUNCTUATION.sub(b"", text)
    return text


def words_of(text: bytes, split: str | None) -> list[bytes]:
    """The words of a text, its characters, or itself (`split` None)."""
    if split == "whitespace":
        return text.split()
    if split == "character":
        return [c.encode() for c in text.decode(errors="replace")]
    return [text]


def with_ngrams(words: list[bytes], lengths: Sequence[int]) -> list[bytes]:
    """All sequences of so many words, joined; the words themselves without lengths."""
    if not lengths:
        return words
    return [b" ".join(words[i : i + n]) for n in lengths for i in range(len(words) - n + 1)]

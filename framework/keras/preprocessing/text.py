"""`tf.keras.preprocessing.text`: words to numbers, in Python."""

from __future__ import annotations

import collections
import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(
    input_text: str, filters: str = _FILTERS, lower: bool = True, split: str = " "
) -> list[str]:
    """The words of a text; characters of `filters` part words too."""
    text = input_text.lower() if lower else input_text
    text = text.translate({ord(c): split for c in filters})
    return [word for word in text.split(split) if word]


def one_hot(
    input_text: str, n: int, filters: str = _FILTERS, lower: bool = True, split: str = " ",
    analyzer: Callable[[str], list[str]] | None = None,
) -> list[int]:  # fmt: skip
    """A number in 1..n-1 for each word, by Python's `hash` (another one in each process)."""
    return hashing_trick(input_text, n, hash, filters, lower, split, analyzer)


def hashing_trick(
    text: str, n: int, hash_function: Any = None, filters: str = _FILTERS, lower: bool = True,
    split: str = " ", analyzer: Callable[[str], list[str]] | None = None,
) -> list[int]:  # fmt: skip
    """A number in 1..n-1 for each word; two words may share one.

    Args:
      analyzer: cuts the text into words, in place of `filters`, `lower` and `split`.
      hash_function: None (Python's `hash`), "md5", or a function from a word to an int.
    """
    function: Callable[[str], int] = hash if hash_function is None else hash_function
    if hash_function == "md5":

        def function(word: str) -> int:
            return int(hashlib.md5(word.encode(), usedforsecurity=False).hexdigest(), 16)

    if analyzer is not None:
        words = analyzer(text)
    else:
        words = text_to_word_sequence(text, filters, lower, split)
    return [function(word) % (n - 1) + 1 for word in words]


class Tokenizer:
    """Numbers words by how often they occur, from 1 on.

    Args:
      num_words: only words of a lower number are kept by `texts_to_...`.
      filters, lower, split: see `text_to_word_sequence`.
      char_level: characters are the words.
      oov_token: stands for unknown words, as number 1.
      analyzer: function from a text to its words.
    """

    def __init__(
        self, num_words: int | None = None, filters: str = _FILTERS, lower: bool = True,
        split: str = " ", char_level: bool = False, oov_token: str | None = None,
        analyzer: Callable[[str], list[str]] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        self.document_count = kwargs.pop("document_count", 0)
        if kwargs:
            raise TypeError(f"Unrecognized keyword arguments: {kwargs}")
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token, self.analyzer = char_level, oov_token, analyzer
        self.word_counts: collections.OrderedDict[str, int] = collections.OrderedDict()
        self.word_docs: collections.defaultdict[str, int] = collections.defaultdict(int)
        self.index_docs: collections.defaultdict[int, int] = collections.defaultdict(int)
        self.word_index: dict[str, int] = {}
        self.index_word: dict[int, str] = {}

    def _words(self, text: Any) -> list[str]:
        if self.char_level or isinstance(text, list):
            if not self.lower:
                return list(text)
            return list(text.lower()) if isinstance(text, str) else [w.lower() for w in text]
        if self.analyzer is not None:
            return self.analyzer(text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Counts the words of texts (strings, or lists of words) and numbers them."""
        for text in texts:
            self.document_count += 1
            words = self._words(text)
            for word in words:
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
            for word in dict.fromkeys(words):
                self.word_docs[word] += 1
        ranked = sorted(self.word_counts.items(), key=lambda item: item[1], reverse=True)
        first = [] if self.oov_token is None else [self.oov_token]
        numbered = [*first, *(word for word, _ in ranked)]
        self.word_index = {word: i for i, word in enumerate(numbered, 1)}
        self.index_word = {i: word for word, i in self.word_index.items()}
        for word, count in self.word_docs.items():
            self.index_docs[self.word_index[word]] = count

    def fit_on_sequences(self, sequences: Iterable[Any]) -> None:
        """Counts documents of sequences of numbers."""
        for sequence in sequences:
            self.document_count += 1
            for number in set(sequence):
                self.index_docs[number] += 1

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """The numbers of the words of texts; unknown ones are left out, or `oov_token`'s."""
        return [self._numbers(text) for text in texts]

    def texts_to_sequences_generator(self, texts: Iterable[Any]) -> Iterable[list[int]]:
        """As `texts_to_sequences`, one by one."""
        return (self._numbers(text) for text in texts)

    def _numbers(self, text: Any) -> list[int]:
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        found = []
        for word in self._words(text):
            number = self.word_index.get(word)
            if number is None or (self.num_words and number >= self.num_words):
                number = unknown
            if number is not None:
                found.append(number)
        return found

    def sequences_to_texts(self, sequences: Iterable[Any]) -> list[str]:
        """The words of sequences of numbers, joined by spaces."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)
        texts = []
        for sequence in sequences:
            words = []
            for number in sequence:
                word = self.index_word.get(number)
                if word is None or (self.num_words and number >= self.num_words):
                    word = None if unknown is None else self.index_word[unknown]
                if word is not None:
                    words.append(word)
            texts.append(" ".join(words))
        return texts

    def sequences_to_texts_generator(self, sequences: Iterable[Any]) -> Iterable[str]:
        """As `sequences_to_texts`, one by one."""
        return (self.sequences_to_texts([sequence])[0] for sequence in sequences)

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> np.ndarray:
        """A row for each text and a column for each number; see `sequences_to_matrix`."""
        return self.sequences_to_matrix(self.texts_to_sequences(texts), mode)

    def sequences_to_matrix(self, sequences: Any, mode: str = "binary") -> np.ndarray:
        """A row for each sequence and a column for each number.

        Args:
          mode: "binary", "count", "freq" (share of the sequence) or "tfidf".

        Raises ValueError where the columns are not known, or for another mode.
        """
        columns = self.num_words
        if not columns:
            if not self.word_index:
                raise ValueError(
                    "Specify a dimension (`num_words` argument), or fit on some text data first."
                )
            columns = len(self.word_index) + 1
        if mode == "tfidf" and not self.document_count:
            raise ValueError("Fit the Tokenizer on some data before using tfidf mode.")
        if mode not in ("binary", "count", "freq", "tfidf"):
            raise ValueError(f"Unknown vectorization mode: {mode}")
        made = np.zeros((len(sequences), columns))
        for row, sequence in zip(made, sequences):
            counts = collections.Counter(n for n in sequence if n < columns)
            for number, count in counts.items():
                if mode == "count":
                    row[number] = count
                elif mode == "freq":
                    row[number] = count / len(sequence)
                elif mode == "binary":
                    row[number] = 1
                else:
                    documents = self.index_docs.get(number, 0)
                    inverse = np.log(1 + self.document_count / (1 + documents))
                    row[number] = (1 + np.log(count)) * inverse
        return made

    def get_config(self) -> dict[str, Any]:
        """Arguments and what was counted, as JSON texts."""
        counted = {
            "word_counts": self.word_counts, "word_docs": self.word_docs,
            "index_docs": self.index_docs, "index_word": self.index_word,
            "word_index": self.word_index,
        }  # fmt: skip
        return {
            "num_words": self.num_words, "filters": self.filters, "lower": self.lower,
            "split": self.split, "char_level": self.char_level, "oov_token": self.oov_token,
            "document_count": self.document_count,
            **{name: json.dumps(value) for name, value in counted.items()},
        }  # fmt: skip

    def to_json(self, **kwargs: Any) -> str:
        """The configuration as JSON; `kwargs` go to `json.dumps`."""
        return json.dumps({"class_name": "Tokenizer", "config": self.get_config()}, **kwargs)


def tokenizer_from_json(json_string: str) -> Tokenizer:
    """A Tokenizer of what `to_json` gave."""
    config = json.loads(json_string)["config"]
    counted = {
        name: json.loads(config.pop(name))
        for name in ("word_counts", "word_docs", "index_docs", "index_word", "word_index")
    }
    made = Tokenizer(**config)
    made.word_counts = collections.OrderedDict(counted["word_counts"])
    made.word_docs.update(counted["word_docs"])
    made.index_docs.update({int(k): v for k, v in counted["index_docs"].items()})
    made.index_word = {int(k): v for k, v in counted["index_word"].items()}
    made.word_index = counted["word_index"]
    return made

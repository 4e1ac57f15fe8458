"""`tf.keras.preprocessing.sequence`: sequences of one length, word pairs, windows over series."""

from __future__ import annotations

import json
import random
from typing import Any

import numpy as np

from shardtape.keras.data_sequence import Sequence


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> np.ndarray:
    """Sequences as rows of one length (count, maxlen, ...).

    Args:
      maxlen: the length; default that of the longest.
      padding, truncating: "pre" or "post": where short ones are filled, long ones cut.
      value: what they are filled with.

    Raises ValueError for elements that are no sequences, or whose inner shapes differ.
    """
    if not hasattr(sequences, "__len__"):
        raise ValueError("`sequences` must be iterable.")
    if padding not in ("pre", "post"):
        raise ValueError(f'Padding type "{padding}" not understood')
    if truncating not in ("pre", "post"):
        raise ValueError(f'Truncating type "{truncating}" not understood')
    inner: tuple[int, ...] = ()
    found = False
    for one in sequences:
        if not hasattr(one, "__len__"):
            raise ValueError(f"`sequences` must be a list of iterables. Found non-iterable: {one}")
        if len(one) and not found:
            inner, found = np.asarray(one).shape[1:], True
    longest = max((len(one) for one in sequences), default=0) if maxlen is None else maxlen
    texts = np.issubdtype(dtype, np.str_)
    if isinstance(value, str) and dtype is not object and not texts:
        raise ValueError(
            f"`dtype` {dtype} is not compatible with `value`'s type: {type(value)}\nYou should "
            "set `dtype=object` for variable length strings."
        )
    made = np.full((len(sequences), longest, *inner), value, dtype)
    for row, one in zip(made, sequences):
        if not len(one):
            continue
        part = one[-longest:] if truncating == "pre" else one[:longest]
        part = np.asarray(part, dtype)
        if part.shape[1:] != inner:
            raise ValueError(
                f"Shape of sample {part.shape[1:]} of sequence is different from expected shape "
                f"{inner}"
            )
        if longest:
            row[len(row) - len(part) if padding == "pre" else 0 :][: len(part)] = part
    return made


def make_sampling_table(size: int, sampling_factor: float = 1e-5) -> np.ndarray:
    """For each rank of a word the probability to keep it, if words are spread as Zipf says."""
    euler = 0.577
    rank = np.arange(size)
    rank[0] = 1
    inverse_share = rank * (np.log(rank) + euler) + 0.5 - 1.0 / (12.0 * rank)
    share = sampling_factor * inverse_share
    return np.minimum(1.0, share / np.sqrt(share))


def skipgrams(
    sequence: Any,
    vocabulary_size: int,
    window_size: int = 4,
    negative_samples: float = 1.0,
    shuffle: bool = True,
    categorical: bool = False,
    sampling_table: Any = None,
    seed: int | None = None,
) -> tuple[list[Any], list[Any]]:
    """Pairs (word, word near it) with label 1, and (word, random word) with label 0.

    Args:
      window_size: how far a neighbour may be.
      negative_samples: random pairs for each real one.
      categorical: labels are [0, 1] and [1, 0].
      sampling_table: the probability of each word to be kept.
      seed: of the order (the pairs themselves come from Python's `random`).
    """
    couples: list[Any] = []
    labels: list[Any] = []
    for i, word in enumerate(sequence):
        if not word or (sampling_table is not None and sampling_table[word] < random.random()):
            continue
        for j in range(max(0, i - window_size), min(len(sequence), i + window_size + 1)):
            near = sequence[j]
            if j != i and near:
                couples.append([word, near])
                labels.append([0, 1] if categorical else 1)
    if negative_samples > 0:
        count = int(len(labels) * negative_samples)
        words = [couple[0] for couple in couples]
        random.shuffle(words)
        couples += [[words[i % len(words)], random.randint(1, vocabulary_size - 1)]
                    for i in range(count)]  # fmt: skip
        labels += [[1, 0] if categorical else 0] * count
    if shuffle:
        seed = random.randint(0, 10_000_000) if seed is None else seed
        for part in (couples, labels):
            random.seed(seed)
            random.shuffle(part)
    return couples, labels


class TimeseriesGenerator(Sequence):
    """Windows over a series, batch by batch: (samples, targets).

    Args:
      data, targets: of one length; the first axis is time.
      length: of the windows, in steps.
      sampling_rate: every so many steps of a window.
      stride: between the windows.
      start_index, end_index: the part of the series that is used.
      reverse: windows run backwards.
    """

    def __init__(
        self, data: Any, targets: Any, length: int, sampling_rate: int = 1, stride: int = 1,
        start_index: int = 0, end_index: int | None = None, shuffle: bool = False,
        reverse: bool = False, batch_size: int = 128,
    ) -> None:  # fmt: skip
        if len(data) != len(targets):
            raise ValueError(
                f"Data and targets have to be of same length. Data length is {len(data)} while "
                f"target length is {len(targets)}"
            )
        self.data, self.targets, self.length = data, targets, length
        self.sampling_rate, self.stride = sampling_rate, stride
        self.start_index = start_index + length
        self.end_index = len(data) - 1 if end_index is None else end_index
        self.shuffle, self.reverse, self.batch_size = shuffle, reverse, batch_size
        if self.start_index > self.end_index:
            raise ValueError(
                f"`start_index+length={self.start_index} > end_index={self.end_index}` is "
                "disallowed, as no part of the sequence would be left to be used as current step."
            )

    def __len__(self) -> int:
        span = self.end_index - self.start_index + self.batch_size * self.stride
        return span // (self.batch_size * self.stride)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        if self.shuffle:
            rows = np.random.randint(self.start_index, self.end_index + 1, size=self.batch_size)
        else:
            first = self.start_index + self.batch_size * self.stride * index
            last = min(first + self.batch_size * self.stride, self.end_index + 1)
            rows = np.arange(first, last, self.stride)
        step = self.sampling_rate
        samples = np.array([self.data[row - self.length : row : step] for row in rows])
        targets = np.array([self.targets[row] for row in rows])
        return (samples[:, ::-1, ...] if self.reverse else samples), targets

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments, fit for JSON."""
        data, targets = np.asarray(self.data).tolist(), np.asarray(self.targets).tolist()
        return {
            "data": json.dumps(data), "targets": json.dumps(targets), "length": self.length,
            "sampling_rate": self.sampling_rate, "stride": self.stride,
            "start_index": self.start_index, "end_index": self.end_index,
            "shuffle": self.shuffle, "reverse": self.reverse, "batch_size": self.batch_size,
        }  # fmt: skip

    def to_json(self, **kwargs: Any) -> str:
        """The class and `get_config` as JSON; `kwargs` go to `json.dumps`."""
        return json.dumps({"class_name": type(self).__name__, "config": self.get_config()},
                          **kwargs)  # fmt: skip

"""Random words of datasets: TensorFlow's own, so that a seed gives TensorFlow's order.

A shuffle takes its seeds from a generator that belongs to the dataset and goes on with every
iteration over it; each iteration draws words from a Philox stream of those two seeds.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
import threading
from typing import Any

import numpy as np

from shardtape.backend import philox, random

_WORDS_AT_ONCE = 4096


class Draws:
    """Consecutive 32-bit words of the stream of two seeds.

    Attributes:
      drawn: how many were taken; a stream goes on anywhere by setting it at the start.
    """

    __slots__ = ("_start", "drawn", "_words", "_first")

    def __init__(self, seed: int, seed2: int, drawn: int = 0) -> None:
        self._start = philox.from_seeds(seed, seed2)
        self.drawn = drawn
        self._words = np.empty(0, np.uint32)
        self._first = 0  # number of the first word in `_words`

    def take(self, count: int) -> np.ndarray:
        """The next `count` words, uint32."""
        stop = self.drawn + count
        if stop > self._first + self._words.size or self.drawn < self._first:
            block = self.drawn // 4
            size = max(count + self.drawn % 4, min(_WORDS_AT_ONCE, 4 * max(count, 16)))
            self._words = philox.words(np, self._start.skip(block), -(-size // 4) * 4)
            self._first = 4 * block
        found = self._words[self.drawn - self._first : stop - self._first]
        self.drawn = stop
        return found

    def next(self) -> int:
        """The next word."""
        return int(self.take(1)[0])


class SeedGenerator:
    """Pairs of seeds, one for each iteration over a dataset; safe to share among threads.

    Args:
      seeds: two integers; both 0 start anywhere.
      fixed: every iteration gets these same seeds.
    """

    def __init__(self, seeds: tuple[int, int], fixed: bool = False) -> None:
        if seeds == (0, 0):
            seeds = secrets.randbits(63), secrets.randbits(63)
        self.seeds, self.fixed = seeds, fixed
        self._draws = Draws(*seeds)
        self._lock = threading.Lock()

    @property
    def drawn(self) -> int:
        """Words drawn so far."""
        return self._draws.drawn

    @drawn.setter
    def drawn(self, count: int) -> None:
        with self._lock:
            self._draws.drawn = count

    def next(self) -> tuple[int, int]:
        """The seeds of the next iteration."""
        with self._lock:
            if self.fixed:
                return self.seeds
            first, second = self._draws.take(2).tolist()
            return first, second

    def __getstate__(self) -> dict[str, Any]:
        return {"seeds": self.seeds, "fixed": self.fixed, "drawn": self.drawn}

    def __setstate__(self, stored: dict[str, Any]) -> None:
        self.__init__(stored["seeds"], stored["fixed"])  # type: ignore[misc]
        self._draws.drawn = stored["drawn"]


def seeds_of(seed: Any) -> tuple[int, int]:
    """The two seeds of a dataset op, (0, 0) where nothing was seeded."""
    first, second = random.get_seed(None if seed is None else int(seed))
    return first or 0, second or 0


class RunKey:
    """What all randomness of an iteration in a job follows from.

    Args:
      job_seed: the job's seed.
      epoch: number of the epoch; seeded shuffles give what their iteration number `epoch` would.
    """

    def __init__(self, job_seed: int, epoch: int) -> None:
        self.job_seed, self.epoch = job_seed, epoch
        self._given = 0

    def seeds(self, per_epoch: bool = False) -> tuple[int, int]:
        """Seeds for the next thing that has none of its own, in the order of first use."""
        self._given += 1
        epoch = self.epoch if per_epoch else -1
        return self._hash(self._given, epoch)

    def _hash(self, number: int, epoch: int) -> tuple[int, int]:
        packed = struct.pack("<3q", self.job_seed, number, epoch)
        digest = hashlib.blake2b(packed, digest_size=16, person=b"shardtape.data").digest()
        first, second = struct.unpack("<QQ", digest)
        return first >> 1, second >> 1


class KeyedStreams(random.Streams):
    """Streams of random ops in dataset functions that follow from a `RunKey`."""

    def __init__(self, key: RunKey) -> None:
        super().__init__(resets=False)
        self._key = key
        self._own: dict[Any, tuple[int, int]] = {}

    def take(self, identity: Any, seed: int, seed2: int, blocks: int) -> philox.Philox:
        """As `Streams.take`; seeded streams differ from epoch to epoch too."""
        if identity not in self._own:
            own = self._key.seeds(per_epoch=True)
            self._own[identity] = (own[0] ^ seed, own[1] ^ seed2)
        return super().take(identity, *self._own[identity], blocks)

"""Random words of datasets: TensorFlow's own, so that a seed gives TensorFlow's order.

A shuffle takes its seeds from a generator that belongs to the dataset and goes on with every
iteration over it; each iteration draws words from a Philox stream of those two seeds.
"""

from __future__ import annotations

import hashlib
import secrets
import struct
import threading
from collections.abc import Callable
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


class LateDraws(Draws):
    """The same of two seeds that are asked for with the first word."""

    __slots__ = ("_seeds",)

    def __init__(self, seeds: Callable[[], tuple[int, int]]) -> None:
        self._seeds: Callable[[], tuple[int, int]] | None = seeds
        self.drawn = 0

    def take(self, count: int) -> np.ndarray:
        if self._seeds is not None:
            seeds, self._seeds = self._seeds, None
            super().__init__(*seeds(), self.drawn)
        return super().take(count)


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
    """The two seeds of a dataset op, (0, 0) where nothing was seeded.

    Raises TypeError for what is no integer.
    """
    if isinstance(seed, (str, bytes, float, np.floating)):
        raise TypeError(f"`seed` must be an integer, got {seed!r}")
    first, second = random.get_seed(None if seed is None else int(seed))
    return first or 0, second or 0


class RunKey:
    """What all randomness of an iteration in a job follows from.

    Whatever draws is told apart by its place in the dataset and, in functions, by the number of
    the call: never by what ran before, which threads would change.

    Args:
      job_seed: the job's seed.
      epoch: number of the epoch; seeded shuffles give what their iteration number `epoch` would.
    """

    def __init__(self, job_seed: int, epoch: int) -> None:
        self.job_seed, self.epoch = job_seed, epoch

    def seeds(self, *place: int) -> tuple[int, int]:
        """Seeds for what is at this place and has none of its own; the same in every epoch."""
        packed = struct.pack(f"<{1 + len(place)}q", self.job_seed, *place)
        digest = hashlib.blake2b(packed, digest_size=16, person=b"shardtape.data").digest()
        first, second = struct.unpack("<QQ", digest)
        return first >> 1, second >> 1


class NumberedStreams:
    """Streams of a function that several threads call, outside of jobs: by number of the call.

    Call n draws what it would if the calls came one after the other, whichever thread is first.
    That place of a stream is known for random ops that draw the same amount once in every call
    (`fixed`); of others each call has a stream of its own.

    Args:
      fixed: identities of such ops.
    """

    def __init__(self, fixed: frozenset[Any]) -> None:
        self._fixed = fixed
        self._starts: dict[Any, tuple[int, int]] = {}
        self._lock = threading.Lock()
        self._calls = self._opened = self._open = 0

    def begin(self) -> tuple[int, int]:
        """(salt, number of the first call) for another pass.

        A pass goes on behind those before it; where one of them did not come to its end, which
        of its calls were made depends on threads, and a salt sets the new pass apart.
        """
        with self._lock:
            salt = self._opened if self._open else 0
            self._opened += 1
            self._open += 1
            return salt, self._calls

    def end(self, salt: int, calls: int) -> None:
        """A pass has come to its end; `calls` is the number of the call behind its last."""
        with self._lock:
            self._open -= 1
            if not salt:
                self._calls = calls

    def of_call(self, salt: int, number: int) -> _CallStreams:
        """The streams of one call."""
        return _CallStreams(self, salt, number)

    def first_position(
        self, identity: Any, seeds: tuple[int, int], blocks: int, salt: int, number: int
    ) -> philox.Philox:
        """Where a call begins to draw for a random op."""
        with self._lock:
            if identity not in self._starts:
                anywhere = secrets.randbits(64), secrets.randbits(64)
                self._starts[identity] = anywhere if seeds == (0, 0) else seeds
            start = self._starts[identity]
        if not salt and identity in self._fixed:
            return philox.from_seeds(*start).skip(number * blocks)
        mask = 2**64 - 1
        packed = struct.pack("<4Q", start[0] & mask, start[1] & mask, salt, number)
        digest = hashlib.blake2b(packed, digest_size=16, person=b"shardtape.calls").digest()
        return philox.from_seeds(*struct.unpack("<QQ", digest))


class _CallStreams:
    """As `random.Streams`, for one call in one thread."""

    def __init__(self, streams: NumberedStreams, salt: int, number: int) -> None:
        self._streams, self._salt, self._number = streams, salt, number
        self._positions: dict[Any, philox.Philox] = {}

    def take(self, identity: Any, seed: int, seed2: int, blocks: int) -> philox.Philox:
        """As `Streams.take`."""
        position = self._positions.get(identity)
        if position is None:
            position = self._streams.first_position(
                identity, (seed, seed2), blocks, self._salt, self._number
            )
        self._positions[identity] = position.skip(blocks)
        return position

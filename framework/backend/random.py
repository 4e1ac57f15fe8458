"""Seeds and streams: which part of which Philox stream a stateful random op draws from.

TensorFlow's rules (2.15):

* The two seeds of an op (`get_seed`): global and op seed if both are set; with an op seed only,
  87654321 and the op seed; with a global seed only, the global seed and a running one: in eager
  mode the next number of Python's generator started from the global seed, in a graph the number
  of random ops made in it so far. With neither, the stream starts anywhere.
* In eager mode equal ops (type, dtypes, seeds, device) share one stream and go on in it; setting
  the global seed starts all anew. In a graph each node has a stream of its own, which belongs to
  the session or the function (`Streams`), not to the graph.
* Each run takes 256 blocks of four words for each value of its output, used or not.

A worker's step draws differently (`step_key`): what it draws depends on the batch and on the
order of the ops in the step and on nothing else, so that a second attempt at a batch computes
the same on any worker.
"""

from __future__ import annotations

import hashlib
import random
import secrets
import struct
import threading
import weakref
from collections.abc import Hashable
from typing import Any

from shardtape.backend.philox import Philox, from_seeds
from shardtape.context import state as context

DEFAULT_GRAPH_SEED = 87654321
_MAXINT32 = 2**31 - 1


class Streams:
    """Positions of the streams of one owner: eager mode, a session or a function.

    Args:
      resets: the streams start anew when the global seed is set (eager mode and functions).
    """

    def __init__(self, *, resets: bool = True) -> None:
        self._lock = threading.Lock()
        self._positions: dict[Hashable, Philox] = {}
        self._resets = resets
        self._seeded_by: Any = None

    def take(self, identity: Hashable, seed: int, seed2: int, blocks: int) -> Philox:
        """The position of the stream `identity`, which then moves on by `blocks`.

        A stream that is used for the first time starts at its two seeds, anywhere if both are 0.
        """
        with self._lock:
            if self._resets:
                seeded_by = current_seed().setting
                if seeded_by is not self._seeded_by:
                    self._positions.clear()
                    self._seeded_by = seeded_by
            position = self._positions.get(identity)
            if position is None:
                if seed == 0 and seed2 == 0:
                    seed, seed2 = secrets.randbits(64), secrets.randbits(64)
                position = from_seeds(seed, seed2)
            self._positions[identity] = position.skip(blocks)
        return position


class GlobalSeed:
    """The global seed of eager mode and what follows from it.

    Attributes:
      value: the seed, or None.
      setting: a new object each time the seed is set.
      objects: generator of seeds for objects that were given none, if one was set.
      required: ops without any seed are errors.
    """

    def __init__(self, value: Any = None) -> None:
        self.lock = threading.Lock()
        self.required = False
        self.objects: random.Random | None = None
        self.set(value)

    def set(self, value: Any) -> None:
        with self.lock:
            self.value = value
            self.setting = object()
            self._next_op = random.Random(value)

    def next_op_seed(self) -> int:
        """The next op seed of eager mode."""
        with self.lock:
            return self._next_op.randint(0, _MAXINT32)


_process_seed = GlobalSeed()
_process_streams = Streams()
_random_ops_of: weakref.WeakKeyDictionary[Any, int] = weakref.WeakKeyDictionary()


class _Local(threading.local):
    seed: GlobalSeed | None = None
    eager_streams: Streams | None = None
    streams: Streams | None = None
    step: _Step | None = None
    within: tuple[int, ...] = ()


_local = _Local()


def current_seed() -> GlobalSeed:
    """The global seed that holds in this thread."""
    return _local.seed or _process_seed


# ---- seeds ------------------------------------------------------------------------------------
def set_seed(seed: int) -> None:
    """Sets the global seed of eager mode and starts its streams anew."""
    try:
        hash(seed)
    except TypeError:
        seed = int(seed)  # arrays of one element
    if hasattr(seed, "item"):
        seed = seed.item()  # Random seeds itself from a numpy number by its hash, as from an int
    current_seed().set(seed)


def global_seed() -> int | None:
    """The global seed of eager mode; a function's graph takes it as its own when it is made."""
    return current_seed().value


def require_seeds() -> None:
    """From now on an op without any seed raises RuntimeError (`enable_op_determinism`)."""
    current_seed().required = True


class seeded:
    """Block in which this thread has a global seed and streams of its own.

    What is drawn inside, initial values of Variables too, follows from `seed` alone, and what
    is drawn outside goes on as if the block had not been. None leaves the outer seed in force.
    """

    def __init__(self, seed: int | None) -> None:
        self._seed = seed

    def __enter__(self) -> None:
        self._outer = _local.seed, _local.eager_streams, _local.streams
        if self._seed is not None:
            _local.seed = GlobalSeed(self._seed)
            _local.seed.objects = random.Random(self._seed)
            _local.eager_streams, _local.streams = Streams(), None

    def __exit__(self, *exc: Any) -> None:
        _local.seed, _local.eager_streams, _local.streams = self._outer


def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The two seeds of an op, (None, None) where nothing was seeded.

    Raises RuntimeError for an unseeded op after `require_seeds`.
    """
    graph, current = context.graph, current_seed()
    overall = current.value if graph is None else graph.seed
    if overall is None:
        if op_seed is None:
            if current.required:
                raise RuntimeError(
                    "Random ops require a seed to be set when determinism is enabled. Please set "
                    "a seed before running the op, e.g. by calling tf.random.set_seed(1)."
                )
            return None, None
        overall = DEFAULT_GRAPH_SEED
    elif op_seed is None:
        op_seed = current.next_op_seed() if graph is None else _next_graph_seed(graph)
    seeds = int(overall) % _MAXINT32, int(op_seed) % _MAXINT32
    return (0, _MAXINT32) if seeds == (0, 0) else seeds  # (0, 0) means unseeded to a kernel


def _next_graph_seed(graph: Any) -> int:
    made = _random_ops_of.get(graph, 0)
    _random_ops_of[graph] = made + 1
    return made


# ---- streams ----------------------------------------------------------------------------------
def take(identity: Hashable, seed: int, seed2: int, blocks: int) -> Philox:
    """Where a stateful op draws its next `blocks` blocks from; called by its kernel.

    Args:
      identity: of the stream: type, dtypes, seeds and device of an eager op, or its node.
      seed, seed2: where the stream starts.
    """
    if _local.step is not None:
        return _local.step.next()
    streams = _local.streams or _local.eager_streams or _process_streams
    if _local.within:
        identity = (_local.within, identity)
    return streams.take(identity, seed, seed2, blocks)


def current_streams() -> Streams | None:
    """The streams of the session or function that runs in this thread; None outside any."""
    return _local.streams


class using:
    """Block in which this thread's random ops use the streams of a session or function."""

    def __init__(self, streams: Streams) -> None:
        self._streams = streams

    def __enter__(self) -> Streams:
        self._outer = _local.streams
        _local.streams = self._streams
        return self._streams

    def __exit__(self, *exc: Any) -> None:
        _local.streams = self._outer


class within:
    """Block in which traced code draws from streams of the copy `number` of it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __enter__(self) -> None:
        self._outer = _local.within
        _local.within = (*self._outer, self._number)

    def __exit__(self, *exc: Any) -> None:
        _local.within = self._outer


class _Step:
    """The streams of one step: number n is a hash of the step's key and n."""

    def __init__(self, key: tuple[int, ...], person: bytes) -> None:
        packed = struct.pack(f"<{len(key)}q", *key)
        self._digest = hashlib.blake2b(packed, digest_size=24, person=person)
        self.person = person
        self._drawn = 0

    def next(self) -> Philox:
        digest = self._digest.copy()
        digest.update(struct.pack("<q", self._drawn))
        self._drawn += 1
        key, counter = struct.unpack("<QQ8x", digest.digest())
        return Philox(key, counter << 64)


class step_key:
    """Block of a worker's step on the batch (epoch, split, index) of a job.

    The n-th random op that runs inside draws from a stream that follows from the batch and n,
    whatever its seeds are and whatever ran before. Random ops of a step therefore run in program
    order. Applies to this thread.

    Args:
      job_seed, epoch, split, index: integers of up to 63 bits.
    """

    _person = b"shardtape.step"

    def __init__(self, job_seed: int, epoch: int, split: int, index: int) -> None:
        self._key: tuple[int, ...] = (job_seed, epoch, split, index)

    def __enter__(self) -> None:
        self._outer = _local.step
        _local.step = _Step(self._key, self._person)

    def __exit__(self, *exc: Any) -> None:
        _local.step = self._outer


class call_key(step_key):
    """Block of one call of a dataset's function in a job; as `step_key`, for other keys.

    Args:
      key: integers of up to 63 bits that tell this call from all others.
    """

    _person = b"shardtape.call"

    def __init__(self, *key: int) -> None:
        self._key = key


def in_step() -> bool:
    """Whether this thread is inside `step_key` or `call_key`."""
    return _local.step is not None


def seed_in_call() -> int | None:
    """A seed of 63 bits, drawn as a random op would, inside `call_key`; None outside of it."""
    step = _local.step
    if step is None or step.person != call_key._person:
        return None
    return step.next().key >> 1

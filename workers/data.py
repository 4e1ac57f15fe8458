"""Training data as splits and batches, opened by the worker and never pickled into closures.

A batch is a mapping of feed names to arrays whose first axis is the examples. What it holds is
a function of (seed, BatchId), so that whoever computes a batch again sees the same examples.
Four kinds of sources give them:

* arrays by feed name: examples in a new order every epoch, the last batch may be smaller;
* a function of (split, of), optionally also of (epoch), that returns arrays by feed name or an
  iterable of batches for one of `of` splits; it is called in the worker;
* a `tf.data.Dataset` of batches: all its randomness follows from the job's seed and the epoch,
  its seeded shuffles give in epoch e what their iteration number e gives in a program alone;
* an iterable of batches that can be iterated again and again.
"""

from __future__ import annotations

import inspect
import itertools
import math
import mmap
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from shardtape.data import INFINITE_CARDINALITY, Dataset
from shardtape.data.iterator import OwnedIterator
from shardtape.data.portable import attach_arrays, detach_arrays
from shardtape.errors import FailedPreconditionError, InvalidArgumentError
from shardtape.ps.ids import BatchId
from shardtape.workers.split_readers import DatasetBatches, batches_of, slices_of

Batch = dict[str, np.ndarray]

# Batches in a split of arrays. Fixed, so that a job that resumes with another number of workers
# still means the same examples by a BatchId.
BATCHES_PER_SPLIT = 32
# Splits that a function or an iterable is read in where the user gives no number.
DEFAULT_SPLITS = 8
# Below this arrays travel inside the job's message, above it through the object store.
INLINE_LIMIT_BYTES = 1 << 20
# Splits that are read side by side at most. A reader keeps as many iterators open to go on where it
# was, and a round's order needs no more of them: with one more than are kept, every batch would
# read its split again from the start. Well below the 1024 files that a process may have open.
SPLITS_AT_ONCE = 256
_END = object()


class Source(Protocol):
    """Batches of a data set, opened in the process that reads them."""

    any_order: bool

    def lengths(self) -> list[int | None]:
        """Batches in each split; None where only reading to the end tells."""

    def batch(self, batch: BatchId) -> Batch | None:
        """The examples of a batch; None beyond the end of its split."""

    def length(self, epoch: int, split: int) -> int:
        """Batches in a split, once `batch` has found its end."""


@dataclass(frozen=True)
class Handle:
    """An array that is elsewhere: in a file that can be mapped, or in the object store."""

    dtype: str
    shape: tuple[int, ...]
    path: str | None = None
    offset_bytes: int = 0
    reference: Any = None

    def open(self, get: Callable[[Any], np.ndarray] | None) -> np.ndarray:
        """A read-only array over the same bytes, without a copy on the same host."""
        if self.path is not None:
            return np.memmap(self.path, self.dtype, "r", self.offset_bytes, self.shape)
        if get is None:
            raise FailedPreconditionError("this array is in an object store: it needs Ray")
        return get(self.reference)


@dataclass
class DataSpec:
    """A data set as it travels to the workers: small, whatever the size of the data.

    Fields:
      kind: "arrays", "function", "dataset" or "iterable".
      arrays: by feed name, or those of a dataset; arrays themselves only where they are small.
      function: the function, dataset or iterable.
      names, examples: of arrays; the number of examples is -1 where it is not known.
    """

    kind: str
    arrays: Mapping[str, np.ndarray | Handle] = field(default_factory=dict)
    function: Any = None
    names: tuple[str, ...] = ()
    examples: int = -1
    splits: int = DEFAULT_SPLITS
    batch_size: int = 32
    seed: int = 0
    shuffle: bool = True

    def signature(self) -> dict[str, Any]:
        """What must be equal for a BatchId to mean the same examples (kept in checkpoints)."""
        fields = ("kind", "names", "examples", "splits", "batch_size", "seed", "shuffle")
        return {name: _plain(getattr(self, name)) for name in fields}

    def lengths(self) -> list[int | None]:
        """As `Source.lengths`, without opening the data."""
        if self.kind == "arrays":
            return list(split_lengths(self.examples, self.batch_size))
        return [None] * self.splits

    @property
    def any_order(self) -> bool:
        return self.kind == "arrays"


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def split_lengths(examples: int, batch_size: int) -> list[int]:
    """Batches in each split of an array data set; all but the last have BATCHES_PER_SPLIT."""
    batches = math.ceil(examples / batch_size)
    full, rest = divmod(batches, BATCHES_PER_SPLIT)
    return [BATCHES_PER_SPLIT] * full + [rest] * bool(rest)


def describe(
    data: Any,
    *,
    name: str,
    batch_size: int,
    seed: int = 0,
    shuffle: bool = True,
    splits: int | None = None,
) -> DataSpec:
    """Checks what the user gave as `train` or `test` and says what kind it is.

    Args:
      data: arrays by feed name, a function of (split, of), or an iterable of batches.
      name: "train" or "test", for error texts.

    Raises:
      InvalidArgumentError: names the array and what is wrong with it.
    """
    common: dict[str, Any] = {
        "splits": splits or DEFAULT_SPLITS,
        "batch_size": batch_size,
        "seed": seed,
        "shuffle": shuffle,
    }
    if isinstance(data, Mapping):
        arrays = _checked_arrays(data, name)
        examples = len(next(iter(arrays.values())))
        return DataSpec("arrays", arrays, None, tuple(arrays), examples, **common)
    if isinstance(data, Dataset):
        return _described_dataset(data, name, common)
    if isinstance(data, (Iterator, OwnedIterator)):
        raise InvalidArgumentError(
            f"{name} is an iterator, which can be read once only: give a function of (split, of) "
            "that returns a new one, or an object that can be iterated again and again"
        )
    if callable(data) and not isinstance(data, Iterable):
        _positional(data, name)
        return DataSpec("function", function=data, **common)
    if isinstance(data, Iterable) and not isinstance(data, (str, bytes, np.ndarray)):
        return DataSpec("iterable", function=data, **common)
    raise InvalidArgumentError(
        f"{name} is a {type(data).__name__}: expected arrays by feed name like "
        '{"x": images, "y": labels}, a function of (split, of), or an iterable of batches'
    )


def _described_dataset(data: Dataset, name: str, common: dict[str, Any]) -> DataSpec:
    count = int(data.cardinality())
    if count == INFINITE_CARDINALITY:
        raise InvalidArgumentError(
            f"{name} is a dataset without an end: an epoch is one pass over it, so leave out "
            "`repeat`, or say with `take` how many batches an epoch has"
        )
    if count == 0:
        raise InvalidArgumentError(
            f"{name} is a dataset without elements: has it fewer examples than a batch, with "
            "drop_remainder=True?"
        )
    small, arrays = detach_arrays(data, INLINE_LIMIT_BYTES)
    names = (repr(data.element_spec),)
    return DataSpec("dataset", dict(arrays), small, names, count, **common)


def _checked_arrays(data: Mapping[str, Any], name: str) -> Batch:
    if not data:
        raise InvalidArgumentError(f"{name} has no arrays: expected for example {{'x': images}}")
    arrays: Batch = {}
    for key, value in data.items():
        if not isinstance(key, str):
            raise InvalidArgumentError(
                f"{name}: {key!r} is no feed name; use the placeholder's name, a string"
            )
        array = value if isinstance(value, np.ndarray) else np.asarray(value)
        if array.dtype.hasobject:
            raise InvalidArgumentError(
                f"{name}[{key!r}] holds Python objects (dtype {array.dtype}), not numbers: are "
                "its rows of different lengths?"
            )
        if array.ndim == 0:
            raise InvalidArgumentError(f"{name}[{key!r}] is a scalar: its axis 0 must be examples")
        arrays[key] = array
    sizes = {key: len(array) for key, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise InvalidArgumentError(
            f"{name}: all arrays need the same number of examples, got "
            + ", ".join(f"{key}: {size}" for key, size in sizes.items())
        )
    if next(iter(sizes.values())) == 0:
        raise InvalidArgumentError(f"{name} has no examples")
    return arrays


def _positional(function: Callable[..., Any], name: str) -> int:
    """2 or 3: whether the function of (split, of) also takes the epoch."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return 2
    for count in (3, 2):
        try:
            signature.bind(*range(count))
            return count
        except TypeError:
            continue
    raise InvalidArgumentError(
        f"{name} is a function with the arguments {signature}: expected (split, of) or "
        "(split, of, epoch)"
    )


def portable(spec: DataSpec, put: Callable[[np.ndarray], Any] | None) -> DataSpec:
    """Replaces large arrays by handles, so that the spec can be sent to every worker.

    Args:
      put: lays an array into the object store and returns its reference; None keeps arrays.
    """
    if put is None or not spec.arrays:
        return spec
    arrays = {
        key: array if isinstance(array, Handle) else _handle(array, put)
        for key, array in spec.arrays.items()
    }
    return DataSpec(**{**spec.__dict__, "arrays": arrays})


def _handle(array: np.ndarray, put: Callable[[np.ndarray], Any]) -> np.ndarray | Handle:
    # a slice of a memmap keeps the file's name but not its own offset: only the root is mapped
    if (
        isinstance(array, np.memmap)
        and isinstance(array.base, mmap.mmap)
        and array.filename
        and array.flags.c_contiguous
    ):
        return Handle(array.dtype.str, array.shape, str(array.filename), array.offset)
    if array.nbytes <= INLINE_LIMIT_BYTES:
        return np.array(array)
    return Handle(array.dtype.str, array.shape, reference=put(np.ascontiguousarray(array)))


def open_source(
    spec: DataSpec,
    get: Callable[[Any], np.ndarray] | None = None,
    names: Sequence[str] | None = (),
) -> Source:
    """Opens a data set in the process that reads it.

    Args:
      get: fetches an array from the object store by its reference.
      names: feed names that the elements of tuples go to, in order; None: not known yet, tuples
        give empty batches.
    """
    named = None if names is None else tuple(names)
    arrays = {
        key: array.open(get) if isinstance(array, Handle) else array
        for key, array in spec.arrays.items()
    }
    if spec.kind == "arrays":
        return ArraySource(arrays, spec.batch_size, spec.seed, spec.shuffle)
    if spec.kind == "dataset":
        return FunctionSource(
            spec, named, batches_of(attach_arrays(spec.function, arrays), spec.seed)
        )
    if spec.kind == "function":
        return FunctionSource(spec, named)
    return FunctionSource(spec, named, slices_of(spec.function))


class ArraySource:
    """Batches of arrays that fit into memory or are mapped."""

    any_order = True

    def __init__(self, arrays: Batch, batch_size: int, seed: int = 0, shuffle: bool = True) -> None:
        self.arrays = arrays
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        self.examples = len(next(iter(arrays.values())))
        self._orders: OrderedDict[int, np.ndarray] = OrderedDict()

    def lengths(self) -> list[int | None]:
        return list(split_lengths(self.examples, self.batch_size))

    def length(self, epoch: int, split: int) -> int:
        del epoch
        return split_lengths(self.examples, self.batch_size)[split]

    def order(self, epoch: int) -> np.ndarray:
        """int64 (examples,): the permutation of the examples in an epoch."""
        order = self._orders.get(epoch)
        if order is None:
            order = shuffled(self.examples, self.seed, epoch)
            self._orders[epoch] = order
            while len(self._orders) > 2:
                self._orders.popitem(last=False)
        return order

    def batch(self, batch: BatchId) -> Batch | None:
        number = batch.split * BATCHES_PER_SPLIT + batch.index
        start = number * self.batch_size
        stop = min(start + self.batch_size, self.examples)
        if start >= stop or batch.index >= BATCHES_PER_SPLIT:
            return None
        if not self.shuffle:
            return {key: array[start:stop] for key, array in self.arrays.items()}
        rows = self.order(batch.epoch)[start:stop]
        return {key: array[rows] for key, array in self.arrays.items()}


def shuffled(examples: int, *key: int) -> np.ndarray:
    """int64 (examples,): a permutation that depends on the key alone, on every machine."""
    return np.random.Generator(np.random.PCG64(list(key))).permutation(examples)


class FunctionSource:
    """Batches that a function of (split, of) or of (split, of, epoch) yields in order.

    A batch before the one read last makes it read the split again from the start, so that a
    batch of a dead worker can be computed again.
    """

    any_order = False

    def __init__(
        self,
        spec: DataSpec,
        names: tuple[str, ...] | None = (),
        function: Callable[..., Any] | None = None,
    ) -> None:
        self._spec = spec
        self._names = names
        self._function = function or spec.function
        self._arguments = _positional(self._function, "the data function")
        self._open: OrderedDict[tuple[int, int], tuple[Iterator[Any], int]] = OrderedDict()
        self._last: tuple[BatchId, Batch | None] | None = None
        self._ended: dict[tuple[int, int], int] = {}

    def lengths(self) -> list[int | None]:
        return [None] * self._spec.splits

    def length(self, epoch: int, split: int) -> int:
        return self._ended[epoch, split]

    def batch(self, batch: BatchId) -> Batch | None:
        if self._last is not None and self._last[0] == batch:
            return self._last[1]
        key = (batch.epoch, batch.split)
        if batch.index >= self._ended.get(key, math.inf):
            return None
        if key not in self._open:
            self._release_other_epochs(batch.epoch)
        iterator, position = self._open.pop(key, (None, 0))
        if iterator is None or position > batch.index:
            iterator, position = self._iterate(batch.epoch, batch.split), 0
        if isinstance(iterator, (DatasetBatches, OwnedIterator)):
            # without computing what is not asked for; an iterator of the user's may mean another
            # thing by `skip`
            position += iterator.skip(batch.index - position)
        while True:
            element = next(iterator, _END)
            if element is _END:
                self._ended[key] = position
                return None
            position += 1
            if position > batch.index:
                break
        found = self._by_name(element, batch)
        self._open[key] = (iterator, position)
        while len(self._open) > SPLITS_AT_ONCE:
            self._open.popitem(last=False)
        self._last = (batch, found)
        return found

    def _release_other_epochs(self, epoch: int) -> None:
        """Their splits may have been left before their ends, which a worker need not read."""
        for key in [key for key in self._open if key[0] != epoch]:
            del self._open[key]
        self._ended = {key: length for key, length in self._ended.items() if key[0] == epoch}

    def _iterate(self, epoch: int, split: int) -> Iterator[Any]:
        arguments = (split, self._spec.splits, epoch)[: self._arguments]
        data = self._function(*arguments)
        if isinstance(data, Mapping):
            return self._cut(_checked_arrays(data, f"split {split} of the data"), epoch, split)
        if not isinstance(data, Iterable):
            raise InvalidArgumentError(
                f"the data function returned a {type(data).__name__} for split {split}: expected "
                "arrays by feed name or an iterable of batches"
            )
        return iter(data)

    def _cut(self, arrays: Batch, epoch: int, split: int) -> Iterator[Batch]:
        source = ArraySource(arrays, self._spec.batch_size, shuffle=False)
        if self._spec.shuffle:
            order = shuffled(source.examples, self._spec.seed, epoch, split)
            source.arrays = {key: array[order] for key, array in arrays.items()}
        for number in itertools.count():
            found = source.batch(BatchId(epoch, *divmod(number, BATCHES_PER_SPLIT)))
            if found is None:
                return
            yield found

    def _by_name(self, element: Any, batch: BatchId) -> Batch:
        if isinstance(element, Mapping):
            return {str(key): np.asarray(value) for key, value in element.items()}
        if self._names is None:
            return {}
        if isinstance(element, (tuple, list)) and len(element) == len(self._names):
            return {key: np.asarray(value) for key, value in zip(self._names, element)}
        if not isinstance(element, (tuple, list)) and len(self._names) == 1:
            return {self._names[0]: np.asarray(element)}
        size = f" of {len(element)}" if isinstance(element, (tuple, list)) else ""
        raise InvalidArgumentError(
            f"{batch}: the data gave a {type(element).__name__}{size}, expected a mapping of feed "
            f"names to arrays, or {len(self._names)} arrays for the placeholders "
            f"{', '.join(self._names) or '(none)'} in this order"
        )


def feeds_of(arrays: Batch) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """(dtype, shape with None for the batch) by feed name, of a batch or of whole arrays."""
    return {key: (array.dtype.name, (None, *array.shape[1:])) for key, array in arrays.items()}


def batches_between(source: Source, start: int, stop: int) -> Iterator[Batch]:
    """Batches start..stop (stop excluded; 0..0: all) of a source, in the order of its splits."""
    if isinstance(source, ArraySource):
        numbers = range(start, stop) if stop else itertools.count()
        ids = (BatchId(0, *divmod(number, BATCHES_PER_SPLIT)) for number in numbers)
        found: Iterator[Batch | None] = (source.batch(batch) for batch in ids)
        yield from itertools.takewhile(lambda batch: batch is not None, found)  # type: ignore
        return
    for split in range(len(source.lengths())):
        for index in itertools.count():
            batch = source.batch(BatchId(0, split, index))
            if batch is None:
                break
            yield batch


def examples_in(batch: Batch) -> int:
    """Number of examples: the first axis of the first array that has one."""
    return next((len(array) for array in batch.values() if np.ndim(array)), 1)

"""What `fit`, `evaluate` and `predict` are given, as batches of (x, y, sample_weight)."""

from __future__ import annotations

import logging
import math
import random as python_random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from shardtape import nest
from shardtape.backend import random
from shardtape.context import building, recording
from shardtape.errors import InvalidArgumentError
from shardtape.keras.data_sequence import DatasetCreator
from shardtape.keras.floatx import floatx
from shardtape.keras.models.composites import chosen, count_of, is_composite_value
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.random import random_shuffle, random_shuffle_op
from shardtape.sparse_tensor import SparseTensor
from shardtape.tensor import Tensor
from shardtape.variable import Variable

_log = logging.getLogger("shardtape")


def is_arrays(x: Any) -> bool:
    """True for arrays and tensors (nested), which are cut into batches; False for iterables."""
    flat = nest.flatten(x)
    return bool(flat) and all(
        isinstance(t, (np.ndarray, Tensor, Variable, int, float, list, str, bytes))
        or _is_table(t)
        or is_composite_value(t)
        or _is_scipy(t)
        for t in flat
    )


def _is_scipy(t: Any) -> bool:
    return hasattr(t, "tocoo") and hasattr(t, "nnz") and hasattr(t, "shape")


def _of_scipy(matrix: Any) -> SparseTensor:
    """A sparse matrix of scipy in a tensor, its entries by rows."""
    entries = matrix.tocoo()
    values = entries.data.astype(floatx()) if entries.data.dtype.kind == "f" else entries.data
    where = np.stack([entries.row, entries.col], 1).astype(np.int64)
    order = np.lexsort((where[:, 1], where[:, 0]))
    return SparseTensor(where[order], values[order], entries.shape)


def _is_table(t: Any) -> bool:
    return hasattr(t, "__array__") and hasattr(t, "shape")


def as_arrays(x: Any) -> Any:
    """Arrays in the structure of `x`; a list of numbers is one array."""
    if is_composite_value(x):
        return x
    if _is_scipy(x):
        return _of_scipy(x)
    single = (int, float, str, bytes)
    if isinstance(x, (list, tuple)) and x and all(isinstance(v, single) for v in x):
        return np.asarray(x)
    if isinstance(x, (list, tuple)) and x and all(
        isinstance(v, (list, tuple)) for v in x
    ):  # fmt: skip
        return np.asarray(x)
    if isinstance(x, Mapping):
        return {k: as_arrays(v) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(as_arrays(v) for v in x)
    return np.asarray(x)


def examples(*structures: Any) -> int:
    """The number of examples. Raises ValueError where arrays differ."""
    sizes = {count_of(a) for s in structures if s is not None for a in nest.flatten(s)}
    if len(sizes) != 1:
        shown = "".join(
            f"  {label} sizes: {', '.join(str(count_of(a)) for a in nest.flatten(s))}\n"
            for label, s in zip(("x", "y", "sample_weight"), structures)
            if s is not None
        )
        raise ValueError(
            f"Data cardinality is ambiguous:\n{shown}Make sure all arrays contain the same number "
            "of samples."
        )
    return sizes.pop()


class ArrayBatches:
    """Batches cut from arrays.

    Args:
      shuffle: a new order for each pass over the arrays.
      limit: batches of an iteration; default those of a pass.
      passes: over the arrays by all iterations together, each of which goes on where the last one
        stopped; None where each iteration is one pass that begins anew.

    Attributes:
      sized: all batches have `batch_size` examples.
      ran_out: there were fewer batches than the limit, which ends the training.
    """

    def __init__(
        self, x: Any, y: Any = None, sample_weight: Any = None, batch_size: int | None = None,
        shuffle: bool = False, limit: int | None = None, passes: int | None = None,
    ) -> None:  # fmt: skip
        self.x = as_arrays(x)
        self.y = None if y is None else as_arrays(y)
        self.sample_weight = None if sample_weight is None else as_arrays(sample_weight)
        self.count = examples(self.x, self.y, self.sample_weight)
        # as in Keras, a number of steps cuts all examples into as many batches
        cut = math.ceil(self.count / limit) if limit else 32
        self.given_size = batch_size
        self.batch_size, self.shuffle = batch_size or cut or 1, shuffle
        self.limit, self.passes = limit, passes
        self.steps: int | None = limit or math.ceil(self.count / self.batch_size)
        self.counted, self.ran_out = 0, False
        # as in Keras, whose steps then know the number of examples
        self.sized = self.count > 0 and self.count % self.batch_size == 0
        self._orders = _Orders(self.count) if shuffle else None
        self._left: Iterator[Any] | None = None

    def __iter__(self) -> Iterator[Any]:
        if self._left is None or self.passes is None:
            self._left = self._rows()
        self.counted = 0
        while self.counted < (self.steps or 0):
            rows = next(self._left, None)
            if rows is None:
                if self.limit is not None:
                    self.ran_out = True
                    _warn_of_end(self.limit - self.counted)
                return
            self.counted += 1
            yield packed(*self.part(rows))

    def _rows(self) -> Iterator[Any]:
        """Which examples are in each batch."""
        for _ in range(1 if self.passes is None else self.passes):
            order = None if self._orders is None else self._orders.next()
            for first in range(0, self.count, self.batch_size):
                stop = min(self.count, first + self.batch_size)
                yield slice(first, stop) if order is None else order[first:stop]

    def part(self, rows: Any) -> tuple[Any, Any, Any]:
        """The arrays of some examples."""
        return tuple(  # type: ignore[return-value]
            None if s is None else nest.map_structure(lambda a: _chosen(a, rows), s)
            for s in (self.x, self.y, self.sample_weight)
        )


def _chosen(a: Any, rows: Any) -> Any:
    """Some examples of an array, or of a value made of several tensors."""
    return chosen(a, rows) if is_composite_value(a) else a[rows]


def _shuffled(count: int) -> np.ndarray:
    with building(None), recording(()):
        return random_shuffle(np.arange(count, dtype=np.int64)).numpy()


class _Orders:
    """The orders in which a call of `fit` goes over `count` examples.

    They follow from the global seed alone where there is one, as those of Keras do, whose op has
    the seed 0 in a function of its own.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._streams = random.Streams(resets=False)
        with building(None):
            self._seeds = None if random.global_seed() is None else random.get_seed(0)

    def next(self) -> np.ndarray:
        if self._seeds is None:
            return _shuffled(self._count)
        seed, seed2 = self._seeds
        rows = np.arange(self._count, dtype=np.int64)
        with building(None), recording(()), random.using(self._streams):
            return random_shuffle_op(rows, seed=seed, seed2=seed2).numpy()


def _warn_of_end(missing: int) -> None:
    _log.warning(
        "Your input ran out of data; interrupting training. Make sure that your dataset or "
        "generator can generate at least `steps_per_epoch * epochs` batches (in this case, %d "
        "more).", missing,
    )  # fmt: skip


class IterableBatches:
    """Batches that something else makes: a dataset, a generator, a list of batches.

    Attributes:
      steps: batches of a pass; None where that is known after the first pass (`counted`).
      sized: all batches are known to have the same number of examples.
      ran_out: there were fewer batches than the limit, which ends the training.
      alone: each pass is a call of its own (validation), which begins anew.
      met_end: the pass has ended where nothing said beforehand that it would.
    """

    alone = met_end = False

    def __init__(self, source: Any, steps: int | None = None) -> None:
        self._source = source
        self.steps = steps if steps is not None else _length(source)
        self.counted = 0
        self._limit = steps
        self._iterator: Any = None
        # a pass of all batches begins anew each time
        whole = steps is None or (hasattr(source, "cardinality") and steps == _length(source))
        self._restarts = whole and not hasattr(source, "__next__")
        self._begun = self.ran_out = False
        specs = nest.flatten(getattr(source, "element_spec", None))
        self.sized = all(len(getattr(s, "shape", ()) or ()) and s.shape[0] is not None
                         for s in specs)  # fmt: skip

    def __iter__(self) -> Iterator[Any]:
        # with a limit an epoch goes on where the last one stopped, as in Keras
        if self.alone:
            self._begun, self._iterator = False, None
        if not self._begun and self._restarts and hasattr(self._source, "element_spec"):
            # Keras makes an iterator that it does not use, and so takes a dataset's first order
            iter(self._source)
        self._begun = True
        if self._iterator is None or self._restarts:
            self._iterator = iter(self._source)
        self.counted, self.met_end = 0, False
        while self._limit is None or self.counted < self._limit:
            try:
                batch = next(self._iterator)
            except StopIteration:
                self._iterator = None
                self.met_end = self.steps is None or self._limit is not None
                if self._limit is not None:
                    self.ran_out = True
                    _warn_of_end(self._limit - self.counted)
                return
            self.counted += 1
            yield tuple(batch) if isinstance(batch, list) else batch


def _length(source: Any) -> int | None:
    """The number of batches, where the source knows it."""
    if hasattr(source, "cardinality"):
        count = int(source.cardinality())
        return count if count >= 0 else None
    size = getattr(source, "__len__", None)
    return size() if size else None


class SequenceBatches:
    """Batches of a `tf.keras.utils.Sequence`: `source[i]` for i in 0..len-1.

    Args:
      shuffle: a new order of the batches for each pass.
    """

    def __init__(self, source: Any, shuffle: bool = False, limit: int | None = None) -> None:
        self._source, self._shuffle, self._seen = source, shuffle, False
        self.steps: int | None = len(source) if limit is None else min(limit, len(source))

    def __iter__(self) -> Iterator[Any]:
        count = len(self._source)
        if not self._seen and count:  # Keras looks at the first batch once before all others
            self._source[0]
        self._seen = True
        order = list(range(count))
        if self._shuffle:
            python_random.shuffle(order)  # by Python's random numbers, as in Keras
        for i in order[: self.steps]:
            yield self._source[int(i)]

    def end_epoch(self) -> None:
        """Tells the source that an epoch, with what follows it, is over."""
        if hasattr(self._source, "on_epoch_end"):
            self._source.on_epoch_end()


class ClassWeighted:
    """Batches whose sample weights are multiplied by those of the classes."""

    def __init__(self, batches: Any, weights: dict[int, float]) -> None:
        self._batches, self._weights = batches, weights
        self.steps = batches.steps

    @property
    def counted(self) -> int:
        return self._batches.counted

    @property
    def sized(self) -> bool:
        return getattr(self._batches, "sized", False)

    @property
    def ran_out(self) -> bool:
        return getattr(self._batches, "ran_out", False)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._batches:
            x, y, sample_weight = unpack(batch)
            yield x, y, class_weights(y, sample_weight, self._weights)

    def end_epoch(self) -> None:
        if hasattr(self._batches, "end_epoch"):
            self._batches.end_epoch()


def class_weights(y: Any, sample_weight: Any, weights: dict[int, float]) -> np.ndarray:
    """The weight of each target by its class: numbers, or one-hot vectors along the last axis.

    Raises:
      ValueError: the classes of `weights` are not 0, 1, ... in any order; several targets, or none.
      InvalidArgumentError: a class that has no weight.
    """
    if set(weights) != set(range(len(weights))):
        raise ValueError(
            "Expected `class_weight` to be a dict with keys from 0 to one less than the number of "
            f"classes, found {weights}"
        )
    if isinstance(y, (dict, list, tuple)):
        raise ValueError("`class_weight` is only supported for Models with a single output.")
    if y is None:
        raise ValueError("`class_weight` needs targets, whose classes it weighs")
    labels = np.asarray(y)
    if labels.ndim > 1:
        labels = labels.argmax(-1) if labels.shape[-1] > 1 else labels[..., 0]
    classes = np.rint(labels).astype(np.int64)
    unknown = np.argwhere((classes < 0) | (classes >= len(weights)))
    if len(unknown):
        place = tuple(unknown[0])
        raise InvalidArgumentError(
            f"indices[{','.join(map(str, place))}] = {classes[place]} is not in "
            f"[0, {len(weights)}): `class_weight` has no weight for a class of the targets"
        )
    made = np.array([weights[c] for c in range(len(weights))], np.float32)[classes]
    return made if sample_weight is None else made * np.asarray(sample_weight)


def split(batches: Any, share: float) -> tuple[Any, Any]:
    """(batches without the last examples, the arrays of these). Raises ValueError."""
    if not isinstance(batches, ArrayBatches):
        raise ValueError(
            "`validation_split` is only supported for Tensors or NumPy arrays, found a dataset, "
            "generator or other iterable"
        )
    border = int(np.floor(batches.count * (1.0 - share)))
    if not 0 < border < batches.count:
        raise ValueError(
            f"Training data contains {batches.count} samples, which is not sufficient to split it "
            f"into a validation and training set as specified by `validation_split={share}`."
        )
    train, held = batches.part(slice(0, border)), batches.part(slice(border, None))
    kept = ArrayBatches(*train, batches.given_size, batches.shuffle, batches.limit, batches.passes)
    return kept, held


def packed(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """A batch as steps are given it: x alone, (x, y) or (x, y, sample_weight)."""
    if sample_weight is not None:
        return x, y, sample_weight
    if y is not None:
        return x, y
    return (x,) if nest.is_nested(x) else x


def as_tensors(data: Any) -> Any:
    """A batch in tensors; float64 arrays become floatx, as in Keras."""
    return nest.map_structure(_tensor, data)


def _tensor(t: Any) -> Any:
    if t is None or isinstance(t, Tensor):
        return t
    if isinstance(t, np.ndarray) and t.dtype == np.float64:
        t = t.astype(floatx())
    if isinstance(t, (np.ndarray, np.generic, int, float, bool, str, bytes, Variable)):
        return convert_to_tensor(t)
    if hasattr(t, "__array__"):
        return _tensor(np.asarray(t))
    if _is_scipy(t):
        return _of_scipy(t)
    return t  # ragged and sparse tensors


def unpack(data: Any) -> tuple[Any, Any, Any]:
    """(x, y, sample_weight) of a batch: x alone, or a tuple of one to three."""
    if isinstance(data, list):
        data = tuple(data)
    if not isinstance(data, tuple):
        return data, None, None
    if len(data) > 3:
        raise ValueError(
            "Data is expected to be in format `x`, `(x,)`, `(x, y)`, or `(x, y, sample_weight)`, "
            f"found: {data}"
        )
    x, y, sample_weight = (*data, None, None)[:3]
    return x, y, sample_weight


def batches_of(
    x: Any, y: Any = None, sample_weight: Any = None, batch_size: int | None = None,
    shuffle: bool = False, steps: int | None = None, passes: int | None = None,
) -> ArrayBatches | IterableBatches | SequenceBatches:  # fmt: skip
    """Batches of arrays or of an iterable.

    Args:
      batch_size: for arrays; an iterable gives its own batches.
      steps: batches of an iteration.
      passes: over arrays, by all iterations together; see ArrayBatches.

    Raises ValueError for `y` beside an iterable that has the labels itself.
    """
    if x is None:
        raise ValueError(
            f"Failed to find data adapter that can handle input: {type(x)}, {type(y)}. Pass `x`: "
            "arrays, tensors, a dataset, a generator or a `Sequence`."
        )
    if isinstance(x, DatasetCreator):
        from shardtape.distribute import get_strategy

        x = get_strategy().distribute_datasets_from_function(x)
    if is_arrays(x):
        return ArrayBatches(x, y, sample_weight, batch_size, shuffle, steps, passes)
    if y is not None or sample_weight is not None:
        raise ValueError(
            "`y` and `sample_weight` must not be given where `x` is a dataset, generator or other "
            "iterable: it gives them itself"
        )
    if hasattr(x, "__getitem__") and hasattr(x, "__len__") and not isinstance(x, (list, tuple)):
        return SequenceBatches(x, shuffle, steps)
    return IterableBatches(x, steps)

"""What `fit`, `evaluate` and `predict` are given, as batches of (x, y, sample_weight)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from shardtape import nest
from shardtape.tensor import Tensor
from shardtape.variable import Variable


def is_arrays(x: Any) -> bool:
    """True for arrays and tensors (nested), which are cut into batches; False for iterables."""
    flat = nest.flatten(x)
    return bool(flat) and all(
        isinstance(t, (np.ndarray, Tensor, Variable, int, float, list)) or _is_table(t)
        for t in flat
    )


def _is_table(t: Any) -> bool:
    return hasattr(t, "__array__") and hasattr(t, "shape")


def as_arrays(x: Any) -> Any:
    """Arrays in the structure of `x`; a list of numbers is one array."""
    if isinstance(x, (list, tuple)) and x and all(isinstance(v, (int, float)) for v in x):
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


def _with_column(a: np.ndarray) -> np.ndarray:
    """Vectors of examples become columns, as in Keras."""
    return a[:, None] if a.ndim == 1 else a


def examples(*structures: Any) -> int:
    """The number of examples. Raises ValueError where arrays differ."""
    sizes = {a.shape[0] for s in structures if s is not None for a in nest.flatten(s)}
    if len(sizes) != 1:
        raise ValueError(
            "Data cardinality is ambiguous. Make sure all arrays contain the same number of "
            f"samples: {sorted(sizes)}"
        )
    return sizes.pop()


class ArrayBatches:
    """Batches cut from arrays.

    Args:
      shuffle: a new order for each pass.
    """

    def __init__(
        self, x: Any, y: Any = None, sample_weight: Any = None, batch_size: int | None = None,
        shuffle: bool = False,
    ) -> None:  # fmt: skip
        self.x = nest.map_structure(_with_column, as_arrays(x))
        self.y = None if y is None else nest.map_structure(_with_column, as_arrays(y))
        self.sample_weight = None if sample_weight is None else as_arrays(sample_weight)
        self.count = examples(self.x, self.y, self.sample_weight)
        self.batch_size, self.shuffle = batch_size or 32, shuffle
        self.steps: int | None = math.ceil(self.count / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        order: Any = _shuffled(self.count) if self.shuffle else None
        for first in range(0, self.count, self.batch_size):
            stop = min(self.count, first + self.batch_size)
            rows = slice(first, stop) if order is None else order[first:stop]
            yield self.part(rows)

    def part(self, rows: Any) -> tuple[Any, Any, Any]:
        """The arrays of some examples."""
        return tuple(  # type: ignore[return-value]
            None if s is None else nest.map_structure(lambda a: a[rows], s)
            for s in (self.x, self.y, self.sample_weight)
        )


def _shuffled(count: int) -> np.ndarray:
    from shardtape.context import building, recording
    from shardtape.ops.random import random_shuffle

    with building(None), recording(()):
        return random_shuffle(np.arange(count, dtype=np.int64)).numpy()


class IterableBatches:
    """Batches that something else makes: a dataset, a generator, a list of batches."""

    def __init__(self, source: Any, steps: int | None = None) -> None:
        self._source = source
        size = getattr(source, "__len__", None)
        self.steps = steps if steps is not None else (size() if size else None)
        self._limit = steps
        self._iterator: Any = None
        self._restarts = not hasattr(source, "__next__")

    def __iter__(self) -> Iterator[tuple[Any, Any, Any]]:
        # with a limit an epoch goes on where the last one stopped, as in Keras
        if self._iterator is None or (self._limit is None and self._restarts):
            self._iterator = iter(self._source)
        done = 0
        while self._limit is None or done < self._limit:
            try:
                batch = next(self._iterator)
            except StopIteration:
                self._iterator = None
                return
            done += 1
            yield unpack(batch)


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
    shuffle: bool = False, steps: int | None = None,
) -> ArrayBatches | IterableBatches:  # fmt: skip
    """Batches of arrays or of an iterable.

    Raises ValueError for `y` beside an iterable that has the labels itself.
    """
    if is_arrays(x):
        return ArrayBatches(x, y, sample_weight, batch_size, shuffle)
    if y is not None or sample_weight is not None:
        raise ValueError(
            "`y` and `sample_weight` must not be given where `x` is a dataset, generator or other "
            "iterable: it gives them itself"
        )
    return IterableBatches(x, steps)

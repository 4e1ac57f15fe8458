"""Elements from one of several datasets: which one is said by another dataset, or drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.data import structure
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import INFINITE, UNKNOWN, Dataset
from shardtape.data.mapping import MapDataset
from shardtape.data.run import Run
from shardtape.data.sources import RandomDataset
from shardtape.data.tracing import as_int64
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.convert import convert_to_tensor


class DirectedInterleaveDataset(Dataset):
    """Each element from the dataset whose number a selector gives."""

    def __init__(self, selector: Dataset, datasets: Sequence[Dataset], stop: bool) -> None:
        spec = datasets[0].element_spec
        for other in datasets[1:]:
            try:
                structure.assert_same(spec, other.element_spec, "datasets")
                spec = structure.map_structure(
                    lambda a, b: a.most_specific_compatible_type(b), spec, other.element_spec
                )
            except (TypeError, ValueError) as error:
                raise TypeError(
                    f"Invalid `datasets`. `datasets` must have compatible element specs: {error}"
                ) from None
        super().__init__(spec)
        self._selector, self._datasets, self._stop = selector, tuple(datasets), stop

    def _inputs(self) -> Sequence[Dataset]:
        return (self._selector, *self._datasets)

    def _cardinality(self, run: Run) -> int:
        sizes = [d._cardinality(run) for d in self._datasets]
        return INFINITE if INFINITE in sizes else UNKNOWN

    def _make_cursor(self, run: Run) -> Cursor:
        cursors = [d._cursor(run) for d in self._datasets]
        return DirectedCursor(self._selector._cursor(run), cursors, self._stop)


class DirectedCursor(Cursor):
    """Follows a selector; datasets that have ended are passed over, unless one is the end."""

    def __init__(self, selector: Cursor, cursors: Sequence[Cursor], stop: bool) -> None:
        super().__init__(selector, *cursors)
        self._selector, self._stop = selector, stop
        self._cursors: list[Cursor | None] = list(cursors)
        self._left = len(cursors)

    def __next__(self) -> Leaves:
        while self._left:
            number = int(next(self._selector)[0])
            if not 0 <= number < len(self._cursors):
                raise errors.InvalidArgumentError(
                    f"Selector index out of range: {number} >= {len(self._cursors)}"
                )
            cursor = self._cursors[number]
            if cursor is None:
                continue
            try:
                return next(cursor)
            except StopIteration:
                cursor.close()
                self._cursors[number] = None
                self._left = 0 if self._stop else self._left - 1
        raise StopIteration


def choose_from_datasets(
    datasets: Sequence[Dataset], choice_dataset: Dataset, stop_on_empty_dataset: bool
) -> Dataset:
    """See `Dataset.choose_from_datasets`."""
    if not datasets:
        raise ValueError("Invalid `datasets`. `datasets` should not be empty.")
    if choice_dataset.element_spec != TensorSpec([], dt.int64):
        raise TypeError(
            "Invalid `choice_dataset`. Elements of `choice_dataset` must be scalar `tf.int64` "
            f"tensors but are {choice_dataset.element_spec}."
        )
    return DirectedInterleaveDataset(choice_dataset, datasets, stop_on_empty_dataset)


def sample_from_datasets(
    datasets: Sequence[Dataset],
    weights: Any,
    seed: Any,
    stop_on_empty_dataset: bool,
    rerandomize: bool | None,
) -> Dataset:
    """See `Dataset.sample_from_datasets`."""
    from shardtape.ops.array import squeeze
    from shardtape.ops.random_stateless import stateless_multinomial_op

    if not datasets:
        raise ValueError("Invalid `datasets`. `datasets` should not be empty.")
    if len(datasets) == 1:
        return datasets[0]
    of_weights = isinstance(weights, Dataset)
    logits = None if of_weights else _logits(weights, len(datasets))
    seeds = RandomDataset(seed, rerandomize).batch(2)

    def draw(seed_pair: Any, logits_now: Any) -> Any:
        drawn = stateless_multinomial_op(
            convert_to_tensor(logits_now), convert_to_tensor(1), seed_pair, output_dtype=dt.int64
        )
        return squeeze(drawn, [0, 1])

    if of_weights:
        from shardtape.ops.array import expand_dims
        from shardtape.ops.math import log

        pairs = Dataset.zip((weights, seeds))
        selector = MapDataset(pairs, lambda p, s: draw(s, expand_dims(log(p), 0)))
    else:
        selector = MapDataset(seeds, lambda s: draw(s, logits))
    return DirectedInterleaveDataset(selector, datasets, stop_on_empty_dataset)


def _logits(weights: Any, count: int) -> np.ndarray:
    if weights is None:
        return np.ones((1, count), np.float32)
    array = np.asarray(weights)
    if array.dtype not in (np.float32, np.float64) or (
        array.dtype == np.float64 and not isinstance(weights, np.ndarray)
    ):
        array = array.astype(np.float32)
    if array.shape != (count,):
        raise ValueError(
            f"Invalid `weights`. The length of the weights ({list(array.shape)}) must be the "
            f"number of datasets ({count})."
        )
    if not np.any(array):
        raise ValueError("Invalid `weights`. All weights are zero.")
    with np.errstate(divide="ignore"):
        return np.log(array)[None]


def rejection_resample(
    dataset: Dataset,
    class_func: Callable[..., Any],
    target_dist: Any,
    initial_dist: Any,
    seed: Any,
) -> Dataset:
    """See `Dataset.rejection_resample`."""
    from shardtape.ops.math import cast
    from shardtape.ops.random import random_uniform

    target = np.asarray(target_dist, np.float32)
    class_of = as_int64(class_func)

    def with_class(*element: Any) -> Any:
        given = element[0] if len(element) == 1 else element
        return class_of(*element), given

    classes = dataset.map(with_class)
    if initial_dist is not None and np.array_equal(initial_dist, target):
        return classes.map(lambda c, e: (cast(c, dt.int32), e))
    if initial_dist is not None:
        accept = _acceptance(np.asarray(initial_dist, np.float32), target)
        with_chance = classes.map(lambda c, e: (c, e, _gather(accept, c)))
    else:
        with_chance = _with_estimates(classes, target)
    kept = with_chance.filter(
        lambda c, e, chance: random_uniform([], seed=seed) < cast(chance, dt.float32)
    )
    return kept.map(lambda c, e, chance: (cast(c, dt.int32), e))


def _gather(values: Any, index: Any) -> Any:
    from shardtape.ops.array import gather

    return gather(convert_to_tensor(values), index)


def _acceptance(initial: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Chances to keep an element of each class; the rarest by proportion is always kept."""
    ratio = target / np.maximum(initial, np.finfo(np.float32).tiny)
    return (ratio / ratio.max()).astype(np.float32)


def _with_estimates(classes: Dataset, target: np.ndarray) -> Dataset:
    """(class, element, chance), with the proportions of the classes counted as they come."""
    from shardtape.ops.array import gather, one_hot
    from shardtape.ops.math import add, divide, maximum
    from shardtape.ops.reduce import reduce_max, reduce_sum

    count = len(target)

    def step(counts: Any, element: Any) -> Any:
        number, value = element
        counts = add(counts, one_hot(number, count))
        initial = divide(counts, reduce_sum(counts))
        ratio = divide(target, maximum(initial, np.float32(np.finfo(np.float32).tiny)))
        return counts, (number, value, gather(divide(ratio, reduce_max(ratio)), number))

    return classes.scan(np.ones(count, np.float32), step)

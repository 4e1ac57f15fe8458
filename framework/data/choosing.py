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
from shardtape.graph.func_graph import TensorSpec
from shardtape.graph.static import constant_value
from shardtape.logger import warn_first
from shardtape.ops.convert import convert_to_tensor

_ESTIMATED_AT_ONCE = 32  # elements


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
    """See `Dataset.rejection_resample`.

    Elements come from two readers: one of all elements, one of those that a draw accepts. The
    first is chosen as often as leaves the second the fewest to reject.
    """
    from shardtape.autograph import convert_in_graph
    from shardtape.ops.array import stack
    from shardtape.ops.cast import cast

    class_of = convert_in_graph(class_func)
    target = cast(convert_to_tensor(target_dist), dt.float32)

    def with_class(*element: Any) -> Any:
        return class_of(*element), element[0] if len(element) == 1 else element

    chance = None  # to take any element, where it is known
    if initial_dist is None:
        classes = dataset.map(class_of)
        initials = _estimates(classes, int(target.shape[0]))
        chances = initials.map(lambda initial: _acceptance(initial, target))
    else:
        initial = cast(convert_to_tensor(initial_dist), dt.float32)
        accept, unfiltered = _acceptance(initial, target)
        known = constant_value(initial), constant_value(target)
        if known[0] is not None and known[1] is not None:
            chance = float(np.min(known[1] / known[0]))
            if chance == 1:
                return dataset.map(with_class)
            _warn_of_rejections(*known)
        chances = Dataset.from_tensors((accept, unfiltered)).repeat()
    accepted = _accepted(dataset, with_class, chances, seed)
    if chance == 0:
        return accepted
    weights = chances.map(lambda accept, unfiltered: stack([unfiltered, 1.0 - unfiltered]))
    return sample_from_datasets([dataset.map(with_class), accepted], weights, seed, True, None)


def _accepted(
    dataset: Dataset, with_class: Callable[..., Any], chances: Dataset, seed: Any
) -> Dataset:
    """(class, element) of those elements for which a uniform number is below the class's chance."""
    from shardtape.ops.array import gather
    from shardtape.ops.random import random_uniform

    def with_chance(chance: Any, element: Any) -> Any:
        number, element = (
            with_class(*element) if isinstance(element, tuple) else with_class(element)
        )
        return number, gather(chance[0], number), element

    drawn = Dataset.zip((chances, dataset)).map(with_chance)
    kept = drawn.filter(lambda number, chance, element: random_uniform([], seed=seed) < chance)
    return kept.map(lambda number, chance, element: (number, element))


def _acceptance(initial: Any, target: Any) -> tuple[Any, Any]:
    """Chances to keep an element of each class, and how often to take any element instead."""
    from shardtape.ops.reduce import reduce_max, reduce_min

    ratio = target / (initial + np.finfo(np.float32).tiny)
    least = reduce_min(ratio)
    return (ratio - least) / (reduce_max(ratio) - least), least


def _warn_of_rejections(initial: np.ndarray, target: np.ndarray) -> None:
    ratio = target / initial
    accept = (ratio - ratio.min()) / np.ptp(ratio)
    rejected = float(np.sum((1 - accept) * initial))
    if rejected >= 0.5:
        warn_first(
            10,
            "rejection_resample leaves out %.0f %% of the elements in one of its two readers: "
            "classes with proportions %s are kept with chances %s",
            100 * rejected,
            np.round(initial, 4).astype(float).tolist(),
            np.round(accept, 4).astype(float).tolist(),
        )


def _estimates(classes: Dataset, count: int) -> Dataset:
    """The proportions of the classes for each element, counted in batches as they come."""
    from shardtape.ops.array import expand_dims, one_hot, tile
    from shardtape.ops.cast import cast
    from shardtape.ops.reduce import reduce_sum

    def step(counts: Any, numbers: Any) -> Any:
        counts = counts + reduce_sum(one_hot(numbers, count, dtype=dt.int64), 0)
        proportions = cast(counts / reduce_sum(counts), dt.float32)
        return counts, tile(expand_dims(proportions, 0), [_ESTIMATED_AT_ONCE, 1])

    # each class starts with some counts, so that few elements do not make extreme proportions
    start = np.full(count, 10, np.int64)
    return classes.batch(_ESTIMATED_AT_ONCE).scan(start, step).unbatch()

"""`train_function` and its sisters: functions of an iterator over batches, also of one's own."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

from shardtape import nest
from shardtape.data.dataset import Dataset
from shardtape.errors import OutOfRangeError
from shardtape.graph.func_graph import TensorSpec
from shardtape.keras.models.batches import as_tensors
from shardtape.ops.joining import concat
from shardtape.shapes import TensorShape
from shardtape.tensor import Tensor
from shardtape.type_spec import type_spec_from_value

_ENDS = (StopIteration, OutOfRangeError)  # what an iterator raises at its end


class StepFunction:
    """What `make_train_function` and its sisters give: takes `steps_per_execution` batches.

    Args:
      model: the model.
      step: name of its method of one batch.
    """

    def __init__(self, model: Any, step: str) -> None:
        self._model, self._step = model, step

    def __call__(self, iterator: Iterator[Any]) -> Any:
        """Runs the step on the next batches of an iterator; the latest metrics, or predictions."""
        run = self._model._step_function(self._step)
        made = [run(as_tensors(next(iterator))) for _ in range(self._model.steps_per_execution)]
        if self._step != "predict_step" or len(made) == 1:
            return made[-1]
        parts = zip(*(nest.flatten(outputs) for outputs in made))
        return nest.pack_sequence_as(made[0], [concat(part, 0) for part in parts])


class Runner:
    """Runs groups of batches by a model's step, or by a function that is not of Keras.

    Args:
      kind: "train", "test" or "predict"; the model's function of this kind is made, if need be.
      sized: all batches have the same number of examples.
    """

    def __init__(self, model: Any, kind: str, sized: bool = False) -> None:
        function = getattr(model, f"make_{kind}_function")()
        setattr(model, f"{kind}_function", function)
        self._own = None if isinstance(function, StepFunction) else function
        self._model, self._name, self._sized = model, f"{kind}_step", sized
        self.restart()

    def restart(self) -> None:
        """Begins an epoch: with a new iterator, and the steps as they are by now."""
        self._step: Any = self._model._step_function(self._name) if self._own is None else None
        self._fed: _FedIterator | None = None

    def __call__(self, group: list[Any]) -> list[Any]:
        """What the step returns for each batch, or the function once; [] where it met the end."""
        if self._own is None:
            return [self._step(as_tensors(data), self._sized) for data in group]
        if self._fed is None:
            self._fed = _FedIterator(group[0], self._model._strategy)
        try:
            return [self._own(self._fed.feed(group))]
        except _ENDS:
            return []

    def meet_end(self) -> None:
        """Lets the optimizers count the step in which TensorFlow finds that there is no batch.

        There the counter of updates does not wait for the batch, which a step fails to get.
        """
        concrete = getattr(self._step, "concrete", lambda: None)()
        if self._name == "train_step" and self._own is None and concrete is not None:
            for operation in concrete.graph.get_operations():
                optimizer = operation.attrs.get("optimizer")
                if hasattr(optimizer, "_count_without_gradients"):
                    optimizer._count_without_gradients(operation.attrs)


class _FedIterator:
    """An iterator of a dataset over batches that are put in while it is used.

    Args:
      first: a batch like those to come; they may differ in the number of examples.
      strategy: of several replicas: elements are PerReplica; None: they are the batches.
    """

    def __init__(self, first: Any, strategy: Any = None) -> None:
        self._waiting: deque[Any] = deque()
        self._strategy = strategy
        signature = nest.map_structure(_spec, self._whole(first))
        dataset = Dataset.from_generator(self._taken, output_signature=signature)
        if strategy is not None:
            dataset = strategy.experimental_distribute_dataset(dataset)
        self._iterator = iter(dataset)

    def _whole(self, batch: Any) -> Any:
        if self._strategy is None:
            return as_tensors(batch)

        def joined(value: Any) -> Any:  # of a dataset that is distributed already
            parts = getattr(value, "values", None)
            return concat(list(parts), 0) if isinstance(parts, tuple) else value

        return as_tensors(nest.map_structure(joined, batch))

    def _taken(self) -> Iterator[Any]:
        while self._waiting:
            yield self._waiting.popleft()

    def feed(self, batches: list[Any]) -> Any:
        """Puts batches behind those that nobody took; returns the iterator."""
        self._waiting.extend(self._whole(batch) for batch in batches)
        return self._iterator


def _spec(value: Any) -> Any:
    if not isinstance(value, Tensor):
        return type_spec_from_value(value)
    shape = value.shape
    return TensorSpec(TensorShape([None, *shape[1:]]) if shape.rank else shape, value.dtype)

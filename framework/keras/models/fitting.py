"""fit, evaluate, predict: many batches, and the callbacks between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from shardtape import nest
from shardtape.keras.callbacks import CallbackList, History, ProgbarLogger
from shardtape.keras.models.batches import (
    ArrayBatches,
    ClassWeighted,
    IterableBatches,
    batches_of,
    class_weights,
    packed,
    split,
    unpack,
)
from shardtape.keras.models.composites import is_composite_value, joined
from shardtape.keras.models.replicated_steps import in_strategy
from shardtape.keras.models.step_functions import Runner
from shardtape.optimizers import Optimizer


class Fitting:
    """The loops of `Model`. Needs `_step_function`, `reset_metrics` and `metrics`."""

    stop_training = False
    steps_per_execution = 1
    _first_epoch = _first_batch = 0

    @in_strategy
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: dict[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: Any = 1,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
    ) -> History:
        """Trains the model.

        Args:
          x, y: arrays (nested), or an iterable of batches (x, y) or (x, y, sample_weight).
          batch_size: default 32, for arrays.
          epochs: passes over the data; the last one has this number.
          verbose: 0 silent, 1 a progress bar ("auto"), 2 one line per epoch.
          validation_split: share of the arrays, from their end, that is not trained on.
          validation_data: (x, y), (x, y, sample_weight) or an iterable of batches.
          class_weight: weight of examples by their class.
          validation_freq: epochs between validations, or the numbers of the epochs.

        Returns History, whose `history` has a list of values by metric.
        """
        self._check_ready("train_step")
        batches: Any = batches_of(x, y, sample_weight, batch_size, shuffle, steps_per_epoch,
                                  max(0, epochs - initial_epoch))  # fmt: skip
        if validation_split and validation_data is None:
            batches, validation_data = split(batches, validation_split)
        if class_weight is not None:
            batches = ClassWeighted(batches, class_weight)
        verbose = _verbosity(verbose)
        params = {"verbose": verbose, "epochs": epochs, "steps": batches.steps}
        history = History()
        calls = CallbackList([*_listed(callbacks), *_shown(verbose, callbacks), history],
                             model=self, params=params)  # fmt: skip
        validation = _Validation(validation_data, validation_batch_size or batch_size,
                                 validation_steps, validation_freq)  # fmt: skip
        run = Runner(self, "train", getattr(batches, "sized", False))
        self.stop_training = False
        self.history = history
        self._first_epoch, self._first_batch = initial_epoch, 0
        calls.on_train_begin({})  # which may set them, to go on where a run was cut off
        logs: dict[str, Any] = {}
        trained: dict[str, Any] = {}
        for epoch in range(self._first_epoch, epochs):
            self.reset_metrics()  # type: ignore[attr-defined]
            calls.on_epoch_begin(epoch, {})
            resumed = self._first_batch
            got = self._train_epoch(batches, run, calls)
            if not got and resumed:  # the last batch of the epoch was done
                continue
            # where the data ended with the last epoch, Keras repeats what that gave
            logs = trained = got or trained
            if not logs:
                raise ValueError(
                    "Unexpected result of `train_function` (Empty Logs): the data has no batch, or "
                    "`train_step` returns no metrics"
                )
            if batches.steps is None:
                batches.steps = batches.counted
            if validation.due(epoch):
                found = self._evaluate(validation.batches, calls)
                logs = {**logs, **{f"val_{name}": value for name, value in found.items()}}
            calls.on_epoch_end(epoch, logs)
            if self.stop_training or getattr(batches, "ran_out", False):
                break
            _end_epoch(batches)
        model: Any = self
        if epochs > 0 and isinstance(model.optimizer, Optimizer):
            model.optimizer.finalize_variable_values(model.trainable_variables)
        calls.on_train_end(logs)
        return history

    def _train_epoch(self, batches: Any, run: Runner, calls: CallbackList) -> dict[str, Any]:
        run.restart()
        logs: dict[str, Any] = {}
        left_out, self._first_batch = self._first_batch, 0
        for first, group in _groups(batches, self.steps_per_execution):
            if first + len(group) <= left_out:
                continue
            calls.on_train_batch_begin(first, {})
            got = run(group)
            if not got:
                break
            logs = numbers(got[-1])
            calls.on_train_batch_end(first + len(group) - 1, logs)
            if self.stop_training:
                break
        if getattr(batches, "met_end", False):
            run.meet_end()
        return logs

    def _evaluate(self, batches: Any, calls: CallbackList) -> dict[str, Any]:
        run = Runner(self, "test", getattr(batches, "sized", False))
        self.reset_metrics()  # type: ignore[attr-defined]
        calls.on_test_begin({})
        logs: dict[str, Any] = {}
        for first, group in _groups(batches, self.steps_per_execution):
            calls.on_test_batch_begin(first, {})
            got = run(group)
            if not got:
                break
            logs = numbers(got[-1])
            calls.on_test_batch_end(first + len(group) - 1, logs)
        _end_epoch(batches)
        if not logs:
            raise ValueError("Unexpected result of `test_function` (Empty Logs): the data has no "
                             "batch, or `test_step` returns no metrics")  # fmt: skip
        calls.on_test_end(logs)
        return logs

    @in_strategy
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Loss and metrics on data: a number, a list of them, or (`return_dict`) by name."""
        if kwargs:
            raise TypeError(f"Invalid keyword arguments: {sorted(kwargs)}")
        self._check_ready("test_step")
        batches = batches_of(x, y, sample_weight, batch_size, False, steps)
        verbose = _verbosity(verbose)
        params = {"verbose": verbose, "epochs": 1, "steps": batches.steps}
        calls = CallbackList([*_listed(callbacks), *_shown(verbose, callbacks)],
                             model=self, params=params)  # fmt: skip
        logs = self._evaluate(batches, calls)
        return _as_returned(logs, return_dict)

    @in_strategy
    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Any = None,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
    ) -> Any:
        """The predictions for all examples, as arrays."""
        batches = batches_of(x, None, None, batch_size, False, steps)
        verbose = _verbosity(verbose)
        params = {"verbose": verbose, "epochs": 1, "steps": batches.steps}
        calls = CallbackList([*_listed(callbacks), *_shown(verbose, callbacks)],
                             model=self, params=params)  # fmt: skip
        run = Runner(self, "predict", getattr(batches, "sized", False))
        parts: list[Any] = []
        calls.on_predict_begin({})
        for first, group in _groups(batches, self.steps_per_execution):
            calls.on_predict_batch_begin(first, {})
            got = run(group)
            if not got:
                break
            parts.extend(got)
            calls.on_predict_batch_end(first + len(group) - 1, {"outputs": parts[-1]})
        _end_epoch(batches)
        calls.on_predict_end({})
        if not parts:
            raise ValueError("Unexpected result of `predict_function` (Empty batch_outputs).")
        flat = [nest.flatten(part) for part in parts]
        joined = [_joined([part[i] for part in flat]) for i in range(len(flat[0]))]
        return nest.pack_sequence_as(parts[0], joined)

    @in_strategy
    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None,
        reset_metrics: bool = True, return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """One update; returns loss and metrics."""
        self._check_ready("train_step")
        if class_weight is not None:
            sample_weight = class_weights(y, sample_weight, class_weight)
        return self._on_batch("train", (x, y, sample_weight), reset_metrics, return_dict)

    @in_strategy
    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, reset_metrics: bool = True,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """Loss and metrics of one batch."""
        self._check_ready("test_step")
        return self._on_batch("test", (x, y, sample_weight), reset_metrics, return_dict)

    def _on_batch(self, kind: str, batch: Any, reset_metrics: bool, return_dict: bool) -> Any:
        if reset_metrics:
            self.reset_metrics()  # type: ignore[attr-defined]
        data = packed(*ArrayBatches(*batch).part(slice(None)))
        logs = numbers(Runner(self, kind, sized=True)([data])[-1])
        return _as_returned(logs, return_dict)

    @in_strategy
    def predict_on_batch(self, x: Any) -> Any:
        """The predictions of one batch, as arrays."""
        data = packed(*ArrayBatches(x).part(slice(None)))
        return nest.map_structure(np.asarray, Runner(self, "predict", sized=True)([data])[-1])

    def fit_generator(self, generator: Any, **options: Any) -> History:
        """`fit` on a generator, by its old name."""
        return self.fit(generator, **options)

    def evaluate_generator(self, generator: Any, **options: Any) -> Any:
        """`evaluate` on a generator, by its old name."""
        return self.evaluate(generator, **options)

    def predict_generator(self, generator: Any, **options: Any) -> Any:
        """`predict` on a generator, by its old name."""
        return self.predict(generator, **options)

    def _check_ready(self, step: str) -> None:
        """Raises RuntimeError before `compile`, except where the step is the user's own."""
        from shardtape.keras.models.training import Trainer

        if getattr(type(self), step) is getattr(Trainer, step):
            self._check_compiled()  # type: ignore[attr-defined]


class _Validation:
    def __init__(self, data: Any, size: int | None, steps: int | None, every: Any) -> None:
        self.given, self._every = data is not None, every
        self.batches: Any = None
        if data is None:
            return
        if isinstance(data, (tuple, list)) and not hasattr(data, "__next__"):
            x, y, sample_weight = unpack(tuple(data))
            self.batches = batches_of(x, y, sample_weight, size, False, steps)
        else:
            self.batches = batches_of(data, None, None, size, False, steps)
        if isinstance(self.batches, IterableBatches) and not hasattr(data, "__next__"):
            self.batches.alone = True

    def due(self, epoch: int) -> bool:
        if not self.given:
            return False
        if isinstance(self._every, int):
            return (epoch + 1) % self._every == 0
        return epoch + 1 in self._every


def _end_epoch(batches: Any) -> None:
    if hasattr(batches, "end_epoch"):
        batches.end_epoch()


def _groups(batches: Any, size: int) -> Iterator[tuple[int, list[Any]]]:
    """(number of the first batch, `size` batches) until there are no more."""
    first, group = 0, []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield first, group
            first, group = first + size, []
    if group:
        yield first, group


def _verbosity(verbose: Any) -> int:
    return 1 if verbose == "auto" else int(verbose)


def _listed(callbacks: Any) -> list[Any]:
    return nest.flatten(callbacks) if callbacks else []


def _shown(verbose: int, callbacks: Any) -> list[Any]:
    if not verbose or any(isinstance(c, ProgbarLogger) for c in _listed(callbacks)):
        return []
    return [ProgbarLogger("steps")]


def _joined(parts: list[Any]) -> Any:
    if is_composite_value(parts[0]):
        return joined(parts)
    arrays = [np.asarray(p) for p in parts]
    return np.concatenate(arrays) if arrays[0].ndim else np.stack(arrays)


def numbers(logs: Any) -> dict[str, Any]:
    """Metrics as Python numbers; arrays stay arrays. Raises TypeError for another structure."""
    if logs is None:
        return {}
    if not isinstance(logs, dict):
        raise TypeError(f"a step returns metrics by name, got {type(logs).__name__}")
    out: dict[str, Any] = {}
    for name, value in logs.items():
        array = np.asarray(value)
        out[name] = array.item() if array.ndim == 0 else array
    return out


def _as_returned(logs: dict[str, Any], return_dict: bool) -> Any:
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values

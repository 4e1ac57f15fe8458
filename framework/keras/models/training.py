"""compile, fit, evaluate, predict."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import nest, optimizers
from shardtape.context import training_phase
from shardtape.graph.function import function
from shardtape.keras.callbacks import CallbackList, History, ProgbarLogger
from shardtape.keras.models.batches import ArrayBatches, batches_of, unpack
from shardtape.keras.models.compiled import CompiledLosses, CompiledMetrics, batch_size
from shardtape.ops.convert import convert_to_tensor
from shardtape.tape import GradientTape


class Trainer:
    """The part of `Model` that trains it. Needs `trainable_variables`, `losses` and `__call__`."""

    optimizer: Any = None
    stop_training = False
    _compiled_losses: CompiledLosses | None = None
    _compiled_metrics: CompiledMetrics | None = None

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool | None = None,
        steps_per_execution: int | None = None,
        jit_compile: Any = None,
        **kwargs: Any,
    ) -> None:
        """Says how the model is trained.

        Args:
          optimizer: name or object.
          loss: name, function or Loss; a list or dict of them for several outputs.
          metrics: names, functions or Metrics; those in `weighted_metrics` take sample weights.
          loss_weights: factors of the losses of several outputs.
          run_eagerly: run Python for each batch instead of a traced step.

        Raises:
          TypeError: an unknown argument.
        """
        if kwargs:
            raise TypeError(f"Invalid keyword argument(s) in `compile()`: {sorted(kwargs)}")
        self.optimizer = optimizers.get(optimizer)
        self.loss = loss
        self.run_eagerly = bool(run_eagerly)
        self._compiled_losses = CompiledLosses(loss, loss_weights)
        self._compiled_metrics = CompiledMetrics(metrics, weighted_metrics)
        self.compiled = True
        self._traced_train = self._traced_test = self._traced_predict = None

    def _check_compiled(self) -> None:
        if self._compiled_losses is None:
            raise RuntimeError(
                "You must compile your model before training/testing. Use "
                "`model.compile(optimizer, loss)`."
            )

    @property
    def metrics(self) -> list[Any]:
        """Metrics of the losses, those of `compile`, and those that the model holds."""
        found: list[Any] = []
        if self._compiled_losses is not None and self._compiled_metrics is not None:
            found = [*self._compiled_losses.metrics, *self._compiled_metrics.metrics]
        known = {id(m) for m in found}
        return found + [m for m in self._own_metrics() if id(m) not in known]

    @property
    def metrics_names(self) -> list[str]:
        return [m.name for m in self.metrics]

    def _own_metrics(self) -> list[Any]:
        return []

    def reset_metrics(self) -> None:
        """Forgets what the metrics have gathered."""
        for metric in self.metrics:
            metric.reset_state()

    def _output_names(self, y_pred: Any) -> list[str]:
        names = getattr(self, "output_names", None)
        flat = nest.flatten(y_pred)
        if names and len(names) == len(flat):
            return list(names)
        if isinstance(y_pred, dict):
            return sorted(y_pred)
        return [f"output_{i + 1}" for i in range(len(flat))]

    # ---- one batch --------------------------------------------------------------------------
    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None
    ) -> Any:
        """The loss of a batch, penalties included."""
        self._check_compiled()
        assert self._compiled_losses is not None
        total, each = self._compiled_losses.compute(
            y,
            y_pred,
            sample_weight,
            self.losses,  # type: ignore[attr-defined]
            self._output_names(y_pred),
        )
        self._last_losses = (total, each, batch_size(y_pred))
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any) -> dict[str, Any]:
        """Takes a batch into the metrics of `compile`; returns all results by name."""
        assert self._compiled_metrics is not None
        self._compiled_metrics.update(y, y_pred, sample_weight, self._output_names(y_pred))
        return self._results()

    def _results(self) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for metric in self.metrics:
            value = metric.result()
            out.update(value if isinstance(value, dict) else {metric.name: value})
        return out

    def _gradients(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any, Any]:
        """(predictions, loss, losses of the outputs, gradients)."""
        self._forget_penalties()  # type: ignore[attr-defined]
        with training_phase(True), GradientTape() as tape:
            y_pred = self(x, training=True)  # type: ignore[operator]
            loss = self.compute_loss(x, y, y_pred, sample_weight)
        each = self._last_losses[1]
        variables = self.trainable_variables  # type: ignore[attr-defined]
        return y_pred, loss, each, tape.gradient(loss, variables)

    def _losses(self, x: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any]:
        self._forget_penalties()  # type: ignore[attr-defined]
        with training_phase(False):
            y_pred = self(x, training=False)  # type: ignore[operator]
            loss = self.compute_loss(x, y, y_pred, sample_weight)
        return y_pred, loss, self._last_losses[1]

    def _predictions(self, x: Any) -> Any:
        with training_phase(False):
            return self(x, training=False)  # type: ignore[operator]

    def _traced(self, name: str, python: Any) -> Any:
        """The traced form of a step, made once per `compile`."""
        if getattr(self, "run_eagerly", False):
            return python
        found = getattr(self, name, None)
        if found is None:
            found = function(python)
            setattr(self, name, found)
        return found

    def train_step(self, data: Any) -> dict[str, Any]:
        """Trains on one batch; subclasses may define another one.

        Returns metrics by name.
        """
        x, y, sample_weight = unpack(data)
        self._check_compiled()
        step = self._traced("_traced_train", self._gradients)
        y_pred, loss, each, grads = step(x, y, sample_weight)
        pairs = list(zip(grads, self.trainable_variables))  # type: ignore[attr-defined]
        self.optimizer.apply_gradients(pairs)
        return self._record(x, y, y_pred, sample_weight, loss, each)

    def test_step(self, data: Any) -> dict[str, Any]:
        """Evaluates one batch; returns metrics by name."""
        x, y, sample_weight = unpack(data)
        self._check_compiled()
        y_pred, loss, each = self._traced("_traced_test", self._losses)(x, y, sample_weight)
        return self._record(x, y, y_pred, sample_weight, loss, each)

    def _record(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any, loss: Any, each: Any
    ) -> dict[str, Any]:
        assert self._compiled_losses is not None
        self._compiled_losses.update(loss, each, batch_size(y_pred))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: Any) -> Any:
        """The predictions of one batch."""
        x, _, _ = unpack(data)
        return self._traced("_traced_predict", self._predictions)(x)

    # ---- many batches -----------------------------------------------------------------------
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
        validation_freq: int = 1,
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

        Returns History, whose `history` has a list of values by metric.
        """
        if type(self).train_step is Trainer.train_step:
            self._check_compiled()
        batches: Any = batches_of(x, y, sample_weight, batch_size, shuffle, steps_per_epoch)
        if validation_split and validation_data is None:
            batches, validation_data = _split(batches, validation_split, batch_size, shuffle)
        if class_weight is not None:
            batches = _ClassWeighted(batches, class_weight)
        verbose = 1 if verbose == "auto" else int(verbose)
        steps = steps_per_epoch or batches.steps
        params = {"verbose": verbose, "epochs": epochs, "steps": steps}
        history = History()
        shown = [ProgbarLogger(verbose)] if verbose else []
        calls = CallbackList(callbacks or [], self, params, *shown, history)
        validation = _Validation(validation_data, validation_batch_size or batch_size,
                                 validation_steps)  # fmt: skip
        self.stop_training = False
        self.history = history
        calls.on_train_begin({})
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            calls.on_epoch_begin(epoch, {})
            logs: dict[str, Any] = {}
            for step, data in enumerate(_limited(batches, steps_per_epoch)):
                calls.on_train_batch_begin(step, {})
                logs = _numbers(self.train_step(_tensors(data)))
                calls.on_train_batch_end(step, logs)
                if self.stop_training:
                    break
            if not logs:
                raise ValueError(
                    "Unexpected result of `train_function` (Empty Logs): the data has no batch"
                )
            if validation.given and (epoch + 1) % validation_freq == 0:
                found = self._evaluate(validation.batches(), calls)
                logs = {**logs, **{f"val_{name}": value for name, value in found.items()}}
            calls.on_epoch_end(epoch, logs)
            if self.stop_training:
                break
        calls.on_train_end(logs if epochs > initial_epoch else {})
        return history

    def _evaluate(self, batches: Any, calls: CallbackList) -> dict[str, Any]:
        self.reset_metrics()
        calls.on_test_begin({})
        logs: dict[str, Any] = {}
        for step, data in enumerate(batches):
            calls.on_test_batch_begin(step, {})
            logs = _numbers(self.test_step(_tensors(data)))
            calls.on_test_batch_end(step, logs)
        calls.on_test_end(logs)
        return logs

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
        batches = batches_of(x, y, sample_weight, batch_size, False, steps)
        verbose = 1 if verbose == "auto" else int(verbose)
        params = {"verbose": verbose, "epochs": 0, "steps": steps or batches.steps}
        shown = [ProgbarLogger(verbose)] if verbose else []
        calls = CallbackList(callbacks or [], self, params, *shown)
        logs = self._evaluate(_limited(batches, steps), calls)
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

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
        verbose = 1 if verbose == "auto" else int(verbose)
        params = {"verbose": verbose, "epochs": 0, "steps": steps or batches.steps}
        shown = [ProgbarLogger(verbose)] if verbose else []
        calls = CallbackList(callbacks or [], self, params, *shown)
        parts: list[Any] = []
        calls.on_predict_begin({})
        for step, data in enumerate(_limited(batches, steps)):
            calls.on_predict_batch_begin(step, {})
            parts.append(self.predict_step(_tensors(data)))
            calls.on_predict_batch_end(step, {"outputs": parts[-1]})
        calls.on_predict_end({})
        if not parts:
            raise ValueError("Unexpected result of `predict_function` (Empty batch_outputs).")
        joined = [
            np.concatenate([np.asarray(nest.flatten(p)[i]) for p in parts])
            for i in range(len(nest.flatten(parts[0])))
        ]
        return nest.pack_sequence_as(parts[0], joined)

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None,
        reset_metrics: bool = True, return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """One update; returns loss and metrics."""
        if class_weight is not None:
            sample_weight = _class_weights(y, sample_weight, class_weight)
        if reset_metrics:
            self.reset_metrics()
        logs = _numbers(self.train_step(_tensors((x, y, sample_weight))))
        return _as_returned(logs, return_dict)

    def test_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, reset_metrics: bool = True,
        return_dict: bool = False,
    ) -> Any:  # fmt: skip
        """Loss and metrics of one batch."""
        if reset_metrics:
            self.reset_metrics()
        return _as_returned(_numbers(self.test_step(_tensors((x, y, sample_weight)))), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The predictions of one batch, as arrays."""
        return nest.map_structure(np.asarray, self.predict_step(_tensors((x, None, None))))


class _Validation:
    def __init__(self, data: Any, size: int | None, steps: int | None) -> None:
        self.given = data is not None
        self._steps = steps
        self._batches: Any = None
        if data is None:
            return
        if isinstance(data, (tuple, list)) and not hasattr(data, "__next__"):
            x, y, sample_weight = unpack(tuple(data))
            self._batches = batches_of(x, y, sample_weight, size, False, steps)
        else:
            self._batches = batches_of(data, None, None, size, False, steps)

    def batches(self) -> Any:
        return _limited(self._batches, self._steps)


class _ClassWeighted:
    """Batches whose sample weights are multiplied by those of the classes."""

    def __init__(self, batches: Any, weights: dict[int, float]) -> None:
        self._batches, self._weights = batches, weights
        self.steps = batches.steps

    def __iter__(self) -> Any:
        for x, y, sample_weight in self._batches:
            yield x, y, _class_weights(y, sample_weight, self._weights)


def _class_weights(y: Any, sample_weight: Any, weights: dict[int, float]) -> np.ndarray:
    labels = np.asarray(y)
    if labels.ndim > 1 and labels.shape[-1] > 1:
        labels = labels.argmax(-1)
    flat = labels.reshape(labels.shape[0], -1)[:, 0]
    made = np.array([weights.get(int(c), 1.0) for c in flat], np.float32)
    return made if sample_weight is None else made * np.asarray(sample_weight)


def _split(batches: Any, share: float, size: int | None, shuffle: bool) -> tuple[Any, Any]:
    if not isinstance(batches, ArrayBatches):
        raise ValueError("`validation_split` is only supported for arrays")
    border = int(np.floor(batches.count * (1.0 - share)))
    if not 0 < border < batches.count:
        raise ValueError(
            f"Training data contains {batches.count} samples, which is not sufficient to split it "
            f"into a validation and training set as specified by `validation_split={share}`."
        )
    train, held = batches.part(slice(0, border)), batches.part(slice(border, None))
    return ArrayBatches(*train, size, shuffle), held


def _limited(batches: Any, steps: int | None) -> Any:
    for i, batch in enumerate(batches):
        if steps is not None and i >= steps:
            return
        yield batch


def _tensors(data: Any) -> Any:
    x, y, sample_weight = unpack(data)
    return tuple(
        None if s is None else nest.map_structure(_tensor, s) for s in (x, y, sample_weight)
    )


def _tensor(t: Any) -> Any:
    """A tensor; float64 arrays become float32, as in Keras."""
    if isinstance(t, np.ndarray) and t.dtype == np.float64:
        t = t.astype(np.float32)
    return convert_to_tensor(t)


def _numbers(logs: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in (logs or {}).items():
        array = np.asarray(value)
        out[name] = float(array) if array.ndim == 0 else array
    return out


def _as_returned(logs: dict[str, Any], return_dict: bool) -> Any:
    if return_dict:
        return logs
    values = list(logs.values())
    return values[0] if len(values) == 1 else values

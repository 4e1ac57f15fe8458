"""The losses and metrics that a model was compiled with, on its outputs."""

from __future__ import annotations

from typing import Any

from shardtape import nest
from shardtape.keras import losses as losses_module
from shardtape.keras import metrics as metrics_module
from shardtape.keras.losses.base import FunctionLoss, Loss
from shardtape.keras.metrics.base import Mean, MeanMetricWrapper, Metric
from shardtape.ops.array import shape
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import add_n


def by_output(given: Any, names: list[str]) -> list[Any]:
    """What was given for each output: one for all, a list, or a dict by name.

    Raises ValueError for an unknown name or another number.
    """
    if isinstance(given, dict):
        for name in given:
            if name not in names:
                raise ValueError(
                    f"there is no output {name!r}; the model has {', '.join(map(repr, names))}"
                )
        return [given.get(name) for name in names]
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(f"got {len(given)} for {len(names)} outputs: {given}")
        return list(given)
    return [given] * len(names)


class CompiledLosses:
    """Losses of the outputs, weighted and added, with the mean of each as a metric."""

    def __init__(self, losses: Any, weights: Any) -> None:
        self._given, self._given_weights = losses, weights
        self._losses: list[Loss | None] | None = None
        self._weights: list[float] = []
        self.total = Mean(name="loss")
        self._each: list[Mean] = []
        self._names: list[str] = []

    def _build(self, names: list[str]) -> None:
        self._losses = [_as_loss(loss) for loss in by_output(self._given, names)]
        given = self._given_weights
        self._weights = [1.0 if w is None else w for w in by_output(given, names)]
        self._names = names
        if len(names) > 1:
            self._each = [
                Mean(name=f"{name}_loss") for name, loss in zip(names, self._losses) if loss
            ]

    @property
    def metrics(self) -> list[Metric]:
        return [self.total, *self._each]

    def compute(
        self, y: Any, y_pred: Any, sample_weight: Any, penalties: list[Any], names: list[str]
    ) -> tuple[Any, list[Any]]:
        """(the loss to minimise, the loss of each output)."""
        if self._losses is None:
            self._build(names)
        predictions = nest.flatten(y_pred)
        targets = _in_order(y, names, len(predictions))
        weights = _in_order(sample_weight, names, len(predictions), spread=True)
        each, weighted = [], []
        for loss, factor, target, prediction, w in zip(
            self._losses or [], self._weights, targets, predictions, weights
        ):
            if loss is None:
                continue
            value = loss(convert_to_tensor(target), prediction, w)
            each.append(value)
            weighted.append(value if factor == 1.0 else value * factor)
        terms = [*weighted, *(cast(p, weighted[0].dtype) if weighted else p for p in penalties)]
        if not terms:
            raise ValueError(
                "the model has nothing to minimise: compile it with a loss, or add one with "
                "`add_loss`"
            )
        return (terms[0] if len(terms) == 1 else add_n(terms)), each

    def update(self, total: Any, each: list[Any], batch: Any) -> None:
        """Takes the losses of a batch into the running means."""
        self.total.update_state(total, sample_weight=batch)
        for metric, value in zip(self._each, each):
            metric.update_state(value, sample_weight=batch)

    def reset(self) -> None:
        for metric in self.metrics:
            metric.reset_state()


def _as_loss(loss: Any) -> Loss | None:
    loss = losses_module.get(loss)
    if loss is None or isinstance(loss, Loss):
        return loss
    return FunctionLoss(loss, name=getattr(loss, "__name__", "loss"))


def _in_order(given: Any, names: list[str], count: int, spread: bool = False) -> list[Any]:
    if given is None:
        return [None] * count
    if isinstance(given, dict):
        return [given.get(name) for name in names]
    flat = nest.flatten(given)
    if len(flat) == 1 and count > 1 and spread:
        return flat * count
    if len(flat) != count:
        raise ValueError(f"the model has {count} output(s), but {len(flat)} targets were given")
    return flat


class CompiledMetrics:
    """Metrics of the outputs."""

    def __init__(self, metrics: Any, weighted: Any) -> None:
        self._given, self._given_weighted = metrics, weighted
        self._built: list[tuple[int, Metric, bool]] | None = None

    def _build(self, names: list[str], targets: list[Any], predictions: list[Any]) -> None:
        built = []
        for given, takes_weights in ((self._given, False), (self._given_weighted, True)):
            for i, metrics in enumerate(_metrics_by_output(given, names)):
                for metric in metrics:
                    made = _as_metric(metric, targets[i], predictions[i])
                    if len(names) > 1 and not isinstance(metric, Metric):
                        made._name = f"{names[i]}_{made._name}"
                    built.append((i, made, takes_weights))
        self._built = built

    @property
    def metrics(self) -> list[Metric]:
        return [metric for _, metric, _ in self._built or ()]

    def update(self, y: Any, y_pred: Any, sample_weight: Any, names: list[str]) -> None:
        """Takes a batch into all metrics."""
        predictions = nest.flatten(y_pred)
        targets = _in_order(y, names, len(predictions))
        if self._built is None:
            self._build(names, targets, predictions)
        weights = _in_order(sample_weight, names, len(predictions), spread=True)
        for i, metric, takes_weights in self._built or ():
            if targets[i] is None:
                continue
            weight = weights[i] if takes_weights else None
            metric.update_state(targets[i], predictions[i], sample_weight=weight)

    def reset(self) -> None:
        for metric in self.metrics:
            metric.reset_state()


def _metrics_by_output(given: Any, names: list[str]) -> list[list[Any]]:
    if given is None:
        return [[] for _ in names]
    if isinstance(given, dict):
        return [_as_list(m) for m in by_output(given, names)]
    given = _as_list(given)
    if len(names) > 1 and len(given) == len(names) and any(isinstance(m, list) for m in given):
        return [_as_list(m) for m in given]
    return [list(given) for _ in names]


def _as_list(x: Any) -> list[Any]:
    return [] if x is None else list(x) if isinstance(x, (list, tuple)) else [x]


def _as_metric(metric: Any, target: Any, prediction: Any) -> Metric:
    """A metric object; "accuracy" and "crossentropy" are told by the shapes, as in Keras."""
    if isinstance(metric, Metric):
        return metric
    name = metric if isinstance(metric, str) else None
    if name in ("accuracy", "acc", "crossentropy", "ce"):
        kind = _kind(target, prediction)
        suffix = "accuracy" if name in ("accuracy", "acc") else "crossentropy"
        return MeanMetricWrapper(metrics_module.get(f"{kind}_{suffix}"), name)
    function = metrics_module.get(metric)
    if isinstance(function, Metric):
        return function
    return MeanMetricWrapper(function, name or getattr(function, "__name__", "metric"))


def _kind(target: Any, prediction: Any) -> str:
    true, predicted = convert_to_tensor(target).shape, prediction.shape
    if predicted.rank and predicted[-1] == 1:
        return "binary"
    if true.rank < predicted.rank or (true[-1] == 1 and predicted[-1] != 1):
        return "sparse_categorical"
    return "categorical"


def batch_size(x: Any) -> Any:
    """The number of examples of a batch, as a tensor."""
    return shape(convert_to_tensor(nest.flatten(x)[0]))[0]

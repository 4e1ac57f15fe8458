"""The losses and metrics that a model was compiled with, on its outputs."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape import nest
from shardtape.autograph import convert_in_graph
from shardtape.keras import losses as losses_module
from shardtape.keras import metrics as metrics_module
from shardtape.keras.losses.base import FunctionLoss, Loss, Reduction
from shardtape.keras.masks import mask_of, weights_under
from shardtape.keras.metrics.base import Mean, MeanMetricWrapper, Metric
from shardtape.keras.naming import snake_case
from shardtape.ops.array import expand_dims, shape
from shardtape.ops.cast import cast
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.math import add_n
from shardtape.replica_context import scopes
from shardtape.tensor import Tensor
from shardtape.variable import Variable


def by_output(given: Any, names: list[str], keys: list[str]) -> list[Any]:
    """What was given for each output: one for all, a list, or a dict by key or name.

    Args:
      names, keys: of the outputs; see `output_keys`.

    Raises ValueError for an unknown name or another number.
    """
    if isinstance(given, dict):
        return _looked_up(given, names, keys)
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(f"got {len(given)} for {len(names)} outputs: {given}")
        return list(given)
    return [given] * len(names)


def output_keys(y_pred: Any, names: list[str]) -> list[str]:
    """The keys of outputs in a dict, in the order of `nest.flatten`; else the names again."""
    if not isinstance(y_pred, dict) or any(nest.is_nested(value) for value in y_pred.values()):
        return names
    return sorted(y_pred)


def _looked_up(given: dict[str, Any], names: list[str], keys: list[str]) -> list[Any]:
    for known in (keys, names):
        if set(given) <= set(known):
            return [given.get(name) for name in known]
    unknown = next(name for name in given if name not in keys)
    raise ValueError(f"there is no output {unknown!r}; the model has {', '.join(map(repr, keys))}")


class CompiledLosses:
    """Losses of the outputs, weighted and added, with the mean of each as a metric.

    Args:
      losses, weights: what `compile` was given.
      output_names: function from predictions to the names of the outputs.
    """

    def __init__(self, losses: Any, weights: Any, output_names: Any) -> None:
        self._given, self._given_weights, self._output_names = losses, weights, output_names
        self._losses: list[Loss | None] | None = None
        self._weights: list[float] = []
        self.total = Mean(name="loss")
        self._each: dict[int, Mean] = {}

    def build(self, y_pred: Any) -> None:
        """Makes the losses and their running means before the first call."""
        names = self._output_names(y_pred)
        self._build(names, output_keys(y_pred, names))

    def _build(self, names: list[str], keys: list[str]) -> None:
        self._losses = [_as_loss(loss) for loss in by_output(self._given, names, keys)]
        given = self._given_weights
        self._weights = [1.0 if w is None else w for w in by_output(given, names, keys)]
        if len(names) > 1:
            self._each = {
                i: Mean(name=f"{name}_loss")
                for i, (name, loss) in enumerate(zip(names, self._losses))
                if loss is not None
            }

    @property
    def metrics(self) -> list[Metric]:
        """The running means; none before the first call, as a step may leave the losses out."""
        return [] if self._losses is None else [self.total, *self._each.values()]

    def __call__(
        self, y: Any, y_pred: Any, sample_weight: Any = None, regularization_losses: Any = None
    ) -> Any:
        """The loss to minimise; takes it and those of the outputs into the running means.

        None where there is neither a loss nor a penalty.
        """
        names = self._output_names(y_pred)
        keys = output_keys(y_pred, names)
        if self._losses is None:
            self._build(names, keys)
        predictions = nest.flatten(y_pred)
        targets = _in_order(y, names, keys)
        weights = _in_order(sample_weight, names, keys, spread=True)
        replicas = 1 if scopes.replica is None else scopes.replica.num_replicas_in_sync
        size, terms, shown = None, [], []  # what is minimised, what the metrics show
        for i, (loss, factor, target, prediction, w) in enumerate(
            zip(self._losses or [], self._weights, targets, predictions, weights)
        ):
            if loss is None or target is None:
                continue
            target, w = _fitting(target, prediction, w)
            value = loss(target, prediction, w)
            size = batch_size(prediction)
            mean = getattr(loss, "reduction", None) != Reduction.SUM
            # a sum counts in each replica for its part of the batch, a mean for all of it
            whole = value if mean or replicas == 1 else value * replicas
            if i in self._each:
                self._each[i].update_state(whole, sample_weight=size)
            shown.append(whole if factor == 1.0 else whole * factor)
            if replicas > 1:
                part = value / replicas if mean else value
                terms.append(part if factor == 1.0 else part * factor)
        penalties = list(regularization_losses or [])
        total = _added([*shown, *penalties])
        if total is None:
            return None
        self.total.update_state(total, sample_weight=size)
        if replicas == 1:
            return total
        return _added([*terms, *[convert_to_tensor(p) / replicas for p in penalties]])

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()


def _added(terms: list[Any]) -> Any:
    terms = _of_one_type(terms)
    return None if not terms else terms[0] if len(terms) == 1 else add_n(terms)


def _of_one_type(terms: list[Any]) -> list[Any]:
    """Scalars in one floating type: the widest among them, float32 where halves differ."""
    terms = [convert_to_tensor(t) for t in terms]
    kinds = {t.dtype for t in terms}
    if len(kinds) < 2:
        return terms
    wide = [d for d in kinds if d.is_floating and d not in dt.HALVES]
    return [cast(t, max(wide, key=lambda d: d.size, default=dt.float32)) for t in terms]


def _fitting(target: Any, prediction: Any, weight: Any) -> tuple[Any, Any]:
    """(target, sample weight) as Keras gives them to losses and metrics.

    Vectors beside a matrix of predictions become columns; types follow the predictions.
    """
    rank = getattr(prediction.shape, "rank", None)
    if isinstance(target, (Tensor, Variable)) or not hasattr(target, "dtype"):
        target = convert_to_tensor(target)
        if rank == 2 and target.shape.rank == 1:
            target = expand_dims(target, -1)
        same_kind = target.dtype.is_floating and prediction.dtype.is_floating or (
            target.dtype.is_integer and prediction.dtype.is_integer
        )  # fmt: skip
        if same_kind and target.dtype is not prediction.dtype:
            target = cast(target, prediction.dtype)
    if weight is not None:
        weight = cast(weight, prediction.dtype)
        if rank == 2 and weight.shape.rank == 1:
            weight = expand_dims(weight, -1)
    return target, weight


def _as_loss(loss: Any) -> Loss | None:
    loss = losses_module.get(loss)
    if loss is None:
        return None
    if not isinstance(loss, Loss):
        loss = FunctionLoss(loss, name=getattr(loss, "__name__", "loss"))
    loss._of_compile = True
    return loss


def _in_order(given: Any, names: list[str], keys: list[str], spread: bool = False) -> list[Any]:
    count = len(names)
    if given is None:
        return [None] * count
    if isinstance(given, dict):
        return _looked_up(given, names, keys)
    flat = nest.flatten(given)
    if len(flat) == 1 and count > 1 and (spread or not nest.is_nested(given)):
        return flat * count  # one tensor that is in no list belongs to all outputs
    if len(flat) != count:
        raise ValueError(f"the model has {count} output(s), but {len(flat)} targets were given")
    return flat


class CompiledMetrics:
    """Metrics of the outputs; arguments as of `CompiledLosses`."""

    def __init__(self, metrics: Any, weighted: Any, output_names: Any) -> None:
        self._given, self._given_weighted = metrics, weighted
        self._output_names = output_names
        self._built: list[tuple[int, Metric, bool]] | None = None
        # before the first targets: which accuracy ... "accuracy" is
        self._undecided: list[tuple[int, str, Any]] | None = None

    def build(self, y_pred: Any) -> None:
        """Makes the metrics before the first targets are known."""
        names = self._output_names(y_pred)
        self._undecided = []
        predictions = nest.flatten(y_pred)
        self._build(names, output_keys(y_pred, names), predictions, predictions)

    def _decide(self, targets: list[Any], predictions: list[Any]) -> None:
        for i, kind, metric in self._undecided or ():
            if targets[i] is not None:
                made = _as_metric(kind, targets[i], predictions[i])
                metric._fn = made._fn  # type: ignore[attr-defined]
        self._undecided = None

    def _build(
        self, names: list[str], keys: list[str], targets: list[Any], predictions: list[Any]
    ) -> None:
        plain = _metrics_by_output(self._given, names, keys)
        weighted = _metrics_by_output(self._given_weighted, names, keys)
        built: list[tuple[int, Metric, bool]] = []
        taken: set[str] = set()
        for i, name in enumerate(names):
            prefix = f"{name}_" if len(names) > 1 else ""
            for metric in plain[i]:
                made = self._made(i, metric, targets, predictions)
                made._name = self._named(metric, prefix, made._name)
                if made._name in taken:
                    raise ValueError(
                        f'Found two metrics with the same name: "{made._name}". All the metrics '
                        "added to the model need to have unique names."
                    )
                taken.add(made._name)
                built.append((i, made, False))
            for metric in weighted[i]:
                made = self._made(i, metric, targets, predictions)
                name_of = self._named(metric, prefix, made._name)
                if name_of in taken:
                    name_of = f"{prefix}weighted_{made._name}"
                made._name = name_of
                taken.add(made._name)
                built.append((i, made, True))
        self._built = built

    def _named(self, given: Any, prefix: str, name: str) -> str:
        """A metric's name with that of its output, which metrics of Keras's files have already."""
        of_file = self._undecided is not None and isinstance(given, Metric)
        return name if of_file and name.startswith(prefix) else f"{prefix}{name}"

    def _made(self, i: int, given: Any, targets: list[Any], predictions: list[Any]) -> Metric:
        made = _as_metric(given, targets[i], predictions[i])
        if self._undecided is not None and isinstance(given, str) and given in _BY_SHAPES:
            self._undecided.append((i, given, made))
        return made

    @property
    def metrics(self) -> list[Metric]:
        return [metric for _, metric, _ in self._built or ()]

    def update_state(self, y: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into all metrics."""
        names = self._output_names(y_pred)
        keys = output_keys(y_pred, names)
        predictions = nest.flatten(y_pred)
        targets = _in_order(y, names, keys)
        if self._built is None or self._undecided is not None:
            fitted = [
                t if t is None else _fitting(t, p, None)[0] for t, p in zip(targets, predictions)
            ]
            if self._built is None:
                self._build(names, keys, fitted, predictions)
            else:
                self._decide(fitted, predictions)
        weights = _in_order(sample_weight, names, keys, spread=True)
        for i, metric, takes_weights in self._built or ():
            if targets[i] is None:
                continue
            weight = weights[i] if takes_weights else None
            mask = mask_of(predictions[i])
            if mask is not None:
                weight = weights_under(mask, weight, predictions[i].dtype)
            target, weight = _fitting(targets[i], predictions[i], weight)
            update = convert_in_graph(metric.update_state)
            update(target, predictions[i], sample_weight=weight)

    def reset_state(self) -> None:
        for metric in self.metrics:
            metric.reset_state()


def _metrics_by_output(given: Any, names: list[str], keys: list[str]) -> list[list[Any]]:
    if given is None:
        return [[] for _ in names]
    if isinstance(given, dict):
        return [_as_list(m) for m in by_output(given, names, keys)]
    given = _as_list(given)
    if len(names) > 1 and len(given) == len(names) and any(isinstance(m, list) for m in given):
        return [_as_list(m) for m in given]
    if len(names) > 1:  # each output has a state of its own
        return [[_copied(m) for m in given] for _ in names]
    return [list(given)]


def _copied(metric: Any) -> Any:
    return type(metric).from_config(metric.get_config()) if isinstance(metric, Metric) else metric


_BY_SHAPES = ("accuracy", "acc", "crossentropy", "ce")


def _as_list(x: Any) -> list[Any]:
    return [] if x is None else list(x) if isinstance(x, (list, tuple)) else [x]


def _as_metric(metric: Any, target: Any, prediction: Any) -> Metric:
    """A metric object; "accuracy" and "crossentropy" are told by the shapes, as in Keras."""
    if isinstance(metric, Metric):
        return metric
    name = metric if isinstance(metric, str) else None
    if name in _BY_SHAPES:
        kind = _kind(target, prediction)
        suffix = "accuracy" if name in ("accuracy", "acc") else "crossentropy"
        return MeanMetricWrapper(metrics_module.get(f"{kind}_{suffix}"), name)
    function = metrics_module.get(metric)
    if isinstance(function, Metric):
        return function
    return MeanMetricWrapper(function, name or _name_of(function))


def _name_of(function: Any) -> str:
    """The name of a Loss, a function, else that of the class, as Keras names metrics of them."""
    name = getattr(function, "name", None) or getattr(function, "__name__", None)
    return str(name or snake_case(type(function).__name__))


def _kind(target: Any, prediction: Any) -> str:
    target = target if hasattr(target, "flat_values") else convert_to_tensor(target)
    true, predicted = target.shape, prediction.shape
    if predicted.rank and predicted[-1] == 1:
        return "binary"
    if true.rank < predicted.rank or (true[-1] == 1 and predicted[-1] != 1):
        return "sparse_categorical"
    return "categorical"


def batch_size(x: Any) -> Any:
    """The number of examples of a batch, as a tensor."""
    first = nest.flatten(x)[0]
    if hasattr(first, "flat_values"):
        return cast(first.nrows(), "int32")
    return shape(first if hasattr(first, "dense_shape") else convert_to_tensor(first))[0]

"""What a layer tells besides its outputs: penalties, metrics and updates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import nest
from shardtape.context import state
from shardtape.keras.layers.calls import CalledSymbolically
from shardtape.keras.metrics.base import Mean, Metric
from shardtape.keras.symbolic import KerasGraph
from shardtape.ops.convert import convert_to_tensor
from shardtape.replica_context import scopes


class Reporting(CalledSymbolically):
    """What of `Layer` concerns its losses and metrics. `Layer.__init__` sets the attributes."""

    _weight_penalties: list[Callable[[], Any]]
    _call_penalties: list[Any]
    _replica_penalties: dict[int, list[Any]]
    _added_metrics: dict[str, Any]

    def add_loss(self, losses: Any, **kwargs: Any) -> None:
        """Adds scalar tensors, or functions that compute them, to `losses`."""
        for loss in nest.flatten(losses):
            if loss is None:
                continue
            (self._weight_penalties if callable(loss) else self._penalties()).append(loss)

    def _penalties(self) -> list[Any]:
        """Those of the last call, of this replica where one runs."""
        replica = scopes.replica
        if replica is None:
            return self._call_penalties
        return self._replica_penalties.setdefault(replica.number, [])

    def add_metric(self, value: Any, name: str | None = None, **kwargs: Any) -> None:
        """Takes a tensor, in `call`, into a metric of the models that the layer is part of.

        Args:
          value: its mean over the batches is the metric; what a Metric of the layer returned is
            left to that.
          name: of the metric; it is needed where `value` comes from no Metric.
          kwargs: `aggregation`, which may be "mean" or None.
        """
        if any(isinstance(m, Metric) and m.gave(value) for m in self._tracked()):
            return
        if name is None:
            raise ValueError(
                "Please provide a name for your metric like "
                "`self.add_metric(tf.reduce_sum(inputs), name='mean_activation')`"
            )
        metric = self._added_metrics.get(name)
        if metric is None:
            metric = self._added_metrics[name] = Mean(name=name)
        if not isinstance(state.graph, KerasGraph):
            metric.update_state(value)

    @property
    def metrics(self) -> list[Any]:
        """The metrics of this layer and of those inside it."""
        found: dict[int, Any] = {}
        for layer in self._flatten_layers():
            own = [m for m in layer._tracked() if isinstance(m, Metric)]
            found.update((id(m), m) for m in [*own, *layer._added_metrics.values()])
        return list(found.values())

    def add_update(self, updates: Any) -> None:
        """Runs functions without arguments, in `call`; results of updates are left alone.

        Nothing runs in symbolic calls.
        """
        if isinstance(state.graph, KerasGraph):
            return
        for update in nest.flatten(updates):
            if callable(update):
                update()

    @property
    def losses(self) -> list[Any]:
        """Penalties of this layer and of those inside it, as scalar tensors."""
        out = []
        for layer in self._flatten_layers():
            out.extend(layer._penalties())
            out.extend(convert_to_tensor(penalty()) for penalty in layer._weight_penalties)
        return out

    def _forget_penalties(self) -> None:
        replica = scopes.replica
        for layer in self._flatten_layers():
            if replica is not None:
                layer._replica_penalties[replica.number] = []
            elif layer._call_penalties:
                layer._call_penalties = []

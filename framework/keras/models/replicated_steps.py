"""Steps of a model in the replicas of a strategy: a batch is shared, results are put together."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from shardtape import nest
from shardtape.data.leaves import cut, rows_of
from shardtape.keras.metrics.base import Metric
from shardtape.keras.models.traced_steps import TracedSteps
from shardtape.ops.composites import is_composite
from shardtape.ops.joining import concat
from shardtape.optimizers import Optimizer
from shardtape.replica_context import current_strategy
from shardtape.tensor import EagerTensor
from shardtape.type_spec import type_spec_from_value
from shardtape.variable import Variable


def in_strategy(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a model, in the scope of the strategy that the model was made in."""

    @functools.wraps(method)
    def inside(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self._strategy is None:
            return method(self, *args, **kwargs)
        with self._strategy.scope():
            return method(self, *args, **kwargs)

    return inside


class ReplicatedSteps(TracedSteps):
    """Calls a step once for each replica, with its part of the batch.

    Args:
      strategy: has several replicas.
      joins: results of replicas are joined along the first axis (predictions); else added up.
    """

    def __init__(
        self, strategy: Any, step: Callable[[Any], Any], eager: bool = False, joins: bool = False
    ) -> None:
        self._strategy, self._own, self._joins = strategy, step, joins

        def replicated(parts: Any) -> Any:
            return self._run(parts)

        replicated.__name__ = getattr(step, "__name__", "step")
        super().__init__(replicated, eager)

    def __call__(self, data: Any, sized: bool = False) -> Any:
        """Runs the step on a batch: nested tensors, or PerReplica values."""
        return super().__call__(parts_of_batch(data, self._strategy.num_replicas_in_sync))

    def _run(self, parts: Any) -> Any:
        from shardtape.distribute.values import PerReplica, regroup

        outputs = self._strategy.run(self._own, (regroup(parts, always=True),))

        def one(value: Any) -> Any:
            if not isinstance(value, PerReplica):
                return value
            if self._joins:
                return concat(list(value.values), 0)
            return self._strategy.reduce("SUM", value, axis=None)

        return nest.map_structure(one, outputs)


def parts_of_batch(data: Any, replicas: int) -> tuple[Any, ...]:
    """The part of a batch that each replica gets, as distributed datasets cut batches."""
    from shardtape.distribute.input import parts_of
    from shardtape.distribute.values import DistributedValues

    def parts(value: Any) -> list[Any]:
        if isinstance(value, DistributedValues):
            return list(value.values)
        if value is None or not len(value.shape):
            return [value] * replicas
        spec = type_spec_from_value(value)
        leaf = value if is_composite(value) else value._array
        made = [cut(spec, leaf, *part) for part in parts_of(rows_of(spec, leaf), replicas)]
        return made if is_composite(value) else [EagerTensor(a) for a in made]

    columns = [parts(value) for value in nest.flatten(data)]
    return tuple(
        nest.pack_sequence_as(data, [column[i] for column in columns]) for i in range(replicas)
    )


def check_scope(model: Any, optimizer: Any, *metrics: Any) -> None:
    """Raises ValueError where something that is compiled was made outside of the model's scope."""
    strategy = model._strategy or current_strategy()
    extended = strategy.extended
    held: list[Variable] = list(model.variables) if model.built else []
    if isinstance(optimizer, Optimizer) and isinstance(optimizer._iterations, Variable):
        held.append(optimizer._iterations)
    for variable in held:
        if not extended.variable_created_in_scope(variable):
            raise ValueError(
                f"variable {variable.name!r} was not made in the scope of {strategy!r}: make the "
                "model and the optimizer, and call `compile`, in `with strategy.scope():`"
            )
    for metric in nest.flatten(metrics):
        if isinstance(metric, Metric) and not all(
            map(extended.variable_created_in_scope, metric.variables)
        ):
            raise ValueError(
                f"metric {metric.name!r} was not made in the scope of {strategy!r}, as the model "
                "was: make it in `with strategy.scope():`, or give its name to `compile`"
            )

"""Updates of Variables of several replicas: gradients are summed, all components change alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shardtape.replica_context import scopes


def apply(optimizer: Any, pairs: list[tuple[Any, Any]], aggregate: bool) -> Any:
    """`apply_gradients` in a replica: waits for the others, and updates once for all.

    Args:
      aggregate: add up the gradients of the replicas; else those of the first are taken.

    Raises RuntimeError outside of replicas.
    """
    replica = scopes.replica
    if replica is None:
        raise RuntimeError(
            "apply_gradients is called in the scope of a strategy of several replicas, but outside "
            "of them, where there are no gradients of a replica: call it in the function that "
            "Strategy.run is given"
        )
    variables = [v for _, v in pairs]

    def merged(strategy: Any, gradients: list[Any]) -> Any:
        from shardtape.distribute.reductions import reduced
        from shardtape.distribute.strategy import ReduceOp

        made = []
        for gradient in gradients:
            values = _values(gradient, strategy.num_replicas_in_sync)
            present = [v for v in values if v is not None]
            if aggregate and present:
                made.append(reduced(ReduceOp.SUM, present))
            else:
                made.append(values[0])
        return optimizer._apply_pairs(list(zip(made, variables)))

    return replica.merge_call(merged, ([g for g, _ in pairs],))


def _values(gradient: Any, replicas: int) -> list[Any]:
    from shardtape.distribute.values import DistributedValues

    if isinstance(gradient, DistributedValues):
        return list(gradient.values)
    return [gradient] * replicas


def summed(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """(gradient, variable) pairs with the sums of all replicas; outside of replicas unchanged."""
    replica = scopes.replica
    present = [(g, v) for g, v in pairs if g is not None]
    if replica is None or not present:
        return pairs
    sums = replica.all_reduce("SUM", [g for g, _ in present])
    return list(zip(sums, [v for _, v in present]))


def identity(variable: Any) -> int:
    """What tells a Variable from others, the same in every replica."""
    return variable._id if variable._holder is None else variable._holder().values[0]._id


def components(variable: Any) -> Iterator[int]:
    """Numbers of the components of a Variable; while one is at hand, all Variables of its
    strategy read and write their component of this number. Of a plain Variable 0 alone."""
    if variable._holder is None:
        yield 0
        return
    outer = scopes.updating
    try:
        for i in range(len(variable._holder().values)):
            scopes.updating = i
            yield i
    finally:
        scopes.updating = outer

"""`tf.distribute.get_replica_context()` in a replica of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import nest
from shardtape.custom_gradient import custom_gradient
from shardtape.distribute.reductions import gathered, reduced
from shardtape.distribute.strategy import ReduceOp, ReplicaContext, _check_op
from shardtape.distribute.values import DistributedValues
from shardtape.indexed_slices import IndexedSlices
from shardtape.ops.array import shape
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.joining import split, stack


class SeveralReplicaContext(ReplicaContext):
    """What the function of one of several replicas asks.

    Args:
      strategy: whose replica it is.
      replica: the thread that runs it.
    """

    def __init__(self, strategy: Any, replica: Any) -> None:
        self.strategy, self._replica = strategy, replica
        self.number: int = replica.number

    @property
    def replica_id_in_sync_group(self) -> Any:  # type: ignore[override]
        """The number of the replica, an int32 scalar tensor."""
        return convert_to_tensor(self.number)

    @property
    def num_replicas_in_sync(self) -> int:  # type: ignore[override]
        return self.strategy.num_replicas_in_sync

    @property
    def devices(self) -> tuple[str, ...]:
        """The device of the replica."""
        return (self.strategy.worker_devices[self.number],)

    def merge_call(self, merge_fn: Callable[..., Any], args: Any = (), kwargs: Any = None) -> Any:
        """Waits until all replicas are here, and calls `merge_fn(strategy, *args)` once.

        Arguments that differ arrive as PerReplica. Each replica gets its own of what is returned.

        Raises RuntimeError where another graph is built than at the start of the replica.
        """
        return self._replica.merge(merge_fn, args, kwargs)

    def all_reduce(self, reduce_op: Any, value: Any, options: Any = None) -> Any:
        """The sum or mean of all replicas' values, nested; its gradient is the same of gradients.

        Args:
          reduce_op: SUM or MEAN.
          value: tensors or IndexedSlices, nested.
        """
        op = _check_op(reduce_op)
        flat = [v if isinstance(v, IndexedSlices) else convert_to_tensor(v)
                for v in nest.flatten(value)]  # fmt: skip
        dense = [v for v in flat if not isinstance(v, IndexedSlices)]
        if len(dense) < len(flat):  # sparse gradients are reduced, never differentiated
            out = self._merged(lambda values: reduced(op, values), flat)
        elif flat:
            out = nest.flatten(self._differentiable(op, flat))
        else:
            out = []
        return nest.pack_sequence_as(value, out)

    def _differentiable(self, op: ReduceOp, flat: list[Any]) -> Any:
        @custom_gradient
        def together(*tensors: Any) -> Any:
            def backward(*gradients: Any) -> Any:
                return self.all_reduce(op, list(gradients))

            return self._merged(lambda values: reduced(op, values), list(tensors)), backward

        return together(*flat)

    def all_gather(self, value: Any, axis: int, options: Any = None) -> Any:
        """The values of all replicas along an axis, nested; the gradient is each one's part.

        Raises ValueError for scalars.
        """

        def one(tensor: Any) -> Any:
            @custom_gradient
            def together(t: Any) -> Any:
                [sizes] = self._merged(stack, [shape(t)[axis]])
                [made] = self._merged(lambda values: gathered(values, axis), [t])

                def backward(g: Any) -> Any:
                    whole = self.all_reduce(ReduceOp.SUM, g)
                    return split(whole, sizes, axis, num=self.num_replicas_in_sync)[self.number]

                return made, backward

            return together(convert_to_tensor(tensor))

        return nest.map_structure(one, value)

    def _merged(self, function: Callable[[Any], Any], values: list[Any]) -> list[Any]:
        """`function` of the list of all replicas' values, for each of `values`."""
        count = self.num_replicas_in_sync

        def merge(strategy: Any, given: list[Any]) -> list[Any]:
            return [
                function(list(v.values) if isinstance(v, DistributedValues) else [v] * count)
                for v in given
            ]

        return self.merge_call(merge, (values,))

    def _update(self, var: Any, fn: Any, args: Any = (), kwargs: Any = None) -> Any:
        """`extended.update` from inside the replicas."""
        return self.merge_call(
            lambda strategy, *a, **k: strategy.extended.update(var, fn, a, k), args, kwargs
        )

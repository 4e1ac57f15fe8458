"""`tf.distribute.CrossDeviceOps`: the ways of reducing over devices, which here are one.

All devices of a process share its memory, or its GPU: whatever the way is called, the values are
added in the order of the replicas.
"""

from __future__ import annotations

from typing import Any

from shardtape.distribute.reductions import reduced_value
from shardtape.distribute.strategy import _check_op
from shardtape.distribute.values import DistributedValues, Mirrored


class CrossDeviceOps:
    """Base of the ways of reducing."""

    num_packs = 1

    def reduce(
        self, reduce_op: Any, per_replica_value: Any, destinations: Any, options: Any = None
    ) -> Any:
        """The sum or mean of the replicas' values.

        Args:
          destinations: a device's name, or what has a copy for each replica; then the result has.
        """
        replicas = 1
        if isinstance(per_replica_value, DistributedValues):
            replicas = len(per_replica_value.values)
        return spread(reduced_value(_check_op(reduce_op), per_replica_value, replicas),
                      destinations)  # fmt: skip

    def batch_reduce(
        self, reduce_op: Any, value_destination_pairs: Any, options: Any = None
    ) -> list[Any]:
        """`reduce` of each (value, destinations)."""
        return [self.reduce(reduce_op, v, d, options) for v, d in value_destination_pairs]

    def broadcast(self, tensor: Any, destinations: Any) -> Any:
        """The tensor where the destinations are."""
        return spread(tensor, destinations)


def spread(value: Any, destinations: Any) -> Any:
    """A value for each replica where the destinations have several, else the value."""
    copies = getattr(destinations, "values", None)
    if not isinstance(copies, tuple):
        return value
    return Mirrored([value] * len(copies))


class HierarchicalCopyAllReduce(CrossDeviceOps):
    """Adds in the order of the replicas.

    Args:
      num_packs: at least 0.
    """

    def __init__(self, num_packs: int = 1) -> None:
        if num_packs < 0:
            raise ValueError(f"HierarchicalCopy requires num_packs >= 0, got {num_packs}")
        self.num_packs = num_packs


class NcclAllReduce(CrossDeviceOps):
    """Adds in the order of the replicas.

    Args:
      num_packs: at least 0.
    """

    def __init__(self, num_packs: int = 1) -> None:
        if num_packs < 0:
            raise ValueError(f"NCCL all-reduce requires num_packs >= 0, got {num_packs}")
        self.num_packs = num_packs


class ReductionToOneDevice(CrossDeviceOps):
    """Adds in the order of the replicas.

    Args:
      reduce_to_device: where; all devices are in this process.
      accumulation_fn: adds a list of tensors (default `tf.add_n`).
    """

    def __init__(self, reduce_to_device: Any = None, accumulation_fn: Any = None) -> None:
        self.reduce_to_device, self.accumulation_fn = reduce_to_device, accumulation_fn

    def reduce(
        self, reduce_op: Any, per_replica_value: Any, destinations: Any, options: Any = None
    ) -> Any:
        """See `CrossDeviceOps.reduce`."""
        if self.accumulation_fn is None or not isinstance(per_replica_value, DistributedValues):
            return super().reduce(reduce_op, per_replica_value, destinations, options)
        values = list(per_replica_value.values)
        total = self.accumulation_fn(values)
        mean = _check_op(reduce_op).value == "MEAN"
        return spread(total / len(values) if mean else total, destinations)

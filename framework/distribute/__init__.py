"""`tf.distribute`: strategies of one process, with one replica or several."""

from typing import TYPE_CHECKING as _TYPE_CHECKING
from typing import Any as _Any

from shardtape.data.iterator import OwnedIterator as DistributedIterator
from shardtape.distribute import cluster_resolver, coordinator, experimental
from shardtape.distribute.cluster_strategies import (
    MultiWorkerMirroredStrategy,
    ParameterServerStrategy,
    Server,
)
from shardtape.distribute.extended import Extended as StrategyExtended
from shardtape.distribute.strategy import (
    InputContext,
    InputOptions,
    InputReplicationMode,
    OneDeviceStrategy,
    ReduceOp,
    ReplicaContext,
    RunOptions,
    Strategy,
    experimental_set_strategy,
    get_replica_context,
    get_strategy,
    has_strategy,
    in_cross_replica_context,
)
from shardtape.lazy_names import lazily as _lazily

if _TYPE_CHECKING:
    from shardtape.distribute.cross_device_ops import (
        CrossDeviceOps,
        HierarchicalCopyAllReduce,
        NcclAllReduce,
        ReductionToOneDevice,
    )
    from shardtape.distribute.input import DistributedDataset
    from shardtape.distribute.mirrored import MirroredStrategy
    from shardtape.distribute.values import DistributedValues

__all__ = [
    "CrossDeviceOps",
    "DistributedDataset",
    "DistributedIterator",
    "DistributedValues",
    "HierarchicalCopyAllReduce",
    "InputContext",
    "InputOptions",
    "InputReplicationMode",
    "MirroredStrategy",
    "MultiWorkerMirroredStrategy",
    "NcclAllReduce",
    "OneDeviceStrategy",
    "ParameterServerStrategy",
    "ReduceOp",
    "ReductionToOneDevice",
    "ReplicaContext",
    "RunOptions",
    "Server",
    "Strategy",
    "StrategyExtended",
    "cluster_resolver",
    "coordinator",
    "experimental",
    "experimental_set_strategy",
    "get_replica_context",
    "get_strategy",
    "has_strategy",
    "in_cross_replica_context",
]


# What several replicas need is loaded when it is asked for.
_load = _lazily(
    __name__,
    "tf.distribute",
    {
        "cross_device_ops": ["CrossDeviceOps", "HierarchicalCopyAllReduce", "NcclAllReduce",
                             "ReductionToOneDevice"],
        "input": ["DistributedDataset"],
        "mirrored": ["MirroredStrategy"],
        "values": ["DistributedValues"],
    },
    ": MirroredStrategy has replicas in this process, tf.Trainer trains on several workers",
)  # fmt: skip


def __getattr__(name: str) -> _Any:
    return _load(name)

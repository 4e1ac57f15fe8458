"""`tf.distribute`: strategies of one process."""

from typing import Any as _Any

from shardtape.distribute import cluster_resolver, coordinator, experimental
from shardtape.distribute.cluster_strategies import (
    MultiWorkerMirroredStrategy,
    ParameterServerStrategy,
    Server,
)
from shardtape.distribute.strategy import (
    CrossDeviceOps,
    HierarchicalCopyAllReduce,
    InputContext,
    InputOptions,
    InputReplicationMode,
    MirroredStrategy,
    NcclAllReduce,
    OneDeviceStrategy,
    ReduceOp,
    ReductionToOneDevice,
    ReplicaContext,
    RunOptions,
    Strategy,
    experimental_set_strategy,
    get_replica_context,
    get_strategy,
    has_strategy,
    in_cross_replica_context,
)

__all__ = [
    "CrossDeviceOps",
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
    "cluster_resolver",
    "coordinator",
    "experimental",
    "experimental_set_strategy",
    "get_replica_context",
    "get_strategy",
    "has_strategy",
    "in_cross_replica_context",
]


def __getattr__(name: str) -> _Any:
    from shardtape.absent import missing_text

    raise AttributeError(
        f"{missing_text('tf.distribute', name, __all__)}: this process has one replica; "
        "tf.Trainer trains on several workers"
    )

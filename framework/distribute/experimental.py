"""`tf.distribute.experimental`: strategies of clusters and options of communication."""

from __future__ import annotations

from typing import Any

from shardtape.distribute import coordinator
from shardtape.distribute.cluster_strategies import (
    CentralStorageStrategy,
    ParameterServerStrategy,
)
from shardtape.distribute.cluster_strategies import (
    ExperimentalMultiWorkerMirroredStrategy as MultiWorkerMirroredStrategy,
)
from shardtape.distribute.communication import (
    CollectiveCommunication,
    CommunicationImplementation,
    CommunicationOptions,
)
from shardtape.distribute.strategy import ValueContext

__all__ = [
    "CentralStorageStrategy",
    "CollectiveCommunication",
    "CommunicationImplementation",
    "CommunicationOptions",
    "MultiWorkerMirroredStrategy",
    "ParameterServerStrategy",
    "ValueContext",
    "coordinator",
]


def __getattr__(name: str) -> Any:
    if name == "partitioners":  # they are the parameter server's, which is a layer above
        import importlib

        return importlib.import_module("shardtape.ps.partition")
    from shardtape.absent import missing_text

    raise AttributeError(missing_text("tf.distribute.experimental", name, __all__))

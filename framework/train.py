"""`tf.train`: checkpoints of objects, and the messages of training examples."""

from shardtape import train_experimental as experimental
from shardtape.checkpoint.directory import latest_checkpoint
from shardtape.checkpoint.following import CheckpointOptions, checkpoints_iterator
from shardtape.checkpoint.manager import CheckpointManager
from shardtape.checkpoint.names import (
    get_checkpoint_state,
    list_variables,
    load_checkpoint,
    load_variable,
)
from shardtape.checkpoint.object_checkpoint import Checkpoint
from shardtape.checkpoint.views import CheckpointView, TrackableView
from shardtape.distribute.cluster import ClusterSpec
from shardtape.io.int64_list import Int64List
from shardtape.moving_average import ExponentialMovingAverage
from shardtape.protos.example_pb2 import (
    BytesList,
    Example,
    Feature,
    FeatureList,
    FeatureLists,
    Features,
    FloatList,
    SequenceExample,
)
from shardtape.thread_coordinator import Coordinator

__all__ = [
    "BytesList",
    "Checkpoint",
    "CheckpointManager",
    "CheckpointOptions",
    "CheckpointView",
    "ClusterSpec",
    "Coordinator",
    "Example",
    "Feature",
    "ExponentialMovingAverage",
    "FeatureList",
    "FeatureLists",
    "Features",
    "FloatList",
    "Int64List",
    "SequenceExample",
    "TrackableView",
    "checkpoints_iterator",
    "experimental",
    "get_checkpoint_state",
    "latest_checkpoint",
    "list_variables",
    "load_checkpoint",
    "load_variable",
]

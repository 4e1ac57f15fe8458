"""`tf.experimental`."""

from shardtape.absent import dtensor
from shardtape.data.optional import Optional
from shardtape.experimental import dlpack, extension_type, numpy
from shardtape.experimental.extension_type import ExtensionType, ExtensionTypeSpec
from shardtape.ragged.dynamic_shape import DynamicRaggedShape
from shardtape.ragged.row_partition import RowPartition

__all__ = [
    "DynamicRaggedShape",
    "ExtensionType",
    "ExtensionTypeSpec",
    "Optional",
    "RowPartition",
    "dlpack",
    "dtensor",
    "extension_type",
    "numpy",
]

"""`tf.experimental`."""

from shardtape.absent import dtensor
from shardtape.data.optional import Optional
from shardtape.experimental import dlpack, extension_type, numpy
from shardtape.experimental.extension_type import ExtensionType, ExtensionTypeSpec

__all__ = [
    "ExtensionType",
    "ExtensionTypeSpec",
    "Optional",
    "dlpack",
    "dtensor",
    "extension_type",
    "numpy",
]

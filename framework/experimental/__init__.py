"""`tf.experimental`."""

from shardtape.absent import dtensor
from shardtape.data.optional import Optional
from shardtape.experimental import dlpack, numpy

__all__ = ["Optional", "dlpack", "dtensor", "numpy"]

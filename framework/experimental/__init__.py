"""`tf.experimental`."""

from shardtape.absent import dtensor
from shardtape.experimental import dlpack

__all__ = ["dlpack", "dtensor"]

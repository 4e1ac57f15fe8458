"""`tf.profiler`."""

from shardtape.profiler import experimental

__all__ = ["experimental"]

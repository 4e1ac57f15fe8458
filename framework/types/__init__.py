"""`tf.types`: what annotations and `isinstance` checks name."""

from shardtape.types import experimental

__all__ = ["experimental"]

"""`tf.linalg.experimental`."""

from shardtape.ops.linear_iterations import conjugate_gradient

__all__ = ["conjugate_gradient"]

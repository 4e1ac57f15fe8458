"""`tf.linalg`."""

from shardtape.ops.linalg import matmul, matvec

__all__ = ["matmul", "matvec"]

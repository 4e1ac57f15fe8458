"""`tf.nn.experimental`."""

from shardtape.ops.dropout import general_dropout, stateless_dropout

__all__ = ["general_dropout", "stateless_dropout"]

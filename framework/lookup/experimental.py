"""`tf.lookup.experimental`: tables that programs fill."""

from shardtape.lookup.tables import DenseHashTable, MutableHashTable

__all__ = ["DenseHashTable", "MutableHashTable"]

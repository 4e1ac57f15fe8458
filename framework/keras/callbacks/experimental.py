"""`tf.keras.callbacks.experimental`: a callback by its earlier place."""

from shardtape.keras.callbacks.checkpoints import BackupAndRestore

__all__ = ["BackupAndRestore"]

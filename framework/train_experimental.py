"""`tf.train.experimental`."""

from shardtape.checkpoint.python_state import PythonState

__all__ = ["PythonState"]

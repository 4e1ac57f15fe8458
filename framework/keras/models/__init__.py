"""`tf.keras.models`."""

from shardtape.keras.models.model import Model
from shardtape.keras.models.sequential import Sequential

__all__ = ["Model", "Sequential"]

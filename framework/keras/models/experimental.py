"""`tf.keras.models.experimental`."""

from shardtape.keras.models.sharpness import SharpnessAwareMinimization

__all__ = ["SharpnessAwareMinimization"]

"""`tf.keras.experimental`."""

from shardtape.keras.models.wide_deep import LinearModel, WideDeepModel
from shardtape.keras.sidecar import SidecarEvaluator
from shardtape.optimizers.schedules import CosineDecay, CosineDecayRestarts

__all__ = ["CosineDecay", "CosineDecayRestarts", "LinearModel", "SidecarEvaluator", "WideDeepModel"]

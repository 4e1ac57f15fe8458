"""`tf.keras.applications.resnet50`."""

from __future__ import annotations

from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.resnet import ResNet50, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]

"""`tf.keras.applications.vgg16`."""

from __future__ import annotations

from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.resnet import preprocess_input
from shardtape.keras.applications.vgg import VGG16

__all__ = ["VGG16", "decode_predictions", "preprocess_input"]

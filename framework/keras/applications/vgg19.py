"""`tf.keras.applications.vgg19`."""

from __future__ import annotations

from shardtape.keras.applications.imagenet_utils import decode_predictions
from shardtape.keras.applications.resnet import preprocess_input
from shardtape.keras.applications.vgg import VGG19

__all__ = ["VGG19", "decode_predictions", "preprocess_input"]

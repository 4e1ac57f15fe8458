"""`tf.keras.applications`: known networks for images, without weights of their own."""

from shardtape.keras.applications import (
    imagenet_utils,
    mobilenet_v2,
    resnet,
    resnet50,
    vgg16,
    vgg19,
)
from shardtape.keras.applications.mobilenet_v2 import MobileNetV2
from shardtape.keras.applications.resnet import ResNet50, ResNet101, ResNet152
from shardtape.keras.applications.vgg import VGG16, VGG19

__all__ = [
    "MobileNetV2",
    "ResNet101",
    "ResNet152",
    "ResNet50",
    "VGG16",
    "VGG19",
    "imagenet_utils",
    "mobilenet_v2",
    "resnet",
    "resnet50",
    "vgg16",
    "vgg19",
]

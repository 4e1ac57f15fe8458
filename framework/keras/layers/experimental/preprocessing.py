"""`tf.keras.layers.experimental.preprocessing`: what is `tf.keras.layers` by its earlier name."""

from shardtape.keras.layers.augmentation import (
    CenterCrop,
    RandomContrast,
    RandomCrop,
    RandomFlip,
    RandomRotation,
    RandomTranslation,
    RandomZoom,
    Resizing,
)
from shardtape.keras.layers.categories import CategoryEncoding, Discretization, Hashing
from shardtape.keras.layers.crossing import HashedCrossing
from shardtape.keras.layers.lookup import IntegerLookup, StringLookup
from shardtape.keras.layers.preprocessing import Normalization, PreprocessingLayer, Rescaling
from shardtape.keras.layers.random_size import RandomHeight, RandomWidth
from shardtape.keras.layers.text import TextVectorization

__all__ = [
    "CategoryEncoding",
    "CenterCrop",
    "Discretization",
    "HashedCrossing",
    "Hashing",
    "IntegerLookup",
    "Normalization",
    "PreprocessingLayer",
    "RandomContrast",
    "RandomCrop",
    "RandomFlip",
    "RandomHeight",
    "RandomRotation",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
    "Rescaling",
    "Resizing",
    "StringLookup",
    "TextVectorization",
]

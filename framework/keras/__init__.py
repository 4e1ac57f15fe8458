"""`tf.keras`: layers and what they are made of, with Keras's names, defaults and values."""

from shardtape import optimizers
from shardtape.keras import (
    activations,
    backend,
    constraints,
    initializers,
    layers,
    regularizers,
)
from shardtape.keras.layers import Input

__all__ = [
    "Input",
    "activations",
    "backend",
    "constraints",
    "initializers",
    "layers",
    "optimizers",
    "regularizers",
]

"""`tf.keras`: layers, models and what they are made of, with Keras's names, defaults and values."""

from shardtape import optimizers
from shardtape.keras import (
    activations,
    applications,
    backend,
    callbacks,
    constraints,
    datasets,
    experimental,
    export,
    initializers,
    layers,
    losses,
    metrics,
    mixed_precision,
    models,
    preprocessing,
    regularizers,
    saving,
    utils,
)
from shardtape.keras.layers import Input
from shardtape.keras.models import Model, Sequential

__all__ = [
    "Input",
    "Model",
    "Sequential",
    "activations",
    "applications",
    "backend",
    "callbacks",
    "constraints",
    "datasets",
    "experimental",
    "export",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "mixed_precision",
    "models",
    "optimizers",
    "preprocessing",
    "regularizers",
    "saving",
    "utils",
]

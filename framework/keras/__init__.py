"""`tf.keras`: layers, models and what they are made of, with Keras's names, defaults and values."""

import sys as _sys

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

# Modules that live elsewhere, under the names by which programs import them
for _name, _module in {
    "optimizers": optimizers,
    "optimizers.experimental": optimizers.experimental,
    "optimizers.legacy": optimizers.legacy,
    "optimizers.schedules": optimizers.schedules,
    "utils.experimental": utils.experimental,
    "utils.legacy": utils.legacy,
}.items():
    _sys.modules[f"{__name__}.{_name}"] = _module  # type: ignore[assignment]
del _name, _module

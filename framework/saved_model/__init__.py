"""`tf.saved_model`: modules and functions in a folder, to be used without their Python code."""

from shardtape.saved_model.loading import contains_saved_model, load
from shardtape.saved_model.options import Asset, LoadOptions, SaveOptions
from shardtape.saved_model.saving import save

DEFAULT_SERVING_SIGNATURE_DEF_KEY = "serving_default"
SERVING = "serve"
TRAINING = "train"

__all__ = [
    "Asset",
    "DEFAULT_SERVING_SIGNATURE_DEF_KEY",
    "LoadOptions",
    "SERVING",
    "SaveOptions",
    "TRAINING",
    "contains_saved_model",
    "load",
    "save",
]

"""`tf.keras.models`."""

from shardtape.keras.models import experimental
from shardtape.keras.models.cloning import clone_model
from shardtape.keras.models.model import Model
from shardtape.keras.models.sequential import Sequential
from shardtape.keras.saving.model_files import load_model, save_model
from shardtape.keras.saving.serialization import model_from_config, model_from_json


def model_from_yaml(yaml_string: str, custom_objects: object = None) -> object:
    """Raises RuntimeError: YAML can hold code, which is not run from a file."""
    raise RuntimeError("Method `model_from_yaml()` has been removed: use `model_from_json()`")


__all__ = [
    "Model",
    "Sequential",
    "clone_model",
    "experimental",
    "load_model",
    "model_from_config",
    "model_from_json",
    "model_from_yaml",
    "save_model",
]

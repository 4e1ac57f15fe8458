"""`tf.keras.saving`: models as configurations and files."""

from __future__ import annotations

import importlib
from typing import Any

# Looked up when they are asked for: layers and losses need the register before models exist.
_HOMES = {
    "CustomObjectScope": "registry",
    "custom_object_scope": "registry",
    "deserialize_keras_object": "object_forms",
    "get_custom_objects": "registry",
    "get_registered_name": "registry",
    "get_registered_object": "registry",
    "load_model": "model_files",
    "register_keras_serializable": "registry",
    "save_model": "model_files",
    "serialize_keras_object": "object_forms",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        from shardtape.absent import missing_text

        known = [*_HOMES, *[n for n in globals() if not n.startswith("_")]]
        raise AttributeError(missing_text("tf.keras.saving", name, known))
    return getattr(importlib.import_module(f"shardtape.keras.saving.{home}"), name)

"""Models as bytes: what `pickle` and `copy.deepcopy` of a built model go through, as in Keras."""

from __future__ import annotations

import os
import tempfile
from typing import Any

_FILE = "model.keras"


def model_bytes(model: Any) -> bytes:
    """A model as the content of a `.keras` file. Raises what `save_model` raises."""
    from shardtape.keras.saving.model_files import save_model

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, _FILE)
        save_model(model, path)
        with open(path, "rb") as file:
            return file.read()


def own_classes(model: Any) -> dict[str, type]:
    """The classes of a model and its layers that are the user's and that no registry knows."""
    from shardtape.keras.saving.registry import get_registered_name, known

    kinds = {type(layer) for layer in (model, *model._flatten_layers())}
    return {
        kind.__name__: kind
        for kind in kinds
        if not kind.__module__.startswith("shardtape.") and known(get_registered_name(kind)) is None
    }


def model_of_bytes(content: bytes, classes: dict[str, type]) -> Any:
    """The model again. Pickles run code of their own anyway, so its Lambda layers may, too."""
    from shardtape.keras.saving.model_files import load_model

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, _FILE)
        with open(path, "wb") as file:
            file.write(content)
        return load_model(path, classes, safe_mode=False)

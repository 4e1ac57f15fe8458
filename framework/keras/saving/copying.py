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


def model_of_bytes(content: bytes) -> Any:
    """The model again. Pickles run code of their own anyway, so its Lambda layers may, too."""
    from shardtape.keras.saving.model_files import load_model

    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, _FILE)
        with open(path, "wb") as file:
            file.write(content)
        return load_model(path, safe_mode=False)

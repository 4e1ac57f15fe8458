"""The parts of a `.keras` archive in Keras's form."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any

from shardtape.keras import function_code
from shardtape.keras.saving.hdf5_layout import KERAS_VERSION

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def parts_of(form: Any, weights: bytes, vocabularies: Mapping[str, str]) -> dict[str, bytes]:
    """The files of an archive by name.

    Args:
      form: the configuration.
      weights: an HDF5 file.
      vocabularies: by the names of their files.
    """
    now = datetime.datetime.now().strftime("%Y-%m-%d@%H:%M:%S")
    metadata = {"keras_version": KERAS_VERSION, "date_saved": now,
                "python_version": function_code.PYTHON}  # fmt: skip
    return {
        METADATA: json.dumps(metadata).encode(),
        CONFIG: json.dumps(form).encode(),
        WEIGHTS: weights,
        **{name: text.encode() for name, text in vocabularies.items()},
    }

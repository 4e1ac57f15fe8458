"""A FeatureSpace, with what it has learned, as a `.keras` archive in Keras's form."""

from __future__ import annotations

import io
import zipfile
from typing import Any

from shardtape import storage
from shardtape.keras.layers.base import Layer
from shardtape.keras.saving import hdf5_layout, state_paths
from shardtape.keras.saving.archive_layout import parts_of
from shardtape.keras.saving.keras_form import described
from shardtape.keras.saving.keras_reading import plain_config
from shardtape.keras.saving.lookup_forms import (
    take_vocabulary,
    vocabulary_file,
    vocabulary_files,
    without_vocabularies,
)
from shardtape.shapes import TensorShape

_MODULE = "keras.src.utils.feature_space"


def save_feature_space(space: Any, filepath: Any) -> None:
    """Writes a FeatureSpace.

    Raises:
      ValueError: a name that does not end in `.keras`.
      ImportError: h5py is not installed.
    """
    from shardtape.keras.saving.weight_files import pack_parts

    path = storage.text(filepath)
    if not path.endswith(".keras"):
        raise ValueError(f"A FeatureSpace is saved in a file whose name ends in .keras, got {path}")
    h5py = hdf5_layout.h5py_module("a FeatureSpace")
    buffer = io.BytesIO()
    vocabularies: dict[str, str] = {}
    with h5py.File(buffer, "w") as file:
        for place, layer in state_paths.objects_with_paths(space):
            group = (file.create_group(place) if place else file).create_group("vars")
            if hasattr(layer, "get_vocabulary"):
                vocabularies.update(vocabulary_files(place, layer))
            elif isinstance(layer, Layer):
                layer.save_own_variables(group)
    form = without_vocabularies(_form(space))
    pack_parts(parts_of(form, buffer.getvalue(), vocabularies), path)


def _form(space: Any) -> dict[str, Any]:
    def part(name: str, config: dict[str, Any]) -> dict[str, Any]:
        return {"module": _MODULE, "class_name": name, "config": config, "registered_name": name}

    features = {
        name: part("Feature", {"dtype": f.dtype, "preprocessor": described(f.preprocessor),
                               "output_mode": f.output_mode})
        for name, f in space.features.items()
    }  # fmt: skip
    crosses = [
        part("Cross", {**c.get_config(), "feature_names": list(c.feature_names)})
        for c in space.crosses
    ]
    config = {**space.get_config(), "features": features, "crosses": crosses}
    built = {name: {"input_shape": [None, 1]} for name in features}
    return {"module": "keras.utils", "class_name": "FeatureSpace", "config": config,
            "registered_name": None, "build_config": built}  # fmt: skip


def is_feature_space(form: dict[str, Any]) -> bool:
    """Whether the configuration of an archive is that of a FeatureSpace."""
    return form.get("class_name") == "FeatureSpace"


def loaded_feature_space(archive: zipfile.ZipFile, form: dict[str, Any], file: Any) -> Any:
    """The FeatureSpace of an archive.

    Args:
      form: its configuration.
      file: the HDF5 file with the state of its layers.
    """
    from shardtape.keras.feature_space import FeatureSpace

    space = FeatureSpace.from_config(plain_config(form["config"]))
    names = set(archive.namelist())
    for place, layer in state_paths.objects_with_paths(space):
        if not isinstance(layer, Layer):
            continue
        if not layer.built and place.startswith("preprocessors/"):
            layer.build(TensorShape((None, 1)))
        if hasattr(layer, "set_vocabulary"):
            name = vocabulary_file(place)
            if name in names:
                take_vocabulary(layer, archive.read(name).decode())
        else:
            layer.load_own_variables(file.get(f"{place}/vars", {}))
    space._adapted = True
    return space

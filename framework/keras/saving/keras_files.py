"""Whole models in the files of Keras 2.15: `*.h5`, and the archive `*.keras`."""

from __future__ import annotations

import io
import json
import logging
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from shardtape import errors
from shardtape.keras import function_code
from shardtape.keras.models.model import Model
from shardtape.keras.saving import (
    feature_space_files,
    hdf5_layout,
    optimizer_state,
    sharing,
    state_paths,
)
from shardtape.keras.saving.archive_layout import CONFIG, METADATA, WEIGHTS, parts_of
from shardtape.keras.saving.compile_form import (
    compile_form,
    compile_from,
    own_compile_form,
    training_form,
)
from shardtape.keras.saving.hdf5_files import opened, written_at_once
from shardtape.keras.saving.keras_form import NoKerasForm, described
from shardtape.keras.saving.keras_reading import plain_config
from shardtape.keras.saving.lookup_forms import (
    take_vocabulary,
    vocabulary_file,
    without_vocabularies,
)
from shardtape.keras.saving.registry import custom_object_scope
from shardtape.keras.saving.serialization import deserialize_keras_object

_log = logging.getLogger("shardtape")


# ---- the older form: one HDF5 file --------------------------------------------------------------
def save_hdf5_model(model: Any, path: str, include_optimizer: bool) -> None:
    """Writes configuration, weights and the state of training as one HDF5 file.

    Raises:
      NotImplementedError: a subclassed model, or one that HDF5 files of Keras cannot describe.
      ImportError: h5py is missing.
    """
    if not model._is_graph_network and type(model).__name__ != "Sequential":
        raise NotImplementedError(
            "Saving the model to HDF5 format requires the model to be a Functional model or a "
            "Sequential model. It does not work for subclassed models, because such models are "
            "defined via the body of a Python method, which isn't safely serializable. Consider "
            'saving to the Tensorflow SavedModel format (by setting save_format="tf") or using '
            "`save_weights`."
        )
    try:
        form = described(model)
    except NoKerasForm as error:
        raise NotImplementedError(
            f"the model {model.name!r} cannot be described in an HDF5 file of Keras: {error}. Save "
            "it with the ending `.keras`, or as a folder."
        ) from error
    training = _training(model, path) if include_optimizer else None
    model_config = {"class_name": form["class_name"], "config": _older(form["config"])}
    with written_at_once(path) as file:
        file.attrs["keras_version"] = hdf5_layout.KERAS_VERSION.encode()
        file.attrs["backend"] = b"tensorflow"
        file.attrs["python_version"] = function_code.PYTHON.encode()
        file.attrs["model_config"] = json.dumps(model_config).encode()
        if training is not None:
            file.attrs["training_config"] = json.dumps(training).encode()
        hdf5_layout.write_layers(file.create_group("model_weights"), model)
        if training is not None and optimizer_state.is_known(model.optimizer):
            group = file.create_group("optimizer_weights")
            hdf5_layout.write_arrays(group, optimizer_state.named_arrays(model.optimizer))


def _training(model: Any, path: str) -> dict[str, Any] | None:
    try:
        return training_form(model)
    except NoKerasForm as reason:
        _log.warning("%s does not hold how the model was compiled: %s", path, reason)
        return None


def _older(value: Any) -> Any:
    """A configuration as the older files have it: layers without their modules."""
    if isinstance(value, list):
        return [_older(v) for v in value]
    if not isinstance(value, dict):
        return value
    left = ("module", "registered_name", "build_config") if "class_name" in value else ()
    return {k: _older(v) for k, v in value.items() if k not in left}


def load_hdf5_model(path: str, custom_objects: Any, compile: bool) -> Any:
    """A model from one HDF5 file, with its weights, compiled as it was.

    Raises ValueError for a file of weights alone, and for classes that nobody knows (named).
    """
    with opened(path) as file, custom_object_scope(custom_objects):
        text = file.attrs.get("model_config")
        if text is None:
            raise ValueError(f"No model config found in the file at {path}.")
        function_code.compiled_by(file.attrs.get("python_version"))
        model = _made(json.loads(text), custom_objects)
        hdf5_layout.read_layers(file["model_weights"], model)
        training = file.attrs.get("training_config")
        if not compile:
            return model
        if training is None:
            _log.warning(
                "No training configuration found in the save file, so the model was *not* "
                "compiled. Compile it manually."
            )
            return model
        compiled = compile_from(model, json.loads(training))
        if compiled:
            model._build_compiled()
        if compiled and "optimizer_weights" in file:
            group = file["optimizer_weights"]
            names = hdf5_layout.read_names(group, "weight_names")
            state = hdf5_layout.read_arrays(group)
            optimizer_state.restore(model.optimizer, model, state, names)
    return model


# ---- the newer form: an archive -----------------------------------------------------------------
def archive_parts(model: Any, include_optimizer: bool) -> dict[str, bytes]:
    """The files of a `.keras` archive by name.

    Raises NoKerasForm where the model cannot be described so, ImportError without h5py.
    """
    h5py = hdf5_layout.h5py_module("a `.keras` file of Keras's form")
    with sharing.writing():
        form = sharing.numbered_where_shared(without_vocabularies(described(model)))
    if not model._is_graph_network and type(model).__name__ != "Sequential":
        raise NoKerasForm(f"the model {model.name!r} is no functional model")
    if include_optimizer:
        compiled = own_compile_form(model) or compile_form(model)
        if compiled is not None:
            form["compile_config"] = compiled
            optimizer = model.optimizer
            if not optimizer_state.is_known(optimizer) or hasattr(optimizer, "inner_optimizer"):
                raise NoKerasForm("the state of the optimizer has no form in Keras's files")
    buffer = io.BytesIO()
    vocabularies: dict[str, str] = {}
    try:
        with h5py.File(buffer, "w") as file:
            state_paths.write_state(file, model, include_optimizer, vocabularies)
    except TypeError as error:
        raise NoKerasForm(str(error)) from error
    return {**parts_of(form, buffer.getvalue(), vocabularies), **_assets(model)}


def _assets(model: Any) -> dict[str, bytes]:
    """The files that layers write with a `save_assets(folder)` of their own, by name."""
    found: dict[str, bytes] = {}
    for place, layer in state_paths.objects_with_paths(model):
        if not hasattr(layer, "save_assets"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            layer.save_assets(folder)
            for file in sorted(Path(folder).rglob("*")):
                if file.is_file():
                    name = file.relative_to(folder).as_posix()
                    found[f"assets/{place}/{name}"] = file.read_bytes()
    return found


def is_keras_archive(path: str) -> bool:
    """Whether a file is an archive of Keras's form."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return {CONFIG, METADATA} <= set(archive.namelist())


def load_keras_archive(path: str, custom_objects: Any, compile: bool) -> Any:
    """A model from a `.keras` archive, with its weights, compiled as it was.

    Raises ValueError for classes that nobody knows (named) and weights that do not fit.
    """
    with zipfile.ZipFile(path) as archive, custom_object_scope(custom_objects):
        form = json.loads(archive.read(CONFIG))
        function_code.compiled_by(json.loads(archive.read(METADATA)).get("python_version"))
        if feature_space_files.is_feature_space(form):
            with _weights_in(archive, path) as file:
                return feature_space_files.loaded_feature_space(archive, form, file)
        model = _made(form, custom_objects)
        _read_assets(archive, model, path)
        if compile and form.get("compile_config"):
            if type(model).compile_from_config is Model.compile_from_config:
                compile_from(model, form["compile_config"])
            else:
                model.compile_from_config(form["compile_config"])
            if model.built and model.optimizer is not None:
                model.optimizer.build(model.trainable_variables)
        with _weights_in(archive, path) as file:
            state_paths.read_state(file, model)
    return model


def load_archive_weights(model: Any, path: str, skip_mismatch: bool) -> None:
    """Takes over the weights of a `.keras` archive of Keras's form."""
    with zipfile.ZipFile(path) as archive, _weights_in(archive, path) as file:
        state_paths.read_state(file, model, skip_mismatch)


def _read_assets(archive: zipfile.ZipFile, model: Any, path: str) -> None:
    """Gives the lookup layers of a model the vocabularies of an archive."""
    left = {n for n in archive.namelist() if n.startswith("assets/") and not n.endswith("/")}
    for place, layer in state_paths.objects_with_paths(model):
        own = {n for n in left if n.startswith(f"assets/{place}/")}
        if own and hasattr(layer, "load_assets"):
            with tempfile.TemporaryDirectory() as folder:
                for member in own:
                    file = Path(folder) / member.removeprefix(f"assets/{place}/")
                    if not file.resolve().is_relative_to(Path(folder).resolve()):
                        raise errors.InvalidArgumentError(f"{path} holds the file {member}")
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_bytes(archive.read(member))
                layer.load_assets(folder)
            left -= own
        name = vocabulary_file(place)
        if name in left and hasattr(layer, "set_vocabulary"):
            take_vocabulary(layer, archive.read(name).decode())
            left.discard(name)
    left = {n for n in left if "/_lookup_layer/" not in n}
    if left:
        raise errors.InvalidArgumentError(
            f"{path} holds files of layers that are not read: {sorted(left)}"
        )


def _weights_in(archive: zipfile.ZipFile, path: str) -> Any:
    h5py = hdf5_layout.h5py_module(f"reading {path}")
    if WEIGHTS not in archive.namelist():
        raise errors.InvalidArgumentError(f"{path} has no {WEIGHTS}")
    return h5py.File(io.BytesIO(archive.read(WEIGHTS)), "r")


def _made(form: dict[str, Any], custom_objects: Any) -> Any:
    with sharing.reading():
        model = deserialize_keras_object(plain_config(form), custom_objects=custom_objects)
    shape = (form.get("build_config") or {}).get("input_shape")
    if shape is not None and not model.built:
        nested = bool(shape) and isinstance(shape[0], list)
        model.build([tuple(s) for s in shape] if nested else tuple(shape))
    return model

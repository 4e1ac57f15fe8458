"""Whole models in files: configuration, weights, how they are trained and how far they got.

A model is a folder, or one file that holds the same: `keras_model.json` and the checkpoint
`variables`. A folder also is a SavedModel of ours where the model's computation can be traced.
`.h5` files are Keras's; `.keras` files too, where Keras's form can hold the model.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from typing import Any

from shardtape import errors, optimizers, storage
from shardtape.checkpoint.object_checkpoint import Checkpoint
from shardtape.checkpoint.prefix import variables_of
from shardtape.keras import function_code, losses, metrics
from shardtape.keras.saving import hdf5_files, hdf5_layout, keras_files, values
from shardtape.keras.saving.compile_form import own_compile_form
from shardtape.keras.saving.foreign_files import refuse_foreign
from shardtape.keras.saving.keras_form import NoKerasForm
from shardtape.keras.saving.registry import custom_object_scope, known
from shardtape.keras.saving.revived import holds_call, outline, revived
from shardtape.keras.saving.serialization import (
    class_name,
    deserialize_keras_object,
    model_from_config,
    plain_form,
)
from shardtape.keras.saving.weight_files import (
    check_free,
    is_packed,
    pack,
    pack_parts,
    unpack,
    write_variables,
)

_log = logging.getLogger("shardtape")
MODEL_FILE = "keras_model.json"
_FORMAT = "shardtape-keras-model"


def save_model(
    model: Any, filepath: Any, overwrite: bool = True, save_format: Any = None,
    include_optimizer: bool = True, signatures: Any = None, options: Any = None,
    save_traces: bool = True, **kwargs: Any,
) -> None:  # fmt: skip
    """Saves a model.

    Args:
      filepath: one file where it ends in `.keras` or `.h5`, else a folder, which
        `tf.saved_model.load` reads too. `.h5` files are as Keras 2.15 writes them. `.keras` files
        are so for Sequential and functional models where Keras's form can hold all of it and h5py
        is installed, else of a form of ours.
      overwrite: replace what is there.
      save_format: "keras" and "h5" ask for one file, "tf" for a folder.
      include_optimizer: keep how the model was compiled and the optimizer's state.
      signatures, options: of the SavedModel, see `tf.saved_model.save`.

    Raises:
      NotImplementedError: a layer or model without `get_config`.
        A subclassed model as `.h5`.
      ValueError: a model, saved as a folder, that was never built.
      AlreadyExistsError: there is something, and `overwrite` is False.
      ImportError: `.h5` without h5py.
    """
    path = storage.text(filepath).rstrip("/")
    check_free(path, overwrite)
    if save_format not in (None, "keras", "h5", "tf"):
        raise ValueError(
            "Unknown `save_format` argument. Expected one of 'keras', 'tf', or 'h5'. Received: "
            f"save_format={save_format}"
        )
    if hdf5_files.is_hdf5_name(path) or save_format == "h5":
        keras_files.save_hdf5_model(model, path, include_optimizer)
        return
    one_file = is_packed(path) or save_format == "keras"
    if one_file and path.endswith(".keras") and _write_archive(model, path, include_optimizer):
        return
    if not one_file:
        if not model.built and model._network is None and save_traces and signatures is None:
            raise ValueError(
                f"Model {model} cannot be saved: the shapes of its inputs are not known. Call it "
                "on data, with `Model()`, `Model.fit` or `Model.predict`, or call `build`."
            )
        if save_traces:
            save_folder(model, path, signatures, options, include_optimizer)
        else:
            _write(model, path, include_optimizer, _frozen_models(model))
        return
    with tempfile.TemporaryDirectory() as folder:
        _write(model, folder, include_optimizer)
        pack(folder, path)


def save_folder(
    model: Any, path: str, signatures: Any = None, options: Any = None,
    include_optimizer: bool = True,
) -> None:  # fmt: skip
    """Saves a model as a folder, also one that is never called itself but has functions."""
    _write(model, path, include_optimizer, _frozen_models(model))
    _write_saved_model(model, path, signatures, options)


def _write_archive(model: Any, path: str, include_optimizer: bool) -> bool:
    """Writes a `.keras` file of Keras's form; False where that cannot hold the model."""
    if not hdf5_layout.has_h5py():
        return False
    try:
        parts = keras_files.archive_parts(model, include_optimizer)
    except NoKerasForm as reason:
        _log.info("%s is written in a form of its own: %s", path, reason)
        return False
    pack_parts(parts, path)
    return True


def _models_inside(model: Any) -> list[Any]:
    """The model and the models in it, in an order that a rebuilt one has too."""
    return [layer for layer in model._flatten_layers() if hasattr(layer, "_network")]


def _frozen_models(model: Any) -> list[int]:
    """Which of the models are frozen themselves, whatever their layers are."""
    return [i for i, m in enumerate(_models_inside(model)) if not m.trainable]


def _freeze_models(model: Any, places: list[int]) -> None:
    inside = _models_inside(model)
    for place in places:
        if place < len(inside):  # a class's own `from_config` may make others
            frozen = inside[place]
            if frozen._network is None:
                frozen.trainable = False
            else:  # its layers have it from their own configurations
                frozen._trainable = False


def _write(
    model: Any, folder: str, include_optimizer: bool, frozen_models: list[int] | None = None
) -> None:
    described: dict[str, Any] = {
        "format": _FORMAT, "version": 1, "class_name": class_name(model),
        "config": values.encode(_own_config(model)), "built_for": _built_for(model),
        "python_version": function_code.PYTHON, "frozen_models": frozen_models or [],
        "layers": outline(model),
    }  # fmt: skip
    own = own_compile_form(model) if include_optimizer else None
    if own is not None:
        described["own_compile"] = own
    elif include_optimizer and model._compile_arguments is not None:
        described["compile"] = _compile_config(model)
    text = json.dumps(described, indent=1)
    storage.make_directory(folder)
    optimizer = model.optimizer
    if not include_optimizer:
        model.optimizer = None
    try:
        write_variables(model, folder)
    finally:
        model.optimizer = optimizer
    with open(os.path.join(folder, MODEL_FILE), "w") as file:
        file.write(text)


def _own_config(model: Any) -> dict[str, Any]:
    """The configuration in the form of ours, which holds every operation between layers."""
    own = getattr(type(model), "_own_form", None)
    return model.get_config() if own is None else own(model)


def _write_saved_model(model: Any, path: str, signatures: Any, options: Any) -> None:
    from shardtape.saved_model.keras_export import functions_of
    from shardtape.saved_model.saving import functions_held, write_graphs

    functions = functions_of(model)
    # of a model that was never called only the functions of its own are saved
    write_graphs(model, path, signatures, options, {**functions_held(model), **(functions or {})})


def _built_for(model: Any) -> Any:
    if model._network is not None:
        return None
    shape = getattr(model, "_build_input_shape", None)
    try:
        return values.encode(shape)
    except TypeError:
        return None


def _compile_config(model: Any) -> dict[str, Any]:
    given = dict(model._compile_arguments)
    optimizer = plain_form(given.pop("optimizer"))
    flags = {k: given.pop(k) for k in ("run_eagerly", "steps_per_execution")}
    others = {name: values.encode(_described(value)) for name, value in given.items()}
    return {"optimizer": values.encode(optimizer), **flags, **others}


def _described(value: Any) -> Any:
    """Losses and metrics as configurations, in their structure."""
    if isinstance(value, (list, tuple)):
        return [_described(v) for v in value]
    if isinstance(value, dict):
        return {k: _described(v) for k, v in value.items()}
    if value is None or isinstance(value, (str, int, float)):
        return value
    return plain_form(value)


def _revived(value: Any, get: Any) -> Any:
    """What `_described` was given; `get` makes losses or metrics of configurations."""
    if isinstance(value, dict) and "class_name" in value:
        return get(value)
    if isinstance(value, dict):
        return {k: _revived(v, get) for k, v in value.items()}
    if isinstance(value, list):
        return [_revived(v, get) for v in value]
    if isinstance(value, str):  # of the user's own functions only the scope knows the name
        return known(value) or value
    return value


def load_model(
    filepath: Any, custom_objects: dict[str, Any] | None = None, compile: bool = True,
    options: Any = None, safe_mode: bool = True, **kwargs: Any,
) -> Any:  # fmt: skip
    """A model that `save_model` or Keras (`.h5`, `.keras`) wrote, weights and all, compiled.

    Args:
      custom_objects: classes and functions of your own by name.
      compile: also take over how it was compiled and the optimizer's state.
      safe_mode: False lets the file run code of its own, which Lambda layers have: only for files
        whose origin you trust. Without it such a folder gives the computation that was saved.

    Raises:
      OSError: there is no such file.
      InvalidArgumentError: a SavedModel or checkpoint that TensorFlow wrote, or no model.
      ValueError: a class or function that nobody knows (named); code in a file with `safe_mode`.
    """
    path = storage.text(filepath).rstrip("/")
    there = storage.is_directory(path) or storage.size_bytes(path) is not None
    if not there and storage.size_bytes(f"{path}.index") is None:
        raise OSError(f"No file or directory found at {path}")
    refuse_foreign(path)
    with function_code.reading(safe_mode):
        return _loaded(path, custom_objects, compile)


def _loaded(path: str, custom_objects: Any, compile: bool) -> Any:
    if hdf5_files.is_hdf5_file(path):
        return keras_files.load_hdf5_model(path, custom_objects, compile)
    if not storage.is_remote(path) and keras_files.is_keras_archive(path):
        return keras_files.load_keras_archive(path, custom_objects, compile)
    if storage.is_directory(path):
        return _read(path, custom_objects, compile)
    with tempfile.TemporaryDirectory() as folder:
        unpack(path, folder)
        return _read(folder, custom_objects, compile, path)


class NoModelError(errors.InvalidArgumentError, OSError):
    """A file or folder holds no model; Keras raises OSError for a folder without one."""


def _read(folder: str, custom_objects: Any, compile: bool, shown: str | None = None) -> Any:
    description = storage.join(folder, MODEL_FILE)
    if storage.size_bytes(description) is None:
        raise NoModelError(
            f"{shown or folder} holds no Keras model: it has no {MODEL_FILE}. Weights alone are "
            "read by `load_weights`, modules by `tf.saved_model.load`."
        )
    described = json.loads(storage.read_bytes(description))
    function_code.compiled_by(described.get("python_version"))
    with custom_object_scope(custom_objects):
        config = {"class_name": described["class_name"],
                  "config": values.decode(described["config"])}  # fmt: skip
        try:
            model = model_from_config(config, custom_objects)
        except ValueError as error:
            # a class that nobody knows: its computation was saved too, where it was called
            if shown is not None or not holds_call(folder):
                raise
            _log.warning("%s gives the saved computation, without its layers: %s", folder, error)
            rows = described.get("layers", [])
            model = revived(folder, described["class_name"], config["config"], rows)
            _freeze_models(model, described.get("frozen_models", []))
            if compile and "compile" in described:
                _compile(model, described["compile"])
            return model
        shape = values.decode(described.get("built_for"))
        if shape is not None and not model.built:
            model.build(shape)
        _freeze_models(model, described.get("frozen_models", []))
        if compile and "own_compile" in described:
            model.compile_from_config(described["own_compile"])
            _build_optimizer(model)
        elif compile and "compile" in described:
            _compile(model, described["compile"])
    status = Checkpoint(root=model).read(variables_of(folder))
    status.expect_partial()
    return model


def _compile(model: Any, config: dict[str, Any]) -> None:
    arguments = {
        name: _revived(values.decode(v), losses.get if name == "loss" else metrics.get)
        for name, v in config.items()
        if name != "optimizer"
    }
    described = values.decode(config["optimizer"])
    own = known(described["class_name"])
    if own is None and described["class_name"] == "LossScaleOptimizer":
        optimizer = deserialize_keras_object(described)
    else:
        custom = None if own is None else {described["class_name"]: own}
        optimizer = optimizers.deserialize(described, custom)
    model.compile(optimizer=optimizer, **arguments)
    model._build_compiled()
    _build_optimizer(model)


def _build_optimizer(model: Any) -> None:
    if model.built and model.optimizer is not None:
        model.optimizer.build(model.trainable_variables)

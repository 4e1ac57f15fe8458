"""Whole models in files: configuration, weights, how they are trained and how far they got.

A model is a folder, or one file that holds the same: `keras_model.json` and the checkpoint
`variables`. A folder also is a SavedModel of ours where the model's computation can be traced.
"""

from __future__ import annotations

import json
import logging
import os
import tempfile
from typing import Any

from shardtape import errors, optimizers, storage
from shardtape.checkpoint.object_checkpoint import Checkpoint
from shardtape.keras import losses, metrics
from shardtape.keras.saving import values
from shardtape.keras.saving.foreign_files import refuse_foreign
from shardtape.keras.saving.registry import custom_object_scope, known
from shardtape.keras.saving.revived import holds_call, revived
from shardtape.keras.saving.serialization import (
    class_name,
    deserialize_keras_object,
    model_from_config,
    serialize_keras_object,
)
from shardtape.keras.saving.weight_files import (
    check_free,
    is_packed,
    pack,
    unpack,
    write_checkpoint,
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
      filepath: one file where it ends in `.keras` or `.h5` (its contents are ours in both cases),
        else a folder, which `tf.saved_model.load` reads too.
      overwrite: replace what is there.
      save_format: "keras" and "h5" ask for one file, "tf" for a folder.
      include_optimizer: keep how the model was compiled and the optimizer's state.
      signatures, options: of the SavedModel, see `tf.saved_model.save`.

    Raises:
      NotImplementedError: a layer or model without `get_config`.
      AlreadyExistsError: there is something, and `overwrite` is False.
    """
    path = storage.text(filepath).rstrip("/")
    check_free(path, overwrite)
    one_file = is_packed(path) or save_format in ("keras", "h5")
    if path.endswith((".h5", ".hdf5")):
        _log.warning("%s is written in this framework's own format, not as HDF5", path)
    if not one_file:
        _write(model, path, include_optimizer)
        if save_traces:
            _write_saved_model(model, path, signatures, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        _write(model, folder, include_optimizer)
        pack(folder, path)


def _write(model: Any, folder: str, include_optimizer: bool) -> None:
    described: dict[str, Any] = {
        "format": _FORMAT, "version": 1, "class_name": class_name(model),
        "config": values.encode(model.get_config()), "built_for": _built_for(model),
    }  # fmt: skip
    if include_optimizer and model._compile_arguments is not None:
        described["compile"] = _compile_config(model)
    text = json.dumps(described, indent=1)
    storage.make_directory(folder)
    optimizer = model.optimizer
    if not include_optimizer:
        model.optimizer = None
    try:
        write_checkpoint(model, storage.join(folder, "variables"))
    finally:
        model.optimizer = optimizer
    with open(os.path.join(folder, MODEL_FILE), "w") as file:
        file.write(text)


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
    optimizer = serialize_keras_object(given.pop("optimizer"))
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
    return serialize_keras_object(value)


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
    """A model that `save_model` wrote, with its weights, compiled as it was.

    Args:
      custom_objects: classes and functions of your own by name.
      compile: also take over how it was compiled and the optimizer's state.

    Raises:
      OSError: there is no such file.
      InvalidArgumentError: a file that Keras or TensorFlow wrote, or no model.
      ValueError: a class or function that nobody knows (named).
    """
    path = storage.text(filepath).rstrip("/")
    there = storage.is_directory(path) or storage.size_bytes(path) is not None
    if not there and storage.size_bytes(f"{path}.index") is None:
        raise OSError(f"No file or directory found at {path}")
    refuse_foreign(path)
    if storage.is_directory(path):
        return _read(path, custom_objects, compile)
    with tempfile.TemporaryDirectory() as folder:
        unpack(path, folder)
        return _read(folder, custom_objects, compile, path)


def _read(folder: str, custom_objects: Any, compile: bool, shown: str | None = None) -> Any:
    description = storage.join(folder, MODEL_FILE)
    if storage.size_bytes(description) is None:
        raise errors.InvalidArgumentError(
            f"{shown or folder} holds no Keras model: it has no {MODEL_FILE}. Weights alone are "
            "read by `load_weights`, modules by `tf.saved_model.load`."
        )
    described = json.loads(storage.read_bytes(description))
    with custom_object_scope(custom_objects):
        config = {"class_name": described["class_name"],
                  "config": values.decode(described["config"])}  # fmt: skip
        try:
            model = model_from_config(config, custom_objects)
        except ValueError:
            # a class that nobody knows: its computation was saved too, where it was called
            if shown is not None or not holds_call(folder):
                raise
            model = revived(folder, described["class_name"], config["config"])
            if compile and "compile" in described:
                _compile(model, described["compile"])
            return model
        shape = values.decode(described.get("built_for"))
        if shape is not None and not model.built:
            model.build(shape)
        if compile and "compile" in described:
            _compile(model, described["compile"])
    status = Checkpoint(root=model).read(storage.join(folder, "variables"))
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
    if model.built:
        optimizer.build(model.trainable_variables)

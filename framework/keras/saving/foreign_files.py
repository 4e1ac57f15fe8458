"""Folders and checkpoints of TensorFlow: told apart from ours, and refused."""

from __future__ import annotations

import os

from shardtape import errors, storage
from shardtape.checkpoint.manifest import is_foreign
from shardtape.checkpoint.part import INDEX

_ADVICE = (
    "Take it over once: where TensorFlow is installed save the model with the ending `.keras`, "
    "which `load_model` reads; or write its weights with `np.savez(path, *model.get_weights())`, "
    "and here build the same model and call `model.set_weights(list(np.load(path).values()))`."
)


def refuse_foreign(path: str) -> None:
    """Raises InvalidArgumentError for what Keras or TensorFlow wrote, NotFoundError for nothing."""
    if storage.is_remote(path):
        return
    if os.path.exists(path + INDEX):
        if is_foreign(path + INDEX):
            _refuse(path, "a checkpoint that TensorFlow wrote")
        return
    if not os.path.exists(path):
        raise errors.NotFoundError(f"there is no file or folder {path}")
    if os.path.isdir(path):
        if os.path.exists(os.path.join(path, "saved_model.pb")):
            _refuse(path, "a SavedModel that TensorFlow wrote")
        if os.path.exists(os.path.join(path, "keras_metadata.pb")):
            _refuse(path, "a model that Keras wrote")


def _refuse(path: str, what: str) -> None:
    raise errors.InvalidArgumentError(f"{path} is {what}; this framework cannot read it. {_ADVICE}")

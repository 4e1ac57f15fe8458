"""Weights of models in HDF5: `*.h5` in Keras's older layout, `*.weights.h5` in the newer."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import Any

from shardtape import errors, storage
from shardtape.keras.saving import hdf5_layout, state_paths

_ENDINGS = (".h5", ".hdf5")


def is_hdf5_name(path: str) -> bool:
    """Whether a path of this ending becomes an HDF5 file."""
    return path.endswith(_ENDINGS)


def is_hdf5_file(path: str) -> bool:
    """Whether a file of this host begins as HDF5 does."""
    if storage.is_remote(path) or not os.path.isfile(path):
        return False
    with open(path, "rb") as file:
        return file.read(len(hdf5_layout.SIGNATURE)) == hdf5_layout.SIGNATURE


@contextlib.contextmanager
def opened(path: str) -> Iterator[Any]:
    """An HDF5 file to read. Raises ImportError without h5py, OSError for a damaged file."""
    h5py = hdf5_layout.h5py_module(f"reading {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise OSError(f"{path} is damaged, or no HDF5 file: {error}") from error
    with file:
        yield file


@contextlib.contextmanager
def written_at_once(path: str) -> Iterator[Any]:
    """A new HDF5 file, which is there under its name when all of it is.

    Raises ImportError without h5py, InvalidArgumentError for a path on another host.
    """
    h5py = hdf5_layout.h5py_module(f"writing {path}")
    if storage.is_remote(path):
        raise errors.InvalidArgumentError(
            f"{path}: HDF5 files are written on this host only. Save the model as a folder there, "
            "or copy the file."
        )
    parent, name = os.path.split(os.path.abspath(path))
    with storage.translated("write", path):
        os.makedirs(parent, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=parent)
        os.close(handle)
    try:
        with h5py.File(temporary, "w") as file:
            yield file
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def save_weights(model: Any, path: str) -> None:
    """Writes the weights (`*.weights.h5`: also the optimizer's state).

    Raises ValueError for a model without weights yet, ImportError without h5py.
    """
    _check_made(model)
    with written_at_once(path) as file:
        if path.endswith(".weights.h5"):
            state_paths.write_state(file, model)
        else:
            hdf5_layout.write_layers(file, model)


def load_weights(model: Any, path: str, skip_mismatch: bool, by_name: bool) -> None:
    """Takes over the weights of an HDF5 file of either layout.

    Raises:
      ValueError: a model without weights yet, another number of layers or weights, another shape;
        `by_name` with the newer layout, which has no names.
    """
    with opened(path) as file:
        group = file
        if "layer_names" not in file.attrs and "model_weights" in file:
            group = file["model_weights"]
        older = "layer_names" in group.attrs or "layer_names0" in group.attrs
        if skip_mismatch and not by_name and older:
            raise ValueError(
                "When calling model.load_weights, skip_mismatch can only be set to True when "
                "by_name is True."
            )
        if model._network is None and not model.built:
            raise ValueError(
                "Unable to load weights saved in HDF5 format into a subclassed Model which has not "
                "created its variables yet. Call the Model first, then load the weights."
            )
        _check_made(model)
        if not older:
            if by_name:
                raise ValueError(
                    f"{path} holds weights by their places in the model, not by names: load it "
                    "without `by_name`"
                )
            state_paths.read_state(file, model, skip_mismatch)
        elif by_name:
            hdf5_layout.read_layers_by_name(group, model, skip_mismatch)
        else:
            hdf5_layout.read_layers(group, model)


def _check_made(model: Any) -> None:
    if not model.weights and not model.built:
        raise ValueError(
            f"Weights for model '{model.name}' have not yet been created. Weights are created "
            "when the model is first called on inputs or `build()` is called with an "
            "`input_shape`."
        )

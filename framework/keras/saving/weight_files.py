"""Weights of models in files: a checkpoint of ours, as a folder or packed into one file."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from shardtape import errors, storage
from shardtape.checkpoint.manifest import manifest_file
from shardtape.checkpoint.object_checkpoint import Checkpoint, collected
from shardtape.checkpoint.object_graph import nodes_of
from shardtape.checkpoint.part import Piece
from shardtape.checkpoint.prefix import variables_of, variables_prefix, write_files
from shardtape.checkpoint.reader import read
from shardtape.checkpoint.state_file import update_checkpoint_state
from shardtape.keras.saving import hdf5_files, keras_files
from shardtape.keras.saving.foreign_files import refuse_foreign
from shardtape.variable import Variable

_log = logging.getLogger("shardtape")
_PACKED = (".h5", ".hdf5", ".keras", ".weights", ".npz")


def is_packed(path: str) -> bool:
    """Whether a path of this ending becomes one file (else a folder)."""
    return path.endswith(_PACKED)


def save_weights(
    model: Any, filepath: Any, overwrite: bool = True, save_format: str | None = None
) -> None:
    """Writes weights and, but for `.h5`, the optimizer's state.

    Args:
      filepath: HDF5 as Keras writes it where it ends in `.h5` or `.hdf5` (`.weights.h5`: in the
        newer layout); one file of ours where it ends in `.keras`, `.weights` or `.npz`; else a
        checkpoint, as `tf.train.Checkpoint` writes it.
      overwrite: replace what is there.
      save_format: "h5" asks for HDF5 whatever the ending, "tf" for a checkpoint.

    Raises:
      ValueError: the model has no weights yet, and one file is asked for; another `save_format`.
      AlreadyExistsError: there is something, and `overwrite` is False.
      ImportError: HDF5 is asked for, and h5py is missing.
    """
    if save_format not in (None, "h5", "hdf5", "keras", "tf", "tensorflow"):
        raise ValueError(
            f"Unknown format. Received: `save_format`={save_format}. Was expecting one of "
            '{"tf", "h5"}'
        )
    if not model.weights and not model.built and is_packed(storage.text(filepath)):
        raise ValueError(
            f"Weights for model '{model.name}' have not yet been created. Weights are created "
            "when the model is first called on inputs or `build()` is called with an "
            "`input_shape`."
        )
    path = storage.text(filepath).rstrip("/")
    check_free(path, overwrite)
    hdf5 = hdf5_files.is_hdf5_name(path)
    if hdf5 and save_format in ("tf", "tensorflow"):
        raise ValueError(
            'save_weights got save_format="tf"/"tensorflow", but the filepath '
            f'("{path}") looks like an HDF5 file. Omit the ".h5"/".keras" when saving in '
            "TensorFlow format."
        )
    if hdf5 or save_format in ("h5", "hdf5"):
        hdf5_files.save_weights(model, path)
    elif is_packed(path):
        with tempfile.TemporaryDirectory() as folder:
            write_variables(model, folder)
            pack(folder, path)
    else:
        write_files(path, *_described(model))
        update_checkpoint_state(storage.split(path)[0], path)


def write_variables(model: Any, folder: str) -> None:
    """Writes the checkpoint of a model into the folder that the model is saved in."""
    write_files(variables_prefix(folder), *_described(model))


def _described(model: Any) -> tuple[list[Piece], dict[str, Any]]:
    """The values of a model, and its object graph with the names of its layers."""
    nodes = nodes_of(Checkpoint(root=model))
    pieces, graph = collected(nodes)
    keys = {
        node.value._id: entry["attributes"]["VARIABLE_VALUE"]
        for node, entry in zip(nodes, graph["nodes"])
        if isinstance(node.value, Variable)
    }
    layers = [
        {"name": layer.name, "weights": [keys[v._id] for v in layer.weights if v._id in keys]}
        for layer in model.layers
    ]
    return pieces, {"object_graph": graph, "keras_layers": layers}


def load_weights(
    model: Any, filepath: Any, skip_mismatch: bool = False, by_name: bool = False
) -> Any:
    """Takes over weights and the optimizer's state.

    Layers that are built later get theirs then.

    Args:
      filepath: what `save_weights` or `save` wrote, or a checkpoint; HDF5 and `.keras` files of
        Keras.
      by_name: only weights, to layers of the same name.
      skip_mismatch: with `by_name` (of files in Keras's newer layout also without): leave out
        layers whose weights have other shapes.

    Returns a status with `assert_consumed` and its sisters; None with `by_name` and for files of
    Keras's forms.

    Raises:
      NotFoundError: there is no such file (FileNotFoundError of HDF5).
      InvalidArgumentError: a checkpoint or SavedModel that TensorFlow wrote.
      ValueError: weights of another shape.
      NotImplementedError: `by_name` of a checkpoint.
    """
    path = storage.text(filepath).rstrip("/")
    if hdf5_files.is_hdf5_file(path):
        return hdf5_files.load_weights(model, path, skip_mismatch, by_name)
    if not storage.is_remote(path) and keras_files.is_keras_archive(path):
        if by_name:
            raise ValueError(f"{path} holds weights by their places: load it without `by_name`")
        return keras_files.load_archive_weights(model, path, skip_mismatch)
    if hdf5_files.is_hdf5_name(path) and not storage.is_remote(path) and not os.path.exists(path):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", path)
    if skip_mismatch and not by_name:
        raise ValueError(
            "When calling model.load_weights, skip_mismatch can only be set to True when by_name "
            "is True."
        )
    with checkpoint_of(path) as folder:
        if by_name and not is_packed(path):
            raise NotImplementedError(
                "Weights may only be loaded based on topology into Models when loading "
                "TensorFlow-formatted weights (got by_name=True to load_weights). Load "
                f"{path} without `by_name`, or save the weights to a file that ends in .h5"
            )
        if by_name:
            _load_by_name(model, folder, skip_mismatch)
            return None
        status = Checkpoint(root=model).read(folder)
        # one file is weights to Keras: that the optimizer's state is left over is nothing to tell
        return status.expect_partial() if is_packed(path) else status


@contextlib.contextmanager
def checkpoint_of(path: str) -> Iterator[str]:
    """The checkpoint at a path: its prefix, its folder, one inside, or unpacked."""
    refuse_foreign(path)
    if manifest_file(path) is not None:
        yield path
        return
    if storage.is_directory(path):
        inside = storage.join(path, "variables")
        yield variables_of(path) if storage.is_directory(inside) else path
        return
    if not zipfile.is_zipfile(path):
        raise errors.NotFoundError(f"there are no weights at {path}")
    with tempfile.TemporaryDirectory() as folder:
        unpack(path, folder)
        inside = os.path.join(folder, "variables")
        yield variables_of(folder) if os.path.isdir(inside) else folder


def _load_by_name(model: Any, folder: str, skip_mismatch: bool) -> None:
    stored = read(folder)
    try:
        layers = stored.state.get("keras_layers")
        if layers is None:
            raise errors.InvalidArgumentError(
                f"the checkpoint {folder} does not name layers: load it without `by_name`"
            )
        by_name = {entry["name"]: entry["weights"] for entry in layers}
        for layer in model.layers:
            if layer.name in by_name:
                _load_layer(layer, [stored.tensor(key) for key in by_name[layer.name]],
                            skip_mismatch)  # fmt: skip
    finally:
        stored.close()


def _load_layer(layer: Any, arrays: list[np.ndarray], skip_mismatch: bool) -> None:
    shapes = [tuple(v.shape) for v in layer.weights]
    given = [a.shape for a in arrays]
    if shapes != given:
        text = (
            f"Layer {layer.name!r} has weights of the shapes {shapes}, the file has {given}"
        )  # fmt: skip
        if not skip_mismatch:
            raise ValueError(text)
        _log.warning("Skipping loading weights: %s", text)
        return
    layer.set_weights(arrays)


def check_free(path: str, overwrite: bool) -> None:
    """Raises AlreadyExistsError where something is at `path`, unless it may be overwritten."""
    there = storage.is_directory(path) or storage.size_bytes(path) is not None
    if not overwrite and (there or manifest_file(path) is not None):
        raise errors.AlreadyExistsError(
            f"{path} is there already: remove it, or pass `overwrite=True`"
        )


def pack(folder: str, path: str, first: Sequence[str] = ()) -> None:
    """Puts all files of a folder into one file, which appears at once.

    Args:
      first: names in the folder that come first, in this order.
    """
    parent, name = os.path.split(os.path.abspath(path))
    with storage.translated("write", path):
        os.makedirs(parent, exist_ok=True)
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=parent)
        try:
            with os.fdopen(handle, "wb") as file, zipfile.ZipFile(file, "w") as archive:
                for entry in first:
                    archive.write(os.path.join(folder, entry), entry)
                for base, _, names in os.walk(folder):
                    for entry in sorted(names):
                        full = os.path.join(base, entry)
                        inside = os.path.relpath(full, folder)
                        if inside not in first:
                            archive.write(full, inside)
                archive.close()
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


def pack_parts(parts: Mapping[str, bytes], path: str) -> None:
    """Puts parts, by the names that they have in it, into one file, which appears at once."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in parts.items():
            full = os.path.join(folder, name)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as file:
                file.write(content)
        pack(folder, path, list(parts))


class DamagedFileError(errors.DataLossError, OSError):
    """A file of weights or of a model cannot be read; Keras raises OSError for it."""


def unpack(path: str, folder: str) -> None:
    """Takes the files of `pack` apart into a folder.

    Raises DamagedFileError, a DataLossError and an OSError, for a damaged file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder)
    except zipfile.BadZipFile as error:
        raise DamagedFileError(f"{path} is damaged: {error}") from error

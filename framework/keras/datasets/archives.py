"""Where the data sets lie, and how their files are read."""

from __future__ import annotations

import gzip
import os
import pickle
from typing import Any

import numpy as np

from shardtape.errors import DataLossError
from shardtape.keras.downloads import get_file

KERAS = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
TORONTO = "https://www.cs.toronto.edu/~kriz/"


def read_npz(
    name: str, sha256: str | None, names: tuple[str, ...], path: str, lists: bool = False
) -> list[np.ndarray]:
    """Arrays of a file of Keras's.

    Args:
      path: its name in the cache folder, or an absolute path.
      lists: the arrays hold Python lists.
    """
    file = get_file(path, KERAS + name, file_hash=sha256)
    # lists are pickled in these files; the hash has said that it is the file
    with np.load(file, allow_pickle=lists) as arrays:
        return [arrays[n] for n in names]


def read_idx(name: str, folder: str, header_bytes: int) -> np.ndarray:
    """The bytes of a gzipped IDX file, after its header."""
    file = get_file(name, KERAS + name, cache_subdir=os.path.join("datasets", folder))
    with gzip.open(file, "rb") as unzipped:
        return np.frombuffer(unzipped.read(), np.uint8, offset=header_bytes)


def read_cifar(folder: str, archive: str, sha256: str | None, names: list[str], label: str) -> Any:
    """(images (n, 3, 32, 32) uint8, labels) of some batches of CIFAR."""
    place = get_file(folder, TORONTO + archive, untar=True, file_hash=sha256)
    images, labels = [], []
    for name in names:
        with open(os.path.join(place, name), "rb") as file:
            batch = _Plain(file, encoding="bytes").load()
        images.append(np.asarray(batch[b"data"]).reshape(-1, 3, 32, 32))
        labels += list(batch[label.encode()])
    return np.concatenate(images), labels


class _Plain(pickle.Unpickler):
    """Reads arrays, lists and texts, and refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in (
            "_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer",
        ):  # fmt: skip
            return super().find_class(module, name)
        raise DataLossError(f"the data set's file asks for {module}.{name}, which no array needs")

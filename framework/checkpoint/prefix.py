"""Checkpoints of objects: two files beside others, which have the names of TensorFlow's.

`PREFIX.index` is the manifest, `PREFIX.data-00000-of-00001` the tensors. The manifest is renamed
into place when both are on the disk. Until then, and where they take the place of older ones, the
tensors have a name of their own, which the manifest knows: whenever the process is killed, the
index that is there finds the tensors that it was written with.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from shardtape import errors, storage
from shardtape.checkpoint.directory import next_sequence, remove_folder
from shardtape.checkpoint.manifest import check_rows, manifest_file, publish, read_manifest
from shardtape.checkpoint.part import INDEX, MANIFEST, Piece, write_tensors

_DATA = ".data-00000-of-00001"


def write_files(
    prefix: storage.Path, pieces: Iterable[Piece], extra: Mapping[str, Any] | None = None
) -> str:
    """Writes a checkpoint, in place of one that is there.

    Args:
      prefix: of the two files; folders that are missing are made.
      pieces: what is saved.
      extra: plain JSON values that `StoredCheckpoint.state` gives back.

    Returns:
      `prefix`, which is the checkpoint's path.

    Raises:
      ResourceExhaustedError: the disk is full; a checkpoint that was there is intact.
    """
    path = storage.text(prefix).rstrip("/")
    folder, name = storage.split(path)
    storage.make_directory(folder)
    final = name + _DATA
    first = f"{final}.{secrets.token_hex(4)}"
    fragment = write_tensors(folder, first, name, pieces)
    fragment |= {"file": final, "written_as": first}
    try:
        check_rows([fragment])
        publish(path + INDEX, [fragment], extra, next_sequence(path))
    except BaseException:  # Ctrl-C too leaves nothing behind
        with contextlib.suppress(errors.OpError):
            if not _is_read(path, first):
                storage.remove(storage.join(folder, first))
        raise
    storage.replace(storage.join(folder, first), storage.join(folder, final))
    storage.sync_directory(folder)
    _tidy(folder, name, path)
    return path


def variables_prefix(folder: storage.Path) -> str:
    """The prefix of the Variables of a saved model in `folder`."""
    return storage.join(folder, "variables", "variables")


def variables_of(folder: storage.Path) -> str:
    """The checkpoint with the Variables of a saved model, of this form or the older one."""
    path = variables_prefix(folder)
    return path if manifest_file(path) is not None else storage.split(path)[0]


def _is_read(path: str, first: str) -> bool:
    """Whether the index is in place that names this file of tensors."""
    if manifest_file(path) is None:
        return False
    return any(fragment.get("written_as") == first for fragment in read_manifest(path).files)


def _tidy(folder: str, name: str, path: str) -> None:
    """Removes what writers that were killed have left, and a folder of the older form."""
    for other in storage.names(folder):
        if other.startswith(f"{name}{_DATA}."):
            storage.remove(storage.join(folder, other))
    if storage.size_bytes(storage.join(path, MANIFEST)) is not None:
        remove_folder(path)

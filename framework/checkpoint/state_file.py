"""The file `checkpoint` of a folder, which names the newest of its checkpoints, as TensorFlow's."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import NamedTuple

from shardtape import errors, storage

NAME = "checkpoint"
_FIELD = re.compile(r'^\s*(\w+):\s*(?:"((?:[^"\\]|\\.)*)"|(\S+))\s*$')
_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}


class CheckpointState(NamedTuple):
    """The checkpoints of a folder, as TensorFlow's message has them."""

    model_checkpoint_path: str
    all_model_checkpoint_paths: list[str]
    all_model_checkpoint_timestamps: list[float]
    last_preserved_timestamp: float = 0.0

    def __str__(self) -> str:
        lines = [f'model_checkpoint_path: "{_quoted(self.model_checkpoint_path)}"']
        lines += [
            f'all_model_checkpoint_paths: "{_quoted(p)}"' for p in self.all_model_checkpoint_paths
        ]
        lines += [
            f"all_model_checkpoint_timestamps: {t!r}" for t in self.all_model_checkpoint_timestamps
        ]
        if self.last_preserved_timestamp:
            lines.append(f"last_preserved_timestamp: {self.last_preserved_timestamp!r}")
        return "\n".join(lines) + "\n"

    def __repr__(self) -> str:
        return str(self)


def read_state(folder: storage.Path, name: str | None = None) -> CheckpointState | None:
    """What the file says, with paths from where the program stands; None where there is none."""
    path = storage.join(folder, name or NAME)
    if storage.size_bytes(path) is None:
        return None
    try:
        lines = storage.read_bytes(path).decode().splitlines()
    except (errors.NotFoundError, UnicodeDecodeError):  # removed at this moment, or damaged
        return None
    found: dict[str, list[str]] = {}
    for line in lines:
        match = _FIELD.match(line)
        if match:
            value = match[3] if match[2] is None else re.sub(r"\\(.)", _plain, match[2])
            found.setdefault(match[1], []).append(value)
    newest = found.get("model_checkpoint_path")
    if not newest:
        return None
    try:
        times = [float(t) for t in found.get("all_model_checkpoint_timestamps", ())]
        kept = float(found.get("last_preserved_timestamp", ["0"])[0])
    except ValueError:  # damaged
        return None
    paths = [_from_here(folder, p) for p in found.get("all_model_checkpoint_paths", ())]
    return CheckpointState(_from_here(folder, newest[0]), paths, times, kept)


def update_checkpoint_state(
    save_dir: storage.Path, model_checkpoint_path: storage.Path,
    all_model_checkpoint_paths: Sequence[storage.Path] | None = None,
    latest_filename: str | None = None,
    all_model_checkpoint_timestamps: Sequence[float] | None = None,
    last_preserved_timestamp: float | None = None,
) -> None:  # fmt: skip
    """Writes the file `checkpoint` of a folder, in one step.

    Args:
      save_dir: the folder.
      model_checkpoint_path: what `latest_checkpoint` gives from now on.
      all_model_checkpoint_paths: the others, the oldest first; the newest is added.
      latest_filename: another name of the file.
      all_model_checkpoint_timestamps: when they were written, in seconds since 1970.
      last_preserved_timestamp: when the last one was kept for good.
    """
    paths = [storage.text(p) for p in all_model_checkpoint_paths or ()]
    newest = storage.text(model_checkpoint_path)
    if not paths or paths[-1] != newest:
        paths.append(newest)
    state = CheckpointState(
        _from_folder(save_dir, newest), [_from_folder(save_dir, p) for p in paths],
        list(all_model_checkpoint_timestamps or ()), last_preserved_timestamp or 0.0,
    )  # fmt: skip
    storage.write_whole(storage.join(save_dir, latest_filename or NAME), str(state).encode())


def _from_folder(folder: storage.Path, path: str) -> str:
    """The way from the folder, so that it may be moved; a path from the root stays outside."""
    start, (parent, name) = storage.text(folder), storage.split(path)
    if os.path.normpath(parent) == os.path.normpath(start):
        return name
    if storage.is_remote(path) or path.startswith("/"):
        return path
    fixed = storage.is_remote(start) or start.startswith("/")
    return os.path.abspath(path) if fixed else os.path.relpath(path, start)


def _from_here(folder: storage.Path, path: str) -> str:
    absolute = path.startswith("/") or storage.is_remote(path)
    return path if absolute else storage.join(folder, path)


def _quoted(text: str) -> str:
    return "".join(_ESCAPED.get(c, c) for c in text)


def _plain(match: re.Match[str]) -> str:
    return {"n": "\n"}.get(match[1], match[1])

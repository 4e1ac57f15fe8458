"""The manifest: what makes a folder of files a checkpoint. Written last, renamed into place."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shardtape import errors, storage
from shardtape.checkpoint.part import INDEX, MANIFEST, SUFFIX

FORMAT = "shardtape-checkpoint"
VERSION = 1
_UNKNOWN = "0" * 64


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as it was read.

    Attributes:
      path: the checkpoint's folder, or the prefix of its files.
      folder: where the files are.
      sequence: rises by one with every checkpoint of a parent folder.
      time: seconds since 1970 when it was finished.
      files: the fragments, as `write_part` returned them.
      state: the `extra` of `write_manifest`.
    """

    path: str
    folder: str
    sequence: int
    time: float
    files: tuple[dict[str, Any], ...]
    state: dict[str, Any]


# Layout: JSON. Its first member is "sha256", the SHA-256 of all bytes of the manifest with those
# 64 digits replaced by zeros: so that a flipped bit in it is noticed as well.
def write_manifest(
    directory: storage.Path,
    fragments: Iterable[Mapping[str, Any]],
    extra: Mapping[str, Any] | None = None,
    *,
    sequence: int | None = None,
    replacing: bool = False,
) -> str:
    """Finishes a checkpoint: checks that its parts are there and fit, and names them.

    Args:
      directory: of the checkpoint.
      fragments: what `write_part` returned, from every shard.
      extra: state of the job (step, data position, object graph, ...); plain JSON values.
      sequence: place among the checkpoints of the parent folder; one more than the last if None.
      replacing: takes the place of a finished checkpoint in one step, and removes its files.

    Returns:
      The path of the checkpoint, which is `directory`.

    Raises:
      DataLossError: a part is missing or has another size than was written.
      InvalidArgumentError: the parts of a variable leave out rows, or hold some twice.
      AlreadyExistsError: the checkpoint is finished already.
    """
    from shardtape.checkpoint.directory import next_sequence

    folder = storage.text(directory).rstrip("/")
    files = [dict(fragment) for fragment in fragments]
    for fragment in files:
        check_size(folder, fragment)
    check_rows(files)
    target = storage.join(folder, MANIFEST)
    if not replacing and storage.size_bytes(target) is not None:
        raise errors.AlreadyExistsError(f"the checkpoint {folder} is finished already")
    publish(target, files, extra, next_sequence(folder) if sequence is None else sequence)
    if replacing:
        _remove_others(folder, {fragment["file"] for fragment in files})
    return folder


def publish(
    target: str, files: Sequence[Mapping[str, Any]], extra: Mapping[str, Any] | None, sequence: int
) -> None:
    """Writes a manifest, which is renamed to `target` in one step when it is on the disk."""
    body = {
        "sha256": _UNKNOWN,
        "format": FORMAT,
        "version": VERSION,
        "sequence": sequence,
        "time": time.time(),
        "state": dict(extra or {}),
        "files": list(files),
    }
    try:
        text = json.dumps(body, indent=1, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise errors.InvalidArgumentError(
            f"the state of a checkpoint must be plain JSON values: {error}"
        ) from error
    text = text.replace(_UNKNOWN.encode(), hashlib.sha256(text).hexdigest().encode(), 1)
    storage.write_whole(target, text)
    storage.sync_directory(storage.split(storage.split(target)[0])[0])  # its folder may be new


def _remove_others(folder: str, kept: set[str]) -> None:
    for name in storage.names(folder):
        if name.endswith(SUFFIX) and name not in kept:
            storage.remove(storage.join(folder, name))


def check_size(folder: str, fragment: Mapping[str, Any]) -> None:
    """Raises DataLossError if a part's file is missing or of another size than was written."""
    path = file_of(folder, fragment)
    found = storage.size_bytes(path)
    if found != fragment["bytes"]:
        is_now = "is missing" if found is None else f"has {found:,} bytes"
        raise errors.DataLossError(
            f"{path} {is_now}, {fragment['bytes']:,} bytes were written: the checkpoint is torn"
        )


def file_of(folder: str, fragment: Mapping[str, Any]) -> str:
    """Where a part's file is: under the name that it had when it was written, or under its own.

    A file that takes the place of another one gets its own name only after the manifest did, so
    that a manifest and its files always belong together.
    """
    first = fragment.get("written_as")
    if first is not None:
        path = storage.join(folder, first)
        if storage.size_bytes(path) is not None:
            return path
    return storage.join(folder, fragment["file"])


def manifest_file(path: storage.Path) -> str | None:
    """The manifest of the checkpoint at a path: of its prefix, or in its folder; None for none."""
    name = storage.text(path).rstrip("/")
    for file in (name + INDEX, storage.join(name, MANIFEST)):
        if storage.size_bytes(file) is not None:
            return file
    return None


# the last bytes of TensorFlow's own index files
_FOREIGN_END = bytes.fromhex("57fb808b247547db")


def is_foreign(file: storage.Path) -> bool:
    """Whether an index file is one that TensorFlow wrote."""
    return storage.read_bytes(file).endswith(_FOREIGN_END)


def check_rows(files: Sequence[Mapping[str, Any]]) -> None:
    """Raises InvalidArgumentError unless the parts hold every row of each variable once."""
    rows: dict[tuple[str, str], list[tuple[int, int]]] = {}
    kinds: dict[tuple[str, str], tuple[Any, Any]] = {}
    for fragment in files:
        for entry in fragment["tensors"]:
            what = (entry["key"], entry["slot"] or "")
            kind = (entry["dtype"], entry["shape"])
            if kinds.setdefault(what, kind) != kind:
                raise errors.InvalidArgumentError(
                    f"parts disagree on {_said(what)}: {kinds[what]} and {kind}"
                )
            rows.setdefault(what, []).append((entry["start"], entry["stop"]))
    for what, runs in rows.items():
        shape = kinds[what][1]
        expected, full = 0, shape[0] if shape else 1
        for start, stop in sorted(runs):
            if start != expected:
                wrong = "are missing" if start > expected else "are there twice"
                low, high = sorted((start, expected))
                raise errors.InvalidArgumentError(f"rows {low}:{high} of {_said(what)} {wrong}")
            expected = stop
        if expected != full:
            raise errors.InvalidArgumentError(
                f"rows {expected}:{full} of {_said(what)} are missing"
            )


def _said(what: tuple[str, str]) -> str:
    key, slot = what
    return f"{key!r}" if not slot else f"slot {slot!r} of {key!r}"


def read_manifest(directory: storage.Path) -> Manifest:
    """Reads and checks the manifest of a checkpoint.

    Raises:
      NotFoundError: there is no such folder.
      DataLossError: the folder has no manifest (the checkpoint was never finished), or the
        manifest is cut off, has changed, or is of another format.
    """
    folder = storage.text(directory).rstrip("/")
    path = manifest_file(folder)
    if path is None:
        if not storage.is_directory(folder):
            raise errors.NotFoundError(
                f"there is no checkpoint {folder}; the path of one ends in its number, as in "
                "'folder/ckpt-1'"
            )
        raise errors.DataLossError(
            f"{folder} is no whole checkpoint: it has no {MANIFEST}, so it was never finished"
        )
    text = storage.read_bytes(path)
    if text.endswith(_FOREIGN_END):
        raise errors.InvalidArgumentError(f"{folder} is a checkpoint that TensorFlow wrote")
    try:
        body = json.loads(text)
        claimed = body["sha256"]
        body_format, version = body["format"], body["version"]
    except (ValueError, KeyError, TypeError) as error:
        raise errors.DataLossError(f"{path} is corrupt: {error!r}") from error
    if hashlib.sha256(_zeroed(text, str(claimed))).hexdigest() != claimed:
        raise errors.DataLossError(f"{path} is corrupt: it does not have its own digest")
    if body_format != FORMAT or version != VERSION:
        raise errors.DataLossError(
            f"{path} is of format {body_format!r} version {version!r}; this version of shardtape "
            f"reads {FORMAT!r} version {VERSION}"
        )
    return Manifest(
        folder, storage.split(path)[0], body["sequence"], body["time"], tuple(body["files"]),
        body["state"],
    )  # fmt: skip


def _zeroed(text: bytes, claimed: str) -> bytes:
    return text.replace(claimed.encode(), _UNKNOWN.encode(), 1) if len(claimed) == 64 else text

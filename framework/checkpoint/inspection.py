"""What is in a checkpoint, as rows for a table."""

from __future__ import annotations

from typing import Any

from shardtape import errors, storage
from shardtape.checkpoint.directory import broken_checkpoints, latest_checkpoint
from shardtape.checkpoint.manifest import manifest_file
from shardtape.checkpoint.reader import read


def inspect(path: storage.Path, verify: bool = False) -> list[dict[str, Any]]:
    """One row for every run of rows of every variable and slot.

    Args:
      path: a checkpoint, or a folder of checkpoints, of which the newest whole one is taken.
      verify: also reads everything and compares the digests.

    Returns:
      Rows with `key`, `slot` (None for the variable itself), `dtype`, `shape` (of the whole),
      `start` and `stop` (rows), `bytes` (stored), `file`, `checkpoint`; sorted by key, then slot,
      then row.

    Raises:
      NotFoundError: there is no checkpoint, or none in the folder was finished.
      DataLossError: it is torn or corrupt, or all in the folder are; the text names the files.
    """
    folder = storage.text(path).rstrip("/")
    if manifest_file(folder) is None:
        folder = latest_checkpoint(folder) or _none_whole(folder)
    rows = []
    with read(folder) as checkpoint:
        for fragment in checkpoint.fragments:
            sizes = {tensor["name"]: tensor["bytes"] for tensor in fragment["stored"]}
            for entry in fragment["tensors"]:
                name = entry["name"]
                parts = (name, f"{name}#bytes", f"{name}#offsets")
                rows.append({
                    "key": entry["key"], "slot": entry["slot"], "dtype": entry["dtype"],
                    "shape": tuple(entry["shape"]), "start": entry["start"], "stop": entry["stop"],
                    "bytes": sum(sizes.get(part, 0) for part in parts),
                    "file": fragment["file"], "checkpoint": folder,
                })  # fmt: skip
        if verify:
            checkpoint.verify()
    return sorted(rows, key=lambda row: (row["key"], row["slot"] or "", row["start"]))


def _none_whole(folder: str) -> str:
    """The folder itself where it is one checkpoint; raises where it holds none that is whole."""
    if not storage.is_directory(folder):
        raise errors.NotFoundError(f"there is no checkpoint {folder}")
    broken = broken_checkpoints(folder)
    if broken:
        faults = "".join(f"\n  {fault}" for _, fault in broken)
        raise errors.DataLossError(f"no checkpoint in {folder} is whole:{faults}")
    if any(storage.is_directory(storage.join(folder, name)) for name in storage.names(folder)):
        raise errors.NotFoundError(f"there is no finished checkpoint in {folder}")
    return folder  # a checkpoint without a manifest: reading it says so

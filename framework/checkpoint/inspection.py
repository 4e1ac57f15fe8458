"""What is in a checkpoint, as rows for a table."""

from __future__ import annotations

from typing import Any

from shardtape import errors, storage
from shardtape.checkpoint.directory import latest_checkpoint
from shardtape.checkpoint.part import MANIFEST
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
      NotFoundError: there is no checkpoint.
      DataLossError: it is torn or corrupt; the text names the file.
    """
    folder = storage.text(path).rstrip("/")
    if storage.size_bytes(storage.join(folder, MANIFEST)) is None:
        newest = latest_checkpoint(folder)
        if newest is None and not storage.is_directory(folder):
            raise errors.NotFoundError(f"there is no checkpoint {folder}")
        folder = newest or folder
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

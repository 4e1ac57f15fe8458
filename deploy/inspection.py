"""Shows the tensors of a checkpoint as a table in the terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from shardtape import storage
from shardtape.checkpoint import broken_checkpoints, inspect, whole_checkpoints
from shardtape.checkpoint.manifest import manifest_file
from shardtape.errors import DataLossError

_COLUMNS = ("tensor", "slot", "dtype", "shape", "rows", "bytes", "file")
_BYTES = _COLUMNS.index("bytes")


def show(checkpoint: str, *, verify: bool = False, as_json: bool = False) -> None:
    """Prints one line for each stored part, and the sums; see `checkpoint.inspection.inspect`.

    Broken checkpoints that are newer than the one that is shown are told on standard error.

    Raises:
      DataLossError: it is broken; the text says how, and which ones beside it are whole.
    """
    folder = checkpoint.rstrip("/")
    alone = manifest_file(folder) is not None
    try:
        rows = inspect(folder, verify=verify)
    except DataLossError as error:
        raise DataLossError(error.message + _others(folder, alone, error.message)) from error
    if not alone and rows:
        _tell_broken(folder, rows[0]["checkpoint"])
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    _print([_cells(row) for row in rows])
    sys.stdout.write(_sums(rows, checked=verify) + "\n")


def _others(folder: str, alone: bool, fault: str) -> str:
    """Which checkpoints are whole where one is not: its neighbours, or those of the folder."""
    parent = storage.split(folder)[0] if alone else folder
    others = [path for path in whole_checkpoints(parent) if path not in fault]
    return f"\n{_listed(others)} in {parent}" if others else ""


def _tell_broken(folder: str, shown: str) -> None:
    whole = whole_checkpoints(folder)
    newer = [(p, fault) for p, fault in broken_checkpoints(folder) if _name(p) > _name(shown)]
    for _, fault in newer:
        sys.stderr.write(f"warning: broken: {fault}\n")
    if newer:
        sys.stderr.write(f"{_listed(whole)}; the newest of them is shown\n")


def _listed(paths: Sequence[str]) -> str:
    verb = "are" if len(paths) > 1 else "is"
    return f"{', '.join(map(_name, paths))} {verb} whole"


def _name(path: str) -> str:
    return storage.split(path)[1]


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["key"],
        row["slot"] or "",
        row["dtype"],
        _shape(row["shape"]),
        f"{row['start']}:{row['stop']}",
        f"{row['bytes']:,}",
        Path(row["file"]).name,
    )


def _print(rows: Sequence[Sequence[str]]) -> None:
    """A table that fits a terminal; elsewhere columns as wide as their longest cell."""
    console = Console(highlight=False, markup=False)  # a key may have brackets
    if console.is_terminal:
        table = Table(box=None, header_style="bold")
        for name in _COLUMNS:
            justify: Any = "right" if name == "bytes" else "left"
            table.add_column(name, justify=justify, overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    lines = [_COLUMNS, *rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(_COLUMNS))]
    for line in lines:
        cells = [
            cell.rjust(width) if i == _BYTES else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths))
        ]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _sums(rows: Sequence[dict[str, Any]], *, checked: bool) -> str:
    variables = {row["key"] for row in rows}
    slots = {(row["key"], row["slot"]) for row in rows if row["slot"]}
    size = sum(row["bytes"] for row in rows)
    text = f"{len(variables)} variables, {len(slots)} optimizer slots, {size:,} bytes"
    where = f" in {rows[0]['checkpoint']}" if rows else ""
    return text + where + ("; all digests agree" if checked else "")

"""Shows the tensors of a checkpoint as a table in the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from shardtape.checkpoint import inspect

_COLUMNS = ("tensor", "slot", "dtype", "shape", "rows", "bytes", "file")


def show(checkpoint: str, *, verify: bool = False, as_json: bool = False) -> None:
    """Prints one line for each stored part, and the sums; see `checkpoint.inspection.inspect`."""
    rows = inspect(checkpoint, verify=verify)
    console = Console(soft_wrap=True, highlight=False)
    if as_json:
        console.print(json.dumps(rows, indent=1), markup=False)
        return
    table = Table(*_COLUMNS, box=None, header_style="bold")
    table.columns[_COLUMNS.index("bytes")].justify = "right"
    for row in rows:
        table.add_row(
            row["key"],
            row["slot"] or "",
            row["dtype"],
            _shape(row["shape"]),
            f"{row['start']}:{row['stop']}",
            f"{row['bytes']:,}",
            Path(row["file"]).name,
        )
    console.print(table)
    console.print(_sums(rows, checked=verify), markup=False)


def _shape(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape)) or "scalar"


def _sums(rows: Sequence[dict[str, Any]], *, checked: bool) -> str:
    variables = {row["key"] for row in rows}
    slots = {(row["key"], row["slot"]) for row in rows if row["slot"]}
    size = sum(row["bytes"] for row in rows)
    text = f"{len(variables)} variables, {len(slots)} optimizer slots, {size:,} bytes"
    where = f" in {rows[0]['checkpoint']}" if rows else ""
    return text + where + ("; all digests agree" if checked else "")

"""A file of recorded results: many small arrays, packed by element type, with an index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

DATA = Path(__file__).parent / "data"


def pack(path: Path, arrays: dict[str, np.ndarray], notes: dict[str, Any]) -> None:
    """Writes arrays by name, and JSON notes."""
    index: dict[str, Any] = {}
    parts: dict[str, list[np.ndarray]] = {}
    lengths: dict[str, int] = {}
    for name, array in arrays.items():
        if array.dtype.kind == "O":
            shown = [v.decode("latin1") for v in array.ravel()]
            index[name] = ["object", list(array.shape), shown]
            continue
        flat, kind = array.ravel(), array.dtype.name
        if kind in ("float16", "bfloat16"):
            flat = flat.astype(np.float32)
        stored = flat.dtype.name
        at = lengths.get(stored, 0)
        parts.setdefault(stored, []).append(flat)
        lengths[stored] = at + flat.size
        index[name] = [kind, list(array.shape), at]
    text = json.dumps({"index": index, "notes": notes}, separators=(",", ":"))
    np.savez_compressed(
        path,
        index=np.frombuffer(text.encode(), np.uint8),
        **{kind: np.concatenate(some) for kind, some in parts.items()},
    )


def unpack(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """What `pack` wrote; 16-bit floats come back as float32."""
    with np.load(path) as file:
        flat = {name: file[name] for name in file.files}
    head = json.loads(flat.pop("index").tobytes())
    arrays = {}
    for name, (kind, shape, at) in head["index"].items():
        if kind == "object":
            made = np.empty(shape, object)
            made.ravel()[:] = [v.encode("latin1") for v in at]
            arrays[name] = made
            continue
        stored = "float32" if kind in ("float16", "bfloat16") else kind
        size = int(np.prod(shape, dtype=np.int64))
        arrays[name] = flat[stored][at : at + size].reshape(shape)
    return arrays, head["notes"]

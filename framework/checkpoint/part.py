"""What one shard adds to a checkpoint: a file of tensors and the fragment that describes it."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from shardtape import errors, storage
from shardtape.checkpoint import layout

MANIFEST = "manifest.json"
SUFFIX = ".safetensors"
INDEX = ".index"  # of the manifest of a checkpoint that has a prefix and no folder

_STRINGS = "strings"
_COMPLEX = {"complex64": "float32", "complex128": "float64"}


class Piece(NamedTuple):
    """A run of rows of a variable, or of one of its slots.

    Attributes:
      values: the rows, (rows, ...); of a scalar its one value, shape ().
      key: the variable's.
      slot: name of the optimizer's slot; None for the variable itself.
      start: number of the first row in the whole.
      shape: shape of the whole; None says that `values` are all of it.
    """

    values: np.ndarray
    key: str
    slot: str | None = None
    start: int = 0
    shape: tuple[int, ...] | None = None


def stored_name(key: str, slot: str | None, start: int, stop: int, rows: int) -> str:
    """The name of a piece in its file: `key`, `key[0:512]`, `key/.slot/m`, `key/.slot/m[0:512]`."""
    name = key if slot is None else f"{key}/.slot/{slot}"
    return name if (start, stop) == (0, rows) else f"{name}[{start}:{stop}]"


def write_part(
    directory: storage.Path,
    name: str,
    tensors: Mapping[str, np.ndarray] | Iterable[Piece],
    metadata: Mapping[str, Any] | None = None,
    *,
    replacing: bool = False,
) -> dict[str, Any]:
    """Writes one file of an unfinished checkpoint and waits until it is on the disk.

    The file counts only when `write_manifest` has named it. Its own name gets a random ending, so
    that a writer that was given up, and comes back, overwrites nothing.

    Args:
      directory: of the checkpoint; made if missing.
      name: who wrote it, for example "shard-0.generation-2.incarnation-0-1".
      tensors: whole variables by key, or pieces. Elements may be of any type of the layout, or
        complex (stored as pairs), or strings (stored as bytes and offsets). Arrays are read while
        the call runs: they must not change.
      metadata: what else belongs to this part (ledger, versions, ...); plain JSON values.
      replacing: allows a finished checkpoint, which `write_manifest` is going to replace.

    Returns:
      The fragment for `write_manifest`: plain JSON values.

    Raises:
      FailedPreconditionError: the checkpoint is finished already.
      InvalidArgumentError: an element type that cannot be stored, a piece that does not fit its
        shape, or two pieces of the same rows.
      ResourceExhaustedError: the disk is full; nothing of the file is left.
    """
    if not re.fullmatch(r"[\w.\-]+", name):
        raise errors.InvalidArgumentError(
            f"a part's name has letters, digits, '.', '-' and '_' only, got {name!r}"
        )
    storage.make_directory(directory)
    if not replacing and storage.size_bytes(storage.join(directory, MANIFEST)) is not None:
        raise errors.FailedPreconditionError(
            f"the checkpoint {storage.text(directory)} is finished: start another one"
        )
    file_name = f"{name}.{secrets.token_hex(4)}{SUFFIX}"
    return write_tensors(directory, file_name, name, tensors, metadata)


def write_tensors(
    directory: storage.Path, file_name: str, name: str,
    tensors: Mapping[str, np.ndarray] | Iterable[Piece], metadata: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Writes a file of tensors and waits until it is on the disk; see `write_part`.

    Args:
      file_name: of the file, new in the folder.
      name: of the part, for errors.
    """
    entries: list[dict[str, Any]] = []
    arrays: dict[str, np.ndarray] = {}
    for piece in _pieces(tensors):
        entry, stored = _encode(piece)
        for stored_as, array in stored.items():
            if stored_as in arrays:
                raise errors.InvalidArgumentError(f"part {name!r} has {stored_as!r} twice")
            arrays[stored_as] = array
        entries.append(entry)
    described = {"tensors": entries, "metadata": dict(metadata or {})}
    try:
        header = {"format": "shardtape", "shardtape": json.dumps(described, separators=(",", ":"))}
    except (TypeError, ValueError) as error:
        raise errors.InvalidArgumentError(
            f"part {name!r}: the metadata must be plain JSON values: {error}"
        ) from error
    written = layout.write_file(storage.join(directory, file_name), arrays, header)
    storage.sync_directory(directory)
    return {
        "file": file_name,
        "bytes": written.bytes,
        "header": {"bytes": written.header_bytes, "sha256": written.header_sha256},
        "stored": [tensor.to_json() for tensor in written.tensors],
        **described,
    }


def _pieces(tensors: Mapping[str, np.ndarray] | Iterable[Piece]) -> Iterable[Piece]:
    if isinstance(tensors, Mapping):
        return (Piece(np.asarray(values), key) for key, values in tensors.items())
    return tensors


def _encode(piece: Piece) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The entry that describes a piece, and the arrays that hold it, by their stored names."""
    values = np.asarray(piece.values)
    shape = values.shape if piece.shape is None else tuple(int(n) for n in piece.shape)
    rows = shape[0] if shape else 1
    start = piece.start
    stop = start + (values.shape[0] if values.shape else 1)
    if values.shape[1:] != shape[1:] or len(values.shape) != len(shape) or not (
        0 <= start <= stop <= rows
    ):  # fmt: skip
        raise errors.InvalidArgumentError(
            f"{piece.key!r}: values of shape {values.shape} are not the rows {start}:{stop} of a "
            f"tensor of shape {shape}"
        )
    name = stored_name(piece.key, piece.slot, start, stop, rows)
    entry: dict[str, Any] = {
        "key": piece.key, "slot": piece.slot, "start": start, "stop": stop,
        "shape": list(shape), "dtype": values.dtype.name, "name": name,
    }  # fmt: skip
    if values.dtype.kind in "OSUT":
        entry["dtype"], entry["encoding"] = "string", _STRINGS
        return entry, _encode_strings(name, values)
    if values.dtype.name in _COMPLEX:
        entry["encoding"] = "pairs"
        pairs = values.reshape(-1).view(_COMPLEX[values.dtype.name])
        return entry, {name: pairs.reshape(*values.shape, 2)}
    if values.dtype.byteorder == ">":
        values = values.astype(values.dtype.newbyteorder("<"))
    return entry, {name: values}


def _encode_strings(name: str, values: np.ndarray) -> dict[str, np.ndarray]:
    """Strings as `name#bytes`, all of them one after the other, and `name#offsets`."""
    items = []
    for item in values.ravel():
        if isinstance(item, str):
            item = item.encode()
        if not isinstance(item, bytes):
            raise errors.InvalidArgumentError(
                f"{name!r} is an array of Python objects; only strings can be stored, it holds "
                f"{type(item).__name__}"
            )
        items.append(item)
    offsets = np.zeros(len(items) + 1, np.int64)
    np.cumsum([len(item) for item in items], out=offsets[1:])
    data = np.frombuffer(b"".join(items), np.uint8)
    return {f"{name}#bytes": data, f"{name}#offsets": offsets}


def decode_strings(data: np.ndarray, offsets: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The inverse: an array of `bytes` objects of `shape`.

    Raises:
      DataLossError: the offsets do not fit the bytes.
    """
    raw = data.tobytes()
    bounds = offsets.tolist()
    if not bounds or bounds[0] != 0 or bounds[-1] != len(raw) or sorted(bounds) != bounds:
        raise errors.DataLossError("a string tensor has offsets that do not fit its bytes")
    out = np.empty(len(bounds) - 1, object)
    out[:] = [raw[begin:end] for begin, end in zip(bounds, bounds[1:], strict=False)]
    return out.reshape(shape)

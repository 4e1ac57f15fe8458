"""Reading a checkpoint: whole variables, or the rows that a shard holds, from any set of files."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from shardtape import errors, storage
from shardtape.checkpoint import layout
from shardtape.checkpoint.layout import PartFile, StoredTensor
from shardtape.checkpoint.manifest import Manifest, file_of, read_manifest
from shardtape.checkpoint.part import decode_strings


class TensorInfo(NamedTuple):
    """A variable or a slot: its whole shape and its element type ("string" for strings)."""

    shape: tuple[int, ...]
    dtype: str


class _Piece(NamedTuple):
    start: int
    stop: int
    file: int
    entry: dict[str, Any]


class StoredCheckpoint:
    """A checkpoint that was opened. Nothing is read before it is asked for.

    Every byte that is handed out is checked against the digest that was taken when it was
    written; a part that has changed raises DataLossError with the name of its file.

    Args:
      manifest: of the checkpoint.
      verify: False leaves out the digests; sizes and headers are checked anyhow.
    """

    def __init__(self, manifest: Manifest, verify: bool = True) -> None:
        self._manifest = manifest
        self._verify = verify
        self._files: dict[int, PartFile] = {}
        self._pieces: dict[tuple[str, str | None], list[_Piece]] = {}
        self._stored: list[dict[str, StoredTensor]] = []
        try:
            for number, fragment in enumerate(manifest.files):
                stored = map(StoredTensor.from_json, fragment["stored"])
                self._stored.append({tensor.name: tensor for tensor in stored})
                for entry in fragment["tensors"]:
                    piece = _Piece(entry["start"], entry["stop"], number, entry)
                    self._pieces.setdefault((entry["key"], entry["slot"]), []).append(piece)
        except (KeyError, TypeError) as error:
            raise errors.DataLossError(f"the manifest of {manifest.path} lacks {error}") from error
        for pieces in self._pieces.values():
            pieces.sort(key=lambda piece: piece.start)

    def __enter__(self) -> StoredCheckpoint:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<checkpoint {self.path}: {len(self.variables)} variables>"

    def close(self) -> None:
        """Closes the files; arrays that were handed out stay good."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def open_files(self) -> None:
        """Opens all files now, so that they stay readable when the checkpoint is removed."""
        for number in range(len(self.fragments)):
            self._file(number)

    @property
    def path(self) -> str:
        """The checkpoint's folder, or the prefix of its files."""
        return self._manifest.path

    @property
    def sequence(self) -> int:
        """Place among the checkpoints of its parent folder."""
        return self._manifest.sequence

    @property
    def time(self) -> float:
        """When it was finished, in seconds since 1970."""
        return self._manifest.time

    @property
    def state(self) -> dict[str, Any]:
        """What `write_manifest` was given as `extra`."""
        return self._manifest.state

    @property
    def fragments(self) -> tuple[dict[str, Any], ...]:
        """What each `write_part` returned; `["metadata"]` is what its writer added."""
        return self._manifest.files

    @property
    def variables(self) -> Mapping[str, TensorInfo]:
        """Shape and element type of every variable, by key."""
        return MappingProxyType(
            {key: self._info(pieces) for (key, slot), pieces in self._pieces.items() if not slot}
        )

    @property
    def slots(self) -> Mapping[str, Mapping[str, TensorInfo]]:
        """Shape and element type of every slot: by slot name, then by the variable's key."""
        found: dict[str, dict[str, TensorInfo]] = {}
        for (key, slot), pieces in self._pieces.items():
            if slot:
                found.setdefault(slot, {})[key] = self._info(pieces)
        return MappingProxyType(found)

    @staticmethod
    def _info(pieces: list[_Piece]) -> TensorInfo:
        return TensorInfo(tuple(pieces[0].entry["shape"]), pieces[0].entry["dtype"])

    def parts(self, key: str, slot: str | None = None) -> list[tuple[int, int, dict[str, Any]]]:
        """Who wrote which rows: (start, stop, metadata of the part), in order of rows."""
        return [
            (piece.start, piece.stop, self.fragments[piece.file]["metadata"])
            for piece in self._find(key, slot)
        ]

    def tensors(self, slot: str | None = None) -> dict[str, np.ndarray]:
        """All variables by key, or all arrays of one slot; see `tensor`."""
        return {key: self.tensor(key, s) for key, s in self._pieces if s == slot}

    def tensor(
        self,
        key: str,
        slot: str | None = None,
        rows: tuple[int, int] | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """A variable or slot, whole or some of its rows, whatever parts it was written in.

        Args:
          key: of the variable.
          slot: name of the slot; None for the variable itself.
          rows: (start, stop) along axis 0; all if None.
          out: contiguous array of the right shape and type to read into; strings have none.

        Returns:
          `out`, or a new array; read-only and mapped from the file where one local part holds
          all that is asked for.

        Raises:
          NotFoundError: the checkpoint does not have it.
          InvalidArgumentError: `rows` or `out` do not fit.
          DataLossError: a file is missing, cut off or changed; the text names it.
        """
        pieces = self._find(key, slot)
        shape, dtype_name = self._info(pieces)
        start, stop = rows if rows is not None else (0, shape[0] if shape else 1)
        if not 0 <= start <= stop <= (shape[0] if shape else 1):
            raise errors.InvalidArgumentError(
                f"rows {start}:{stop} are not in {key!r} of shape {shape}"
            )
        wanted = (stop - start, *shape[1:]) if shape else ()
        needed = [p for p in pieces if p.start < stop and start < p.stop]
        if dtype_name == "string":
            return self._strings(needed, start, stop, wanted)
        dtype = _logical_dtype(dtype_name)
        if out is not None:
            if out.shape != wanted or out.dtype != dtype or not out.flags.c_contiguous:
                raise errors.InvalidArgumentError(
                    f"{key!r}: expected a contiguous array of {dtype} with shape {wanted} to read "
                    f"into, got {out.dtype} with shape {out.shape}"
                )
        elif len(needed) == 1 and self._file(needed[0].file).local:
            return self._mapped(needed[0], start, dtype, wanted)
        else:
            out = np.empty(wanted, dtype)
        row_bytes = dtype.itemsize * int(np.prod(shape[1:], dtype=np.int64))
        target = layout.bytes_of(out)
        for piece in needed:
            low, high = max(start, piece.start), min(stop, piece.stop)
            self._file(piece.file).read_into(
                self._stored_tensor(piece, piece.entry["name"]),
                target[(low - start) * row_bytes : (high - start) * row_bytes],
                (low - piece.start) * row_bytes,
                self._verify,
            )
        return out

    def verify(self) -> None:
        """Reads everything once. Raises DataLossError naming the first file that has changed."""
        for piece in (piece for pieces in self._pieces.values() for piece in pieces):
            file, stored = self._file(piece.file), self._stored[piece.file]
            for tensor in _parts_of(piece.entry):
                if tensor not in stored:
                    raise self._lacks(piece, tensor)
                file.read_into(stored[tensor], memoryview(b""))

    def _find(self, key: str, slot: str | None) -> list[_Piece]:
        try:
            return self._pieces[key, slot]
        except KeyError:
            pass
        what = f"{key!r}" if slot is None else f"slot {slot!r} of {key!r}"
        known = sorted(k for k, s in self._pieces if s == slot)
        listed = ", ".join(known[:20]) + (", ..." if len(known) > 20 else "")
        raise errors.NotFoundError(f"the checkpoint {self.path} has no {what}; it has {listed}")

    def _file(self, number: int) -> PartFile:
        file = self._files.get(number)
        if file is None:
            fragment = self.fragments[number]
            file = PartFile(file_of(self._manifest.folder, fragment), fragment["bytes"])
            file.check_header(fragment["header"]["bytes"], fragment["header"]["sha256"])
            self._files[number] = file
        return file

    def _lacks(self, piece: _Piece, name: str) -> errors.DataLossError:
        file = self.fragments[piece.file]["file"]
        return errors.DataLossError(f"the manifest of {self.path} lacks tensor {name!r} of {file}")

    def _stored_tensor(self, piece: _Piece, name: str) -> StoredTensor:
        try:
            return self._stored[piece.file][name]
        except KeyError:
            raise self._lacks(piece, name) from None

    def _mapped(
        self, piece: _Piece, start: int, dtype: np.dtype, wanted: tuple[int, ...]
    ) -> np.ndarray:
        file = self._file(piece.file)
        tensor = self._stored_tensor(piece, piece.entry["name"])
        count = int(np.prod(wanted, dtype=np.int64))
        row = count // wanted[0] if wanted and wanted[0] else 0
        values = file.view(tensor, self._verify).view(dtype)
        begin = (start - piece.start) * row
        return values[begin : begin + count].reshape(wanted)

    def _strings(
        self, pieces: list[_Piece], start: int, stop: int, wanted: tuple[int, ...]
    ) -> np.ndarray:
        out = np.empty(wanted, object)
        for piece in pieces:
            arrays = []
            for name in _parts_of(piece.entry):
                tensor = self._stored_tensor(piece, name)
                data = np.empty(tensor.shape, layout.numpy_dtype(tensor.dtype))
                self._file(piece.file).read_into(tensor, layout.bytes_of(data), 0, self._verify)
                arrays.append(data)
            if not wanted:
                return decode_strings(arrays[0], arrays[1], ())
            rows = piece.stop - piece.start
            decoded = decode_strings(arrays[0], arrays[1], (rows, *wanted[1:]))
            low, high = max(start, piece.start), min(stop, piece.stop)
            out[low - start : high - start] = decoded[low - piece.start : high - piece.start]
        return out


def _parts_of(entry: Mapping[str, Any]) -> tuple[str, ...]:
    name = entry["name"]
    if entry["dtype"] == "string":
        return f"{name}#bytes", f"{name}#offsets"
    return (name,)


def _logical_dtype(name: str) -> np.dtype:
    if name.startswith("complex"):
        return np.dtype(name)
    return layout.numpy_dtype(layout.STORED_DTYPES[name])


def read(directory: storage.Path, verify: bool = True) -> StoredCheckpoint:
    """Opens a checkpoint.

    Args:
      directory: the checkpoint's folder, as `write_manifest` and `latest_checkpoint` return it.
      verify: False leaves out the digests of what is read.

    Raises:
      NotFoundError: there is no such folder.
      DataLossError: it is no whole checkpoint, or its manifest has changed.
    """
    return StoredCheckpoint(read_manifest(directory), verify)

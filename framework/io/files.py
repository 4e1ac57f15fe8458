"""Whole files as strings, and names of files by pattern."""

from __future__ import annotations

import fnmatch
import glob as local_glob
from collections.abc import Iterable
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import shapes, storage
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import IO, op

_STRING = frozenset((dt.string,))


def text_of(value: Any) -> str:
    """A name out of a string tensor's element."""
    value = value[()] if isinstance(value, np.ndarray) else value
    return value.decode() if isinstance(value, bytes) else str(value)


def matching(patterns: Iterable[str]) -> list[str]:
    """Names of the files that match any of the patterns, sorted, each once."""
    found: set[str] = set()
    for pattern in patterns:
        if storage.is_remote(pattern):
            fs, inner = storage.filesystem(pattern)
            found.update(fs.unstrip_protocol(name) for name in fs.glob(inner))
        else:
            found.update(_local(storage.text(pattern)))
    return sorted(found)


def _local(pattern: str) -> list[str]:
    """As TensorFlow matches: `*` stops at a slash, `**` is no more than `*`, no hidden rules.

    What a pattern finds in the working folder begins with "./".
    """
    folder, _, last = pattern.rpartition("/")
    if not local_glob.has_magic(pattern):
        return local_glob.glob(local_glob.escape(pattern))
    folders = _local(folder) if local_glob.has_magic(folder) else [folder]
    found: list[str] = []
    for parent in folders:
        names = storage.names(parent or ("/" if pattern.startswith("/") else "."))
        prefix = f"{parent}/" if parent or pattern.startswith("/") else "./"
        found.extend(prefix + name for name in names if fnmatch.fnmatchcase(name, last))
    return found


def _scalar(*args: Any, **attrs: Any) -> Any:
    return shapes.TensorShape([])


@op("ReadFile", shape=_scalar, dtype=dt.string, dtypes=_STRING, effects=IO, widen=False,
    differentiable=False)  # fmt: skip
def read_file_op(xp, filename):
    """The bytes of a file, a scalar string. Raises NotFoundError."""
    out = np.empty((), object)
    out[()] = storage.read_bytes(text_of(filename))
    return out


@op("WriteFile", shape=lambda *args: [], dtype=lambda dtypes, attrs: (), dtypes=_STRING, outputs=0,
    effects=IO, direct=True, widen=False, differentiable=False)  # fmt: skip
def write_file_op(xp, filename, contents):
    """Writes a file and makes its folders; one that exists is replaced."""
    path = text_of(filename)
    storage.make_directory(storage.split(path)[0])
    storage.remove(path)
    with storage.open_new(path) as file:
        file.write(np.asarray(contents, object)[()])


@op("MatchingFiles", shape=lambda pattern: shapes.TensorShape([None]), dtype=dt.string,
    dtypes=_STRING, effects=IO, dynamic=True, widen=False, differentiable=False)  # fmt: skip
def matching_files_op(xp, pattern):
    """Names of files that match a pattern, or any of several, sorted."""
    names = matching([text_of(p) for p in np.reshape(pattern, -1)])
    out = np.empty(len(names), object)
    out[:] = [name.encode() for name in names]
    return out


def read_file(filename: Any, name: str | None = None) -> Any:
    """The bytes of a file as a scalar string tensor.

    Raises:
      NotFoundError: there is no such file.
    """
    return read_file_op(convert_to_tensor(filename, dt.string), name=name)


def write_file(filename: Any, contents: Any, name: str | None = None) -> Any:
    """Writes a scalar string to a file; makes the folders that are missing."""
    from shardtape.context import state

    inputs = convert_to_tensor(filename, dt.string), convert_to_tensor(contents, dt.string)
    if state.graph is None:
        write_file_op.kernel(np, *[t._host() for t in inputs])  # type: ignore[attr-defined]
        return None
    return write_file_op(*inputs, name=name)


def matching_files(pattern: Any, name: str | None = None) -> Any:
    """Names of the files that match a pattern (or any of several), sorted.

    A `*` does not match a slash.
    """
    return matching_files_op(convert_to_tensor(pattern, dt.string), name=name)

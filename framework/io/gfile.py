"""`tf.io.gfile`: files and folders by path, local or remote (through fsspec)."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from shardtape import errors, storage
from shardtape.io.files import matching

_MODES = {"r", "rb", "w", "wb", "a", "ab", "r+", "rb+", "r+b", "w+", "wb+", "w+b", "a+", "ab+"}


class FileStatistics(NamedTuple):
    """What `stat` tells: size in bytes, time of the last change in nanoseconds since 1970."""

    length: int
    mtime_nsec: int
    is_directory: bool


class GFile:
    """A file; text unless the mode has a "b".

    Args:
      name: path or URL.
      mode: "r", "w", "a", with "+" or "b".

    Raises:
      ValueError: another mode. NotFoundError: when a file that is not there is first read.
    """

    def __init__(self, name: Any, mode: str = "r") -> None:
        if mode not in _MODES:
            raise ValueError(f"mode {mode!r} is none of {sorted(_MODES)}")
        self._name, self._mode = _text(name), mode
        self._opened: Any = None

    @property
    def name(self) -> str:
        return self._name

    @property
    def mode(self) -> str:
        return self._mode

    def _file(self, wanted: str = "") -> Any:
        """The open file. Raises PermissionDeniedError for a use that the mode does not have."""
        if wanted == "read" and not ("r" in self._mode or "+" in self._mode):
            raise errors.PermissionDeniedError("File isn't open for reading")
        if wanted == "write" and "r" in self._mode and "+" not in self._mode:
            raise errors.PermissionDeniedError("File isn't open for writing")
        if self._opened is None:
            with storage.translated("open", self._name):
                if storage.is_remote(self._name):
                    fs, inner = storage.filesystem(self._name)
                    self._opened = fs.open(inner, self._mode)
                else:
                    # line ends stay as they are, and only "\n" ends a line
                    text: Any = {} if "b" in self._mode else {"encoding": "utf-8", "newline": "\n"}
                    self._opened = open(  # noqa: SIM115 - closed by close()
                        storage.text(self._name), self._mode, **text
                    )
        return self._opened

    def size(self) -> int:
        """Bytes in the file."""
        return stat(self._name).length

    def write(self, file_content: Any) -> None:
        """Appends text or bytes."""
        file = self._file("write")
        if "b" in self._mode and isinstance(file_content, str):
            file_content = file_content.encode()
        elif "b" not in self._mode and isinstance(file_content, bytes):
            file_content = file_content.decode()
        with storage.translated("write", self._name):
            file.write(file_content)

    def read(self, n: int = -1) -> Any:
        """Up to `n` characters or bytes; all by default."""
        with storage.translated("read", self._name):
            return self._file("read").read(n)

    def readline(self) -> Any:
        """The next line with its end, without carriage returns; empty at the end of the file."""
        line = self._file("read").readline()
        return line.replace(b"\r" if isinstance(line, bytes) else "\r", line[:0])

    def readlines(self) -> list[Any]:
        """All lines that are left."""
        return list(iter(self.readline, b"" if "b" in self._mode else ""))

    def seek(self, offset: int | None = None, whence: int = 0, position: int | None = None) -> None:
        """Moves to a place; `whence` as in Python's `seek`."""
        if offset is None and position is None:
            raise TypeError("seek(): offset argument required")
        self._file().seek(position if offset is None else offset, whence)

    def tell(self) -> int:
        """The place in the file."""
        return self._file().tell()

    def seekable(self) -> bool:
        return True

    def flush(self) -> None:
        """Hands what was written to the operating system."""
        if self._opened is not None:
            self._opened.flush()

    def close(self) -> None:
        """Closes the file; using it again opens it again."""
        if self._opened is not None:
            opened, self._opened = self._opened, None
            with storage.translated("close", self._name):
                opened.close()

    def next(self) -> Any:
        """The next line; StopIteration at the end."""
        line = self.readline()
        if not line:
            raise StopIteration
        return line

    __next__ = next

    def __iter__(self) -> GFile:
        return self

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *exc: Any) -> None:
        self.close()


Open = GFile


def _text(path: Any) -> str:
    if hasattr(path, "numpy"):
        path = path.numpy()
    return path.decode() if isinstance(path, bytes) else os.fspath(path)


def exists(path: Any) -> bool:
    """Whether there is a file or folder."""
    path = _text(path)
    if storage.is_remote(path):
        fs, inner = storage.filesystem(path)
        return bool(fs.exists(inner))
    return os.path.exists(storage.text(path))


def isdir(path: Any) -> bool:
    """Whether there is a folder."""
    return storage.is_directory(_text(path))


def listdir(path: Any) -> list[str]:
    """Names in a folder. Raises NotFoundError."""
    path = _text(path)
    if not storage.is_directory(path):
        raise errors.NotFoundError(f"Could not find directory {path}")
    return storage.names(path)


def makedirs(path: Any) -> None:
    """Makes a folder and its parents; one that exists is fine."""
    storage.make_directory(_text(path))


def mkdir(path: Any) -> None:
    """Makes a folder; one that exists is fine. Raises NotFoundError without a parent."""
    path = _text(path)
    if not storage.make_new_directory(path) and not storage.is_directory(path):
        raise errors.AlreadyExistsError(f"{path}: file already exists")


def remove(path: Any) -> None:
    """Removes a file. Raises NotFoundError."""
    path = _text(path)
    if not exists(path):
        raise errors.NotFoundError(f"{path}; No such file or directory")
    storage.remove(path)


def rmtree(path: Any) -> None:
    """Removes a folder and all in it. Raises NotFoundError."""
    path = _text(path)
    if not exists(path):
        raise errors.NotFoundError(f"{path}: no such folder")
    storage.remove_directory(path)


def rename(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Renames a file or folder. Raises AlreadyExistsError unless `overwrite`."""
    src, dst = _text(src), _text(dst)
    if exists(dst) and not overwrite:
        raise errors.AlreadyExistsError(f"{dst}: file already exists")
    storage.replace(src, dst)


def copy(src: Any, dst: Any, overwrite: bool = False) -> None:
    """Copies a file. Raises AlreadyExistsError unless `overwrite`."""
    src, dst = _text(src), _text(dst)
    if exists(dst) and not overwrite:
        raise errors.AlreadyExistsError(f"{dst}: file already exists")
    with storage.open_read(src) as source:
        if overwrite:
            storage.remove(dst)
        with storage.open_new(dst) as target, storage.translated("write", dst):
            shutil.copyfileobj(source, target)


def glob(pattern: Any) -> list[str]:
    """Names of files and folders that match a pattern, or any of several."""
    patterns = [pattern] if isinstance(pattern, (str, bytes, os.PathLike)) else pattern
    return matching([_text(p) for p in patterns])


def stat(path: Any) -> FileStatistics:
    """Size and time of a file. Raises NotFoundError."""
    path = _text(path)
    with storage.translated("look at", path):
        if storage.is_remote(path):
            fs, inner = storage.filesystem(path)
            found = fs.info(inner)
            changed = found.get("mtime", found.get("created", 0))
            nanoseconds = int(float(getattr(changed, "timestamp", lambda: changed)()) * 1e9)
            return FileStatistics(
                int(found["size"] or 0), nanoseconds, found["type"] == "directory"
            )
        status = os.stat(storage.text(path))
    return FileStatistics(status.st_size, status.st_mtime_ns, os.path.isdir(storage.text(path)))


def walk(
    top: Any, topdown: bool = True, onerror: Callable[[Exception], None] | None = None
) -> Iterator[tuple[str, list[str], list[str]]]:
    """(folder, names of folders in it, names of files in it), for `top` and all below it."""
    top = _text(top)
    try:
        names = listdir(top)
    except errors.OpError as error:
        if onerror is not None:
            onerror(error)
        return
    folders = [n for n in names if isdir(join(top, n))]
    here = (top, folders, [n for n in names if n not in set(folders)])
    if topdown:
        yield here
    for name in folders:
        yield from walk(join(top, name), topdown, onerror)
    if not topdown:
        yield here


def join(path: Any, *paths: Any) -> str:
    """Parts of a path in one; an absolute part begins anew."""
    made = _text(path)
    for part in map(_text, paths):
        if part.startswith("/") and not storage.is_remote(made):
            made = part
        else:
            made = f"{made.rstrip('/')}/{part.lstrip('/')}" if made else part
    return made


def get_registered_schemes() -> list[str]:
    """Schemes of URLs that can be opened."""
    import fsspec

    return ["", *sorted(fsspec.available_protocols())]

"""Files by path: the local file system directly, everything with a `scheme://` through fsspec.

Errors of the operating system become errors of Shardtape that name the path and say what to do;
what happened in the system stays attached as `__cause__`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from typing import Any, BinaryIO

from shardtape import errors

Path = str | os.PathLike[str]

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def text(path: Path) -> str:
    """The path as a string; `file:///x` becomes `/x`."""
    name = os.fspath(path)
    return name[len("file://") :] if name.startswith("file://") else name


def is_remote(path: Path) -> bool:
    """True for `scheme://...` other than `file://`."""
    return "://" in text(path)


def join(path: Path, *names: str) -> str:
    """`path` with names below it."""
    return "/".join([text(path).rstrip("/"), *names])


def split(path: Path) -> tuple[str, str]:
    """The folder and the last name of a path."""
    folder, _, name = text(path).rstrip("/").rpartition("/")
    return folder or ("/" if text(path).startswith("/") else "."), name


def filesystem(path: Path) -> tuple[Any, str]:
    """The fsspec file system of a remote path, and the path inside it.

    Raises:
      FailedPreconditionError: the package that reads such paths is not installed.
      InvalidArgumentError: nobody knows the path's scheme.
    """
    import fsspec

    try:
        return fsspec.core.url_to_fs(text(path))
    except ImportError as error:
        raise errors.FailedPreconditionError(
            f"{text(path)} cannot be reached: {error} (here, and in the image of the processes)"
        ) from error
    except ValueError as error:
        raise errors.InvalidArgumentError(f"{text(path)} cannot be reached: {error}") from error


def translate(error: OSError, doing: str, path: Path) -> errors.OpError:
    """The error of Shardtape for an error of the operating system.

    Args:
      error: what was raised.
      doing: what was being done, as in "write".
      path: the file or folder that it was done to.
    """
    name = text(path)
    said = error.strerror or str(error) or type(error).__name__
    if error.errno in FULL:
        return errors.ResourceExhaustedError(
            f"cannot {doing} {name}: {said}{_space(name)}. Free some space, raise the quota, or "
            "write somewhere else."
        )
    if isinstance(error, FileNotFoundError):
        if doing in ("read", "open"):
            return errors.NotFoundError(f"{name}; {said}")  # TensorFlow's words
        return errors.NotFoundError(f"cannot {doing} {name}: there is no such file or folder")
    if isinstance(error, FileExistsError):
        return errors.AlreadyExistsError(f"cannot {doing} {name}: it exists already")
    if isinstance(error, PermissionError):
        return errors.PermissionDeniedError(
            f"cannot {doing} {name}: {said}. Check the owner and the mode of the file and of its "
            "folder."
        )
    if isinstance(error, (IsADirectoryError, NotADirectoryError)):
        return errors.FailedPreconditionError(f"cannot {doing} {name}: {said}")
    return errors.UnavailableError(f"cannot {doing} {name}: {said}")


def _space(path: str) -> str:
    while path and not os.path.isdir(path):
        parent = os.path.dirname(path)
        if parent == path:
            return ""
        path = parent
    with contextlib.suppress(OSError):
        usage = shutil.disk_usage(path or ".")
        return f" ({usage.free:,} of {usage.total:,} bytes are free in {path or '.'})"
    return ""


@contextlib.contextmanager
def translated(doing: str, path: Path) -> Iterator[None]:
    """Context that turns an OSError into an error of Shardtape about `path`."""
    try:
        yield
    except OSError as error:
        raise translate(error, doing, path) from error


def make_directory(path: Path) -> None:
    """Makes a folder and its parents; one that exists is fine."""
    with translated("make the folder", path):
        if is_remote(path):
            fs, inner = filesystem(path)
            fs.makedirs(inner, exist_ok=True)
        else:
            os.makedirs(text(path), exist_ok=True)


def open_new(path: Path) -> BinaryIO:
    """Opens a file for writing, in an existing folder; one that exists raises."""
    with translated("create", path):
        if is_remote(path):
            fs, inner = filesystem(path)
            if fs.exists(inner):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), inner)
            return fs.open(inner, "wb")
        return open(text(path), "xb")


def open_read(path: Path) -> BinaryIO:
    """Opens a file for reading bytes."""
    with translated("open", path):
        if is_remote(path):
            fs, inner = filesystem(path)
            return fs.open(inner, "rb")
        return open(text(path), "rb")


def read_bytes(path: Path) -> bytes:
    """All bytes of a file."""
    with open_read(path) as file, translated("read", path):
        return file.read()


def size_bytes(path: Path) -> int | None:
    """The size of a file; None where there is none."""
    try:
        if is_remote(path):
            fs, inner = filesystem(path)
            return int(fs.info(inner)["size"]) if fs.isfile(inner) else None
        return os.stat(text(path)).st_size if os.path.isfile(text(path)) else None
    except FileNotFoundError:
        return None


def is_directory(path: Path) -> bool:
    """True for an existing folder."""
    if is_remote(path):
        fs, inner = filesystem(path)
        return bool(fs.isdir(inner))
    return os.path.isdir(text(path))


def names(path: Path) -> list[str]:
    """The sorted names in a folder; empty where there is no folder."""
    try:
        if is_remote(path):
            fs, inner = filesystem(path)
            fs.invalidate_cache(inner)
            return sorted(split(found)[1] for found in fs.ls(inner, detail=False))
        return sorted(os.listdir(text(path)))
    except (FileNotFoundError, NotADirectoryError):
        return []


def replace(source: Path, target: Path) -> None:
    """Renames a file; the target is replaced in one step (where the store can do that)."""
    with translated("rename into", target):
        if is_remote(target):
            fs, inner = filesystem(source)
            fs.mv(inner, filesystem(target)[1])
        else:
            os.replace(text(source), text(target))


def write_whole(path: Path, data: bytes) -> None:
    """Writes a small file in one step: at any moment there is the old one or the whole new one."""
    unfinished = f"{text(path)}.{os.getpid()}.partial"
    remove(unfinished)  # of a process that had the same number
    file = open_new(unfinished)
    try:
        with translated("write", unfinished):
            file.write(data)
            file.flush()
            if not is_remote(unfinished):
                os.fsync(file.fileno())
            file.close()
        replace(unfinished, path)
    except BaseException:  # Ctrl-C too leaves nothing behind
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(errors.OpError):
            remove(unfinished)
        raise
    sync_directory(split(path)[0])


def sync_directory(path: Path) -> None:
    """Waits until the names in a local folder are on the disk."""
    if is_remote(path):
        return
    with translated("sync", path):
        descriptor = os.open(text(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove(path: Path) -> None:
    """Removes a file; one that is gone already is fine."""
    with translated("remove", path), contextlib.suppress(FileNotFoundError):
        if is_remote(path):
            fs, inner = filesystem(path)
            fs.rm_file(inner)
        else:
            os.unlink(text(path))


def remove_directory(path: Path) -> None:
    """Removes a folder and all in it; one that is gone already is fine."""
    with translated("remove", path), contextlib.suppress(FileNotFoundError):
        if is_remote(path):
            fs, inner = filesystem(path)
            fs.rm(inner, recursive=True)
        else:
            shutil.rmtree(text(path))


def make_new_directory(path: Path) -> bool:
    """Makes a folder in an existing one; False if the name is taken."""
    with translated("make the folder", path):
        try:
            if is_remote(path):
                fs, inner = filesystem(path)
                if fs.exists(inner):
                    return False
                fs.mkdir(inner)
            else:
                os.mkdir(text(path))
        except FileExistsError:
            return False
    return True

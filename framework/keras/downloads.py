"""`tf.keras.utils.get_file`: files from the network, kept in a folder of the user's."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from typing import Any

from shardtape.errors import InvalidArgumentError, UnavailableError
from shardtape.keras.progress_bar import ProgressBar, tell

_TIMEOUT_S = 60.0
_CHUNK_BYTES = 8192


def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | None = "auto",
    cache_dir: Any = None,
) -> str:
    """The path of a file that is downloaded where it is not there yet (or has another hash).

    Args:
      fname: its name in the cache; default that of the URL. An absolute path is taken as it is.
      origin: the URL.
      untar: the file is a tar archive `<fname>.tar.gz`, and the result is what it is unpacked to.
      file_hash, md5_hash: of the file, sha256 or md5 (told by the length).
      cache_subdir, cache_dir: the folder is `cache_dir/cache_subdir`; `cache_dir` is $KERAS_HOME
        or ~/.keras by default.
      extract: also unpack a tar or zip archive beside itself.

    Raises:
      UnavailableError: the URL could not be read; the text says where the file may be laid.
      InvalidArgumentError: what was downloaded has another hash.
    """
    if origin is None:
        raise ValueError('Please specify the "origin" argument (URL of the file to download).')
    if cache_dir is None:
        home = os.path.join(os.path.expanduser("~"), ".keras")
        cache_dir = os.environ.get("KERAS_HOME") or home
    folder = os.path.join(os.path.expanduser(os.fspath(cache_dir)), cache_subdir)
    if not _may_be_made(folder):
        folder = os.path.join(tempfile.gettempdir(), ".keras", cache_subdir)
    os.makedirs(folder, exist_ok=True)
    name = os.path.basename(origin.split("?")[0]) if fname is None else os.fspath(fname)
    if not name:
        raise ValueError(f"Can't parse the file name from the origin provided: '{origin}'.")
    if untar and name.endswith(".tar.gz"):
        name = name[: -len(".tar.gz")]
    result = os.path.join(folder, name)
    target = f"{result}.tar.gz" if untar else result
    wanted = md5_hash if md5_hash is not None and file_hash is None else file_hash
    algorithm = "md5" if md5_hash is not None and file_hash is None else hash_algorithm
    if os.path.exists(target) and wanted is not None and not _matches(target, wanted, algorithm):
        sys.stdout.write(
            "A local file was found, but it seems to be incomplete or outdated because the "
            f"{algorithm} file hash does not match the original value of {wanted} so we will "
            "re-download the data.\n"
        )
        _fetch(origin, target, wanted, algorithm)
    elif not os.path.exists(target):
        _fetch(origin, target, wanted, algorithm)
    if untar:
        if not os.path.exists(result):
            _unpack(target, folder, "tar")
    elif extract:
        _unpack(target, folder, archive_format)
    return result


def _may_be_made(folder: str) -> bool:
    there = folder
    while not os.path.exists(there):
        there = os.path.dirname(there)
    return os.access(there, os.W_OK)


def _fetch(origin: str, target: str, wanted: str | None, algorithm: str) -> None:
    import urllib.error
    import urllib.request

    tell(f"Downloading data from {origin}")
    partial = f"{target}.part{os.getpid()}"
    try:
        with urllib.request.urlopen(origin, timeout=_TIMEOUT_S) as answer, open(partial, "wb") as f:
            _copy(answer, f)
        if wanted is not None and not _matches(partial, wanted, algorithm):
            raise InvalidArgumentError(
                "Incomplete or corrupted file detected. The file hash does not match the provided "
                f"value of {wanted}: what {origin} gives is not the file that was expected"
            )
        os.replace(partial, target)
    except urllib.error.HTTPError as error:
        raise _unavailable(origin, target, f"{error.code} -- {error.msg}") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise _unavailable(origin, target, f"{error.errno} -- {reason}") from error
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def _copy(answer: Any, file: Any) -> None:
    """Writes what an answer holds into a file, under a progress bar that counts bytes.

    Raises ContentTooShortError where the answer ends before all that it announced.
    """
    from urllib.error import ContentTooShortError

    size = answer.headers.get("Content-Length")
    total = int(size) if size else None
    bar = ProgressBar(total)
    done = 0
    while part := answer.read(_CHUNK_BYTES):
        file.write(part)
        done += len(part)
        bar.update(done, {}, finalize=total is not None and done >= total)
    if total is not None and done < total:
        text = f"retrieval incomplete: got only {done} out of {total} bytes"
        raise ContentTooShortError(text, (file.name, answer.headers))


def _unavailable(origin: str, target: str, reason: str) -> UnavailableError:
    return UnavailableError(
        f"URL fetch failure on {origin}: {reason}. Without a way to the network lay the file at "
        f"{target}"
    )


def _matches(path: str, wanted: str, algorithm: str) -> bool:
    name = "sha256" if algorithm == "sha256" or len(wanted) == 64 else "md5"
    made = hashlib.new(name, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            made.update(chunk)
    return made.hexdigest() == wanted


def _unpack(path: str, folder: str, kind: Any) -> None:
    import tarfile
    import zipfile

    if kind is None:
        return
    kinds = ["tar", "zip"] if kind == "auto" else [kind] if isinstance(kind, str) else list(kind)
    if "tar" in kinds and tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            archive.extractall(folder, filter="data")
    elif "zip" in kinds and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as zipped:
            zipped.extractall(folder)

"""A file beside the checkpoints that says that a job is running, or did not end by itself.

It is written when a job starts and removed when it ends in order (finished, stopped, or failed
with an error). One that is found at a start therefore means either that the job still runs, and
then a second one must not write into the same folder; or that its processes were killed, and
then the same command goes on from the newest checkpoint.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import psutil

from shardtape import storage
from shardtape.errors import AlreadyExistsError

NAME = "running.json"


class Marker:
    """The marker of one checkpoint folder; does nothing for remote folders and for None."""

    def __init__(self, folder: str | None, job: str) -> None:
        local = folder is not None and not storage.is_remote(folder)
        self._path = Path(storage.text(folder)) / NAME if local and folder else None
        self._job = job

    def set(self) -> bool:
        """Marks the folder as in use by this process.

        Returns:
          Whether an earlier job was killed there, so that this one has to go on from its newest
          checkpoint.

        Raises:
          AlreadyExistsError: another living process is using it; the text names it.
        """
        if self._path is None:
            return False
        left = self._read()
        if left is not None and _alive(left):
            raise AlreadyExistsError(
                f"job {left['job']!r} (process {left['pid']}) is writing checkpoints to "
                f"{self._path.parent}: wait for it, stop it, or give another checkpoint_dir"
            )
        with storage.translated("write", self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            process = psutil.Process()
            self._path.write_text(
                json.dumps(
                    {
                        "job": self._job,
                        "host": platform.node(),
                        "pid": process.pid,
                        "created": process.create_time(),
                    }
                )
            )
            self._path.chmod(0o600)
        return left is not None

    def clear(self) -> None:
        """The job ended in order."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, object] | None:
        assert self._path is not None
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) and "pid" in found and "job" in found else None


def _alive(left: dict[str, object]) -> bool:
    """Whether the process that wrote a marker still runs (on this host, as far as we can see)."""
    if left.get("host") != platform.node() or left.get("pid") == os.getpid():
        return False
    try:
        process = psutil.Process(int(str(left["pid"])))
        return abs(process.create_time() - float(str(left.get("created", 0)))) < 1.0
    except (psutil.Error, ValueError):
        return False

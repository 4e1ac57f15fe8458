"""`tf.profiler.experimental`: profiles of the Python code of this process.

A profile is written as `plugins/profile/TIME/HOST.pstats` in the log directory; `python -m pstats`
reads it.
"""

from __future__ import annotations

import cProfile
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from shardtape import errors


class ProfilerOptions(NamedTuple):
    """Accepted by `start`; only Python is traced."""

    host_tracer_level: int = 2
    python_tracer_level: int = 0
    device_tracer_level: int = 1
    delay_ms: int | None = None


_running: tuple[cProfile.Profile, Path] | None = None


def start(logdir: str, options: ProfilerOptions | None = None) -> None:
    """Starts a profile that `stop` writes to `logdir`.

    Raises AlreadyExistsError where one is running.
    """
    global _running
    if _running is not None:
        raise errors.AlreadyExistsError("Another profiler is running.")
    _running = cProfile.Profile(), Path(logdir)
    _running[0].enable()


def stop(save: bool = True, directory: str | None = None) -> None:
    """Ends the profile and writes it to `directory`, by default that of `start`.

    Raises UnavailableError where none is running.
    """
    global _running
    if _running is None:
        raise errors.UnavailableError("Cannot export profiling results. No profiler is running.")
    (profile, logdir), _running = _running, None
    profile.disable()
    if save:
        folder = (
            Path(directory or logdir) / "plugins" / "profile" / time.strftime("%Y_%m_%d_%H_%M_%S")
        )
        folder.mkdir(parents=True, exist_ok=True)
        profile.dump_stats(folder / f"{socket.gethostname()}.pstats")


class Profile:
    """Block that is profiled."""

    def __init__(self, logdir: str, options: ProfilerOptions | None = None) -> None:
        self._logdir, self._options = logdir, options

    def __enter__(self) -> None:
        start(self._logdir, self._options)

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop()


class Trace:
    """Block with a name; Python profiles show functions, so the name is not written."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        self._name = name

    def __enter__(self) -> Trace:
        return self

    def __exit__(self, *exc: Any) -> None: ...

    def set_metadata(self, **kwargs: Any) -> None: ...

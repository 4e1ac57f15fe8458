"""Runs a training script as `python script.py` would, with readable errors."""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import shardtape
from shardtape.errors import OpError
from shardtape.source_lines import original_frame
from shardtape.workers.config import OptionError, Uses
from shardtape.workers.interrupts import TERMINATED


class ScriptError(OpError):
    """A script ended with an exception; the text holds what the user needs to see."""


class UsageError(OpError):
    """What the command was given is wrong: a script, an option, a file of options."""


def run_script(script: Path, arguments: Sequence[str] = (), uses: Uses | None = None) -> None:
    """Runs the file as `__main__` in this process, its directory first on the path.

    Args:
      script: path of a Python program.
      arguments: what it finds in `sys.argv[1:]`.
      uses: of the options; where it is given, the script has to begin a job.

    Raises:
      UsageError: there is no such file, an option that the script did not give is wrong, or the
        script came to its end without a job.
      ScriptError: the script raised; errors of Shardtape's own are told in one sentence with
        the script's line, all others with the user's part of the traceback.
      SystemExit, KeyboardInterrupt: as the script raised them; SIGTERM is a SystemExit.
    """
    if not script.is_file():
        kind = "a directory" if script.is_dir() else "not there"
        raise UsageError(f"the script {script} is {kind}: give the path of a Python program")
    saved_arguments, saved_path = sys.argv, list(sys.path)
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.resolve().parent))
    try:
        with _termination():
            runpy.run_path(str(script), run_name="__main__")
    except OptionError as error:
        raise UsageError(error.message) from error
    except OpError as error:
        where = _line_of(script, error)
        raise ScriptError(f"{error.message}{where}") from error
    except Exception as error:  # user code may raise anything; all of it is for the user to read
        raise ScriptError(f"the script failed\n{_told(script, error)}") from error
    finally:
        sys.argv, sys.path[:] = saved_arguments, saved_path
    if uses is not None and not uses.begun:
        raise UsageError(_without_job(script, uses))


@contextlib.contextmanager
def _termination() -> Iterator[None]:
    """SIGTERM unwinds the script, as Ctrl-C does; while a job trains the Trainer takes both."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: Any) -> None:
        raise SystemExit(TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _without_job(script: Path, uses: Uses) -> str:
    if uses.resolved:
        return f"{script} made a shardtape.Trainer but never called its fit(): nothing was trained"
    return (
        f"{script} ended without a shardtape.Trainer(...).fit(): there was no job to run and "
        f"nothing to give the options to (`python {script}` runs other programs)"
    )


def _is(script: Path, filename: str) -> bool:
    return os.path.realpath(filename) == os.path.realpath(script)


def _line_of(script: Path, error: BaseException) -> str:
    """The innermost line of the script on the way to the error, or to what caused it."""
    found: traceback.FrameSummary | None = None
    step: BaseException | None = error
    while step is not None:
        whole = map(original_frame, traceback.extract_tb(step.__traceback__))
        lines = [frame for frame in whole if _is(script, frame.filename)]
        found = lines[-1] if lines else found
        step = step.__cause__
    return "" if found is None else f"\n  at {script}:{found.lineno}: {found.line}"


def _inner_folders() -> tuple[str, ...]:
    """Folders whose frames say nothing to a user: the packages of Shardtape."""
    names = ("shardtape", *(f"shardtape.{part}" for part in ("deploy", "workers", "ps", "protos")))
    modules = [shardtape, *(sys.modules[name] for name in names[1:] if name in sys.modules)]
    return tuple(os.path.realpath(folder) + os.sep for m in modules for folder in m.__path__)


def _told(script: Path, error: BaseException) -> str:
    """As Python prints it, without the frames of Shardtape and of what runs the script."""
    whole = traceback.TracebackException.from_exception(error)
    left_out = _keep_users_frames(whole, _inner_folders())
    text = "".join(whole.format()).rstrip()
    if left_out:
        text += f"\n({left_out} lines inside shardtape are left out; `python {script}` shows them)"
    return text


def _keep_users_frames(told: traceback.TracebackException, inner: tuple[str, ...]) -> int:
    """Drops the other frames, also of causes. Returns how many lay below the script's first."""
    kept: list[traceback.FrameSummary] = []
    left_out = 0
    for frame in map(original_frame, told.stack):
        if os.path.realpath(frame.filename).startswith(inner):
            left_out += bool(kept)
        elif frame.filename != runpy.__file__ and not frame.filename.startswith("<frozen "):
            kept.append(frame)
    told.stack = traceback.StackSummary.from_list(kept)
    for other in (told.__cause__, told.__context__, *(getattr(told, "exceptions", None) or ())):
        if other is not None:
            left_out += _keep_users_frames(other, inner)
    return left_out

"""Runs a training script as `python script.py` would, with readable errors."""

from __future__ import annotations

import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from shardtape.errors import NotFoundError, OpError


class ScriptError(OpError):
    """A script ended with an exception; the text holds what the user needs to see."""


def run_script(script: Path, arguments: Sequence[str] = ()) -> None:
    """Runs the file as `__main__` in this process, its directory first on the path.

    Args:
      script: path of a Python program.
      arguments: what it finds in `sys.argv[1:]`.

    Raises:
      NotFoundError: there is no such file.
      ScriptError: the script raised; errors of Shardtape's own are told in one sentence with
        the script's line, all others with the traceback that Python would print.
      SystemExit, KeyboardInterrupt: as the script raised them.
    """
    if not script.is_file():
        raise NotFoundError(f"There is no script {script}")
    saved_arguments, saved_path = sys.argv, list(sys.path)
    sys.argv = [str(script), *arguments]
    sys.path.insert(0, str(script.resolve().parent))
    try:
        runpy.run_path(str(script), run_name="__main__")
    except OpError as error:
        where = _line_of(script, error)
        raise ScriptError(f"{error.message}{where}") from error
    except Exception as error:  # user code may raise anything; all of it is for the user to read
        raise ScriptError("the script failed\n" + _traceback_of(script, error)) from error
    finally:
        sys.argv, sys.path[:] = saved_arguments, saved_path


def _is(script: Path, filename: str) -> bool:
    return os.path.realpath(filename) == os.path.realpath(script)


def _line_of(script: Path, error: BaseException) -> str:
    """The innermost line of the script on the way to the error."""
    lines = [f for f in traceback.extract_tb(error.__traceback__) if _is(script, f.filename)]
    if not lines:
        return ""
    last = lines[-1]
    return f"\n  at {script}:{last.lineno}: {last.line}"


def _traceback_of(script: Path, error: BaseException) -> str:
    """As Python prints it, beginning at the script's own first line."""
    step = error.__traceback__
    while step is not None and not _is(script, step.tb_frame.f_code.co_filename):
        step = step.tb_next
    whole = traceback.format_exception(type(error), error, step or error.__traceback__)
    return "".join(whole).rstrip()

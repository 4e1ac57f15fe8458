"""What the `shardtape` command loads first: Ctrl-C while it imports the rest ends it quietly.

A module of its own beside the package, because importing anything of `shardtape` takes the second
in which Ctrl-C would show a traceback through half the imports.
"""

from __future__ import annotations

import os
import signal
from typing import Any

_INTERRUPTED = 130


def _end(number: int, frame: Any) -> None:
    # not an exception: libraries turn those into errors of their own while they are imported
    os.write(2, b"interrupted\n")
    os._exit(_INTERRUPTED)


def main() -> None:
    """The command's entry point."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # else ignored, as in the background of a shell
        signal.signal(signal.SIGINT, _end)
    from shardtape.deploy.command import main as command

    signal.signal(signal.SIGINT, before)
    command()

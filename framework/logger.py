"""The logger that the framework warns through, and warnings that end after a few times."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

_lock = threading.Lock()
_configured = False
# texts with the number of times that each was logged
_counts: dict[str, int] = {}


class _Console(logging.StreamHandler):
    """Writes to what is the console at the time, also after it was redirected."""

    @property
    def stream(self) -> Any:
        interactive = hasattr(sys, "ps1") or bool(sys.flags.interactive)
        return sys.stdout if interactive else sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        pass


def get_logger() -> logging.Logger:
    """The framework's logger; lines read `WARNING:shardtape:text`.

    It writes to stderr (in an interactive session to stdout), unless the program has set up
    logging by itself.
    """
    global _configured
    logger = logging.getLogger("shardtape")
    with _lock:
        if not _configured and not logging.getLogger().handlers and not logger.handlers:
            handler = _Console()
            handler.setFormatter(logging.Formatter(logging.BASIC_FORMAT))
            logger.addHandler(handler)
        _configured = True
    return logger


def warn_first(times: int, text: str, *arguments: object) -> None:
    """Warns of `text % arguments`, but at most so many times of one text in a process."""
    with _lock:
        count = _counts.get(text, 0)
        _counts[text] = count + 1
    if count < times:
        get_logger().warning(text, *arguments)

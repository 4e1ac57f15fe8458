"""`tf.compat.v1.logging`: the framework's logger under TensorFlow 1's names."""

from __future__ import annotations

import logging as standard
import sys
import threading
from typing import Any

from shardtape.logger import get_logger

DEBUG, INFO, WARN = standard.DEBUG, standard.INFO, standard.WARNING
ERROR, FATAL = standard.ERROR, standard.CRITICAL

_lock = threading.Lock()
# how often each line of a program came by
_counts: dict[tuple[str, int], int] = {}


def set_verbosity(v: Any) -> None:
    """Logs what is at least this important: a number, or a name like "ERROR"."""
    get_logger().setLevel(v)


def get_verbosity() -> int:
    """The least level that is logged."""
    return get_logger().getEffectiveLevel()


def log(level: int, msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs `msg % args` at a level."""
    get_logger().log(level, msg, *args, **kwargs)


vlog = log


def debug(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs at the level DEBUG."""
    log(DEBUG, msg, *args, **kwargs)


def info(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs at the level INFO."""
    log(INFO, msg, *args, **kwargs)


def warning(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs at the level WARN."""
    log(WARN, msg, *args, **kwargs)


warn = warning


def error(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs at the level ERROR."""
    log(ERROR, msg, *args, **kwargs)


def fatal(msg: Any, *args: Any, **kwargs: Any) -> None:
    """Logs at the level FATAL."""
    log(FATAL, msg, *args, **kwargs)


def log_if(level: int, msg: Any, condition: Any, *args: Any) -> None:
    """Logs if the condition holds."""
    if condition:
        log(level, msg, *args)


def log_every_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Logs when the calling line comes by for the first time, and at every n-th time after."""
    log_if(level, msg, _times() % n == 0, *args)


def log_first_n(level: int, msg: Any, n: int, *args: Any) -> None:
    """Logs the first n times that the calling line comes by."""
    log_if(level, msg, _times() < n, *args)


def flush() -> None:
    """Writes out what waits in handlers."""
    for handler in get_logger().handlers:
        handler.flush()


def _times() -> int:
    """How often the line that called `log_every_n` or its sister came by before."""
    frame = sys._getframe(2)
    line = frame.f_code.co_filename, frame.f_lineno
    with _lock:
        count = _counts.get(line, 0)
        _counts[line] = count + 1
    return count

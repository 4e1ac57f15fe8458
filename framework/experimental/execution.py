"""Settings of how TensorFlow runs operations; here they run at once, in the caller's thread."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

_EXECUTORS = (None, "DEFAULT", "SINGLE_THREADED_EXECUTOR")


@contextlib.contextmanager
def async_scope() -> Iterator[None]:
    """A block whose operations may run later; errors come at the operation itself."""
    yield


def async_clear_error() -> None:
    """Forgets errors of operations that ran later: there are none."""


@contextlib.contextmanager
def function_executor_type(executor_type: str | None) -> Iterator[None]:
    """A block whose functions run by another executor: there is one.

    Args:
      executor_type: None, "DEFAULT" or "SINGLE_THREADED_EXECUTOR".

    Raises ValueError for another.
    """
    if executor_type not in _EXECUTORS:
        raise ValueError(f"executor_type must be one of {_EXECUTORS}, got {executor_type!r}")
    yield


__all__ = ["async_clear_error", "async_scope", "function_executor_type"]

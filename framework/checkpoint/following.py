"""Following the checkpoints that another process writes, and options that programs pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from shardtape import storage
from shardtape.checkpoint.directory import latest_checkpoint

_POLL_S = 1.0


class CheckpointOptions:
    """Accepted by `Checkpoint.save` and its sisters; files are written by the process itself.

    Args:
      experimental_io_device: kept and given back.
    """

    def __init__(
        self, experimental_io_device: str | None = None,
        experimental_enable_async_checkpoint: bool = False,
        experimental_write_callbacks: Any = None, enable_async: bool = False, **others: Any,
    ) -> None:  # fmt: skip
        self.experimental_io_device = experimental_io_device
        self.enable_async = enable_async or experimental_enable_async_checkpoint
        self.experimental_enable_async_checkpoint = self.enable_async
        self.experimental_write_callbacks = experimental_write_callbacks


def checkpoints_iterator(
    checkpoint_dir: storage.Path, min_interval_secs: float = 0, timeout: float | None = None,
    timeout_fn: Callable[[], bool] | None = None,
) -> Iterator[str]:  # fmt: skip
    """The newest checkpoint of a folder each time there is another one.

    Args:
      min_interval_secs: seconds between two of them at least.
      timeout: seconds to wait for another one; None waits for ever.
      timeout_fn: asked when the time is over; True ends, False waits again.
    """
    last: str | None = None
    while True:
        found = _another(checkpoint_dir, last, timeout)
        if found is None:
            if timeout_fn is None or timeout_fn():
                return
            continue
        started = time.monotonic()
        last = found
        yield found
        rest = min_interval_secs - (time.monotonic() - started)
        if rest > 0:
            time.sleep(rest)


def _another(folder: storage.Path, last: str | None, timeout: float | None) -> str | None:
    """The newest checkpoint once it is not `last`; None when the time is over."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        found = latest_checkpoint(folder)
        if found is not None and found != last:
            return found
        left = _POLL_S if deadline is None else min(_POLL_S, deadline - time.monotonic())
        if left <= 0:
            return None
        time.sleep(left)

"""Settings that programs ask for: where ops run, how tracebacks look."""

from __future__ import annotations

import logging

from shardtape.context import refresh, state

_log = logging.getLogger("shardtape")
_log_placement = False


class _PlacementLog:
    """Sees every op as a tape does, and logs where its result lies."""

    def record(self, op: object, inputs: object, attrs: object, outputs: tuple) -> None:  # type: ignore[type-arg]
        for out in outputs:
            if hasattr(out, "_array"):
                _log.info("Executing op %s in device %s", getattr(op, "type", op), out.device)
                return

    def read(self, variable: object) -> None: ...


_placements = _PlacementLog()


def set_log_device_placement(enabled: bool) -> None:
    """Whether the device of every op of this thread is logged (level INFO)."""
    global _log_placement
    _log_placement = bool(enabled)
    others = tuple(r for r in state.recorders if r is not _placements)
    state.recorders = (_placements, *others) if enabled else others
    refresh()


def get_log_device_placement() -> bool:
    """Whether it is."""
    return _log_placement


def enable_traceback_filtering() -> None:
    """Accepted: tracebacks are Python's and show all frames."""


def disable_traceback_filtering() -> None:
    """Accepted: tracebacks are Python's and show all frames."""


def is_traceback_filtering_enabled() -> bool:
    """False: all frames are shown."""
    return False

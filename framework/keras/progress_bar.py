"""The progress bar of `fit`, laid out as Keras does."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

_log = logging.getLogger("shardtape")
_INTERVAL_S = 0.05
_WIDTH = 30


class _Logging:
    interactive = True


def enable_interactive_logging() -> None:
    """Progress and messages of Keras go to stdout, which is the default."""
    _Logging.interactive = True


def disable_interactive_logging() -> None:
    """Progress and messages of Keras go to the logger `shardtape`, as lines of level INFO."""
    _Logging.interactive = False


def is_interactive_logging_enabled() -> bool:
    """Whether they go to stdout."""
    return _Logging.interactive


class ProgressBar:
    """Shows steps and values.

    Args:
      target: number of steps; None where it is not known.
      verbose: 1 shows a bar that moves, 2 one line at the end.
      unit_name: what a step is called.
      stateful_metrics: names of values that are shown as they are; others are averaged.
      bar: characters of the whole bar.
    """

    def __init__(
        self, target: int | None, verbose: int = 1, unit_name: str = "step",
        stateful_metrics: Any = (), bar: int = _WIDTH,
    ) -> None:  # fmt: skip
        self._bar = bar
        self.target, self.verbose, self.unit_name = target, verbose, unit_name
        self.stateful_metrics = set(stateful_metrics)
        self._sums: dict[str, tuple[float, int]] = {}
        self._seen = 0
        self._start = time.monotonic()
        self._last = float("-inf")  # the first step is shown at once
        self._after_first: float | None = None
        self._width = 0

    def update(self, current: int, values: Mapping[str, Any], finalize: bool = False) -> None:
        """Shows that `current` steps are done."""
        values = self._averaged(current, values)
        now = time.monotonic()
        each = self._step_s(current, now)
        if self.verbose == 1 and (finalize or now - self._last >= _INTERVAL_S):
            self._draw(current, values, finalize, now, each)
            self._last = now
        elif self.verbose == 2 and finalize:
            total = now - self._start
            line = f"{self._steps(current)} - {total:.0f}s{_values(values)}"
            line += f" - {_duration(total, 'epoch')} - {_duration(each, self.unit_name)}\n"
            _write(line)

    def _draw(
        self, current: int, values: Mapping[str, Any], finalize: bool, now: float, each: float
    ) -> None:
        if self.target is None:
            bar = f"{current:7d}/Unknown"
        else:
            done = int(self._bar * current / self.target)
            bar = "=" * max(0, done - 1) + ("" if not done else ">" if current < self.target
                                            else "=")  # fmt: skip
            bar = f"{self._steps(current)} [{bar}{'.' * (self._bar - done)}]"
        if finalize or self.target is None:
            info = f" - {now - self._start:.0f}s {_duration(each, self.unit_name)}"
        else:
            info = f" - ETA: {_clock(each * (self.target - current))}"
        line = bar + info + _values(values)
        padding = " " * max(0, self._width - len(line))
        back = "\b" * self._width + "\r"
        self._width = len(line)
        _write(back + line + padding + ("\n" if finalize else ""))

    def _averaged(self, current: int, values: Mapping[str, Any]) -> dict[str, Any]:
        new = max(current - self._seen, 1)
        self._seen = current
        shown = {}
        for name, value in values.items():
            if name not in self.stateful_metrics:
                total, count = self._sums.get(name, (0.0, 0))
                total, count = total + np.mean(value) * new, count + new
                self._sums[name] = total, count
                value = total / count
            shown[name] = value
        return shown

    def _steps(self, current: int) -> str:
        if self.target is None:
            return f"{current}/Unknown"
        return f"{current:{len(str(self.target))}d}/{self.target}"

    def _step_s(self, current: int, now: float) -> float:
        """Seconds of a step; the first one counts only until there are others."""
        if not current:
            return 0.0
        if current == 1 or self._after_first is None:
            self._after_first = now if self._after_first is None else self._after_first
            return (now - self._start) / current
        return (now - self._after_first) / max(1, current - 1)


def _values(values: Mapping[str, Any]) -> str:
    text = ""
    for name, value in values.items():
        number = float(np.mean(value))
        text += f" - {name}: " + (f"{number:.4f}" if abs(number) > 1e-3 else f"{number:.4e}")
    return text


def _duration(seconds: float, unit: str) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/{unit}"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.0f}ms/{unit}"
    return f"{seconds * 1e6:.0f}us/{unit}"


def _clock(seconds: float) -> str:
    whole = int(seconds)
    if whole > 3600:
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    return f"{whole // 60}:{whole % 60:02d}" if whole > 60 else f"{whole}s"


def _write(text: str) -> None:
    if not _Logging.interactive:
        line = text.strip("\b\r\n ")
        if line:
            _log.info("%s", line)
        return
    sys.stdout.write(text)
    sys.stdout.flush()


def tell(text: str) -> None:
    """Shows a line beside the progress bar, as Keras does."""
    _write(text + "\n")

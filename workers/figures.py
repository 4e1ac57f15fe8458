"""What the workers measured, summed up into points of curves and into the job's totals."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from shardtape.protos import coordinator_pb2 as pb

# Seconds over which the shown speed is averaged.
SPEED_WINDOW_S = 10.0


@dataclass
class Sums:
    """Sums over a run of steps; `traffic` by shard: bytes out, bytes in, ms out, ms in."""

    steps: int = 0
    examples: int = 0
    loss: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    staleness: float = 0.0
    staleness_max: int = 0
    compute_ms: float = 0.0
    wait_ms: float = 0.0
    traffic: dict[int, list[float]] = field(default_factory=dict)

    def add(self, figures: pb.Figures) -> None:
        self.steps += figures.steps
        self.examples += figures.examples
        self.loss += figures.loss
        for name, value in figures.metrics.items():
            self.metrics[name] = self.metrics.get(name, 0.0) + value
        self.staleness += figures.staleness
        self.staleness_max = max(self.staleness_max, figures.staleness_max)
        self.compute_ms += figures.compute_ms
        self.wait_ms += figures.wait_ms
        for t in figures.traffic:
            sums = self.traffic.setdefault(t.shard, [0.0] * 4)
            for i, value in enumerate((t.push_bytes, t.pull_bytes, t.push_ms, t.pull_ms)):
                sums[i] += value

    def training(self) -> dict[str, float]:
        """Mean loss and metrics per step."""
        if not self.steps:
            return {}
        means = {name: value / self.steps for name, value in sorted(self.metrics.items())}
        return {"loss": self.loss / self.steps, **means}

    def server(self) -> dict[str, float]:
        """Means per step of what the parameter server costs, by TensorBoard tag."""
        if not self.steps:
            return {}
        found = {
            "staleness/mean": self.staleness / self.steps,
            "staleness/max": float(self.staleness_max),
            "worker/compute_ms": self.compute_ms / self.steps,
            "worker/wait_ms": self.wait_ms / self.steps,
        }
        names = ("push_bytes", "pull_bytes", "push_ms", "pull_ms")
        for shard, sums in sorted(self.traffic.items()):
            for name, value in zip(names, sums):
                found[f"shard-{shard}/{name}"] = value / self.steps
        return found


class Meter:
    """Collects the workers' figures.

    Args:
      clock: seconds that only grow.

    Attributes:
      begun: whether training has ever run.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.begun = False
        self.point = Sums()
        self.epoch = Sums()
        self.total_examples = 0
        self.total_steps = 0
        self._busy_since: float | None = None
        self._busy_s = 0.0
        self._window: deque[tuple[float, int]] = deque()

    def add(self, figures: pb.Figures) -> None:
        """Takes in one report of one worker."""
        self.point.add(figures)
        self.epoch.add(figures)
        self.total_examples += figures.examples
        self.total_steps += figures.steps
        now = self._clock()
        self._window.append((now, figures.examples))
        while self._window and self._window[0][0] < now - SPEED_WINDOW_S:
            self._window.popleft()

    def running(self, on: bool) -> None:
        """Training begins or pauses (evaluation, roll-back): pauses do not count as time."""
        now = self._clock()
        if on and self._busy_since is None:
            self.begun = True
            self._busy_since = now
            self._window.clear()
            self._window.append((now, 0))
        elif not on and self._busy_since is not None:
            self._busy_s += now - self._busy_since
            self._busy_since = None

    @property
    def training_s(self) -> float:
        """Seconds of training so far, without pauses."""
        running = self._clock() - self._busy_since if self._busy_since is not None else 0.0
        return self._busy_s + running

    def examples_per_s(self) -> float:
        """Over the whole job."""
        return self.total_examples / self.training_s if self.training_s > 0 else 0.0

    def current_examples_per_s(self) -> float:
        """Over the last seconds; that of the whole job while training pauses."""
        if self._busy_since is None or len(self._window) < 2:
            return self.examples_per_s()
        span = self._clock() - self._window[0][0]
        return sum(n for _, n in self._window) / span if span > 0 else self.examples_per_s()

    def take_point(self) -> Sums:
        """The sums since the last point; begins the next one."""
        taken, self.point = self.point, Sums()
        return taken

    def take_epoch(self) -> Sums:
        taken, self.epoch = self.epoch, Sums()
        return taken

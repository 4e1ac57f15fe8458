"""Several roles of one script as processes, timed together.

A child says lines of JSON on standard output and hears them on standard input.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody uses at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Child:
    """A script started with arguments; BENCH_DEBUG=1 shows what it prints on standard error."""

    def __init__(
        self, script: str, arguments: Sequence[object], python: str = sys.executable
    ) -> None:
        self.process = subprocess.Popen(
            [python, script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("BENCH_DEBUG") else subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )

    def say(self, what: dict[str, Any]) -> None:
        """Sends the child one object."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()

    def hear(self, limit_s: float = 120.0) -> dict[str, Any]:
        """The child's next object; other lines are passed over.

        Raises:
          RuntimeError: it ended, or said nothing within the limit.
        """
        heard: list[dict[str, Any]] = []

        def read() -> None:
            assert self.process.stdout is not None
            for line in iter(self.process.stdout.readline, ""):
                if line.startswith("{"):
                    heard.append(json.loads(line))
                    return

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        reader.join(limit_s)
        if not heard:
            raise RuntimeError(f"child said nothing (exit status {self.process.poll()})")
        return heard[0]

    def stop(self) -> None:
        """Ends the child if it still runs."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def say(what: dict[str, Any]) -> None:
    """In a child: one object to the parent."""
    print(json.dumps(what), flush=True)


def hear() -> dict[str, Any]:
    """In a child: the parent's next object; ends the child where the parent has gone."""
    line = sys.stdin.readline()
    if not line:
        sys.exit(0)
    return json.loads(line)


def count_windows(step: Callable[[], object], windows: int, seconds: float) -> None:
    """In a child: from the start time that the parent names, steps per second of each window."""
    say({"ready": True})
    begin = hear()["begin"]
    while time.time() < begin:
        step()
    rates = []
    for window in range(windows):
        end = begin + (window + 1) * seconds
        started, steps = time.time(), 0
        while time.time() < end:
            step()
            steps += 1
        rates.append(steps / (time.time() - started))
    say({"rates": rates})


def sum_windows(children: Sequence[Child], windows: int, seconds: float) -> list[float]:
    """In the parent: steps per second of all children together, for each window."""
    for child in children:
        child.hear()
    begin = time.time() + 1.5
    for child in children:
        child.say({"begin": begin})
    rates = [child.hear(120 + windows * seconds)["rates"] for child in children]
    return [sum(each) for each in zip(*rates)]

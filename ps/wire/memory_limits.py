"""How much memory this process may still take, as the kernel sees it."""

from __future__ import annotations

import os


def available_bytes() -> int | None:
    """The smallest of what the machine and the control groups leave; None where unknown."""
    known = [left for left in (_machine(), _group()) if left is not None]
    return min(known) if known else None


def _machine() -> int | None:
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            for line in lines:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) << 10
    except (OSError, ValueError, IndexError):
        pass
    return None


def _group() -> int | None:
    """Of control groups version 2: the tightest limit from this process's group up to the root."""
    try:
        with open("/proc/self/cgroup", encoding="ascii") as lines:
            own = next((line[3:].strip() for line in lines if line.startswith("0::")), None)
    except OSError:
        return None
    if own is None:
        return None
    tightest = None
    path = "/sys/fs/cgroup" + own.rstrip("/")
    while path.startswith("/sys/fs/cgroup"):
        left = _group_left(path)
        if left is not None:
            tightest = left if tightest is None else min(tightest, left)
        path = os.path.dirname(path)
    return tightest


def _group_left(path: str) -> int | None:
    try:
        with open(path + "/memory.max", encoding="ascii") as file:
            limit = file.read().strip()
        with open(path + "/memory.current", encoding="ascii") as file:
            used = int(file.read())
    except (OSError, ValueError):
        return None
    return max(0, int(limit) - used) if limit.isdigit() else None

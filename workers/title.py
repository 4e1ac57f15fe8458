"""Process titles, so that an operator sees who is who (and can kill by title).

Ray writes its own title at every call of an actor. Its function for that is replaced by one that
does nothing, after ours is set with it: the `setproctitle` package cannot do it inside a Ray
process, because Ray has moved the memory that the package looks for.
"""

from __future__ import annotations

import sys


def set_process_title(title: str) -> None:
    """Sets this process's title as `ps` shows it, for good, also in a process of Ray."""
    raylet = sys.modules.get("ray._raylet")
    write = getattr(raylet, "setproctitle", None)
    if write is None:
        import setproctitle

        setproctitle.setproctitle(title)
        return
    write(title)
    raylet.setproctitle = lambda _: None  # type: ignore[union-attr]


def shard_title(job: str, index: int, role: str = "primary") -> str:
    return f"shardtape:{job}:shard-{index}:{role}"


def worker_title(job: str, index: int) -> str:
    return f"shardtape:{job}:worker-{index}"


def coordinator_title(job: str) -> str:
    return f"shardtape:{job}:coordinator"

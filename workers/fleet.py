"""What a coordinator needs of whoever starts the processes of its job."""

from __future__ import annotations

from typing import Any, Protocol


class Fleet(Protocol):
    """Replaces the processes of a job."""

    def replace_shard(self, index: int) -> Any:
        """Makes sure that a shard's process is dead and starts another; its channel."""

    def restart_worker(self, index: int) -> None:
        """Kills a worker that is frozen; another one starts in its place."""

    def address(self, index: int) -> str:
        """Where workers reach a shard."""

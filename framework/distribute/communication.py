"""Options of collective operations."""

from __future__ import annotations

import enum
from typing import Any


class CommunicationImplementation(enum.Enum):
    """What carries collective operations; with one replica nothing does."""

    AUTO = "AUTO"
    RING = "RING"
    NCCL = "NCCL"


CollectiveCommunication = CommunicationImplementation


class CommunicationOptions:
    """Options of collective operations.

    Args:
      bytes_per_pack: size of the packs that gradients are put into, bytes.
      timeout_seconds: after which an operation fails, seconds.
    """

    def __init__(
        self, bytes_per_pack: int = 0, timeout_seconds: float | None = None,
        implementation: Any = CommunicationImplementation.AUTO,
    ) -> None:  # fmt: skip
        if bytes_per_pack < 0:
            raise ValueError(f"`bytes_per_pack` must be >=0, got {bytes_per_pack}")
        self.bytes_per_pack = bytes_per_pack
        self.timeout_seconds = timeout_seconds
        self.implementation = CommunicationImplementation(
            getattr(implementation, "value", implementation)
        )

"""A shard's process: a server without a role, to be wrapped by `ray.remote` or run as it is.

Ray starts, finds and ends the process; no Ray call is on a step's path.
"""

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from shardtape.errors import InternalError
from shardtape.ps.consistency import Consistency
from shardtape.ps.host import FIRST
from shardtape.ps.ids import Incarnation, VariableSpec
from shardtape.ps.partition import Placement
from shardtape.ps.service import ShardServer
from shardtape.ps.wire.channel import Limits, Tls

_LOG = logging.getLogger(__name__)

# Time for the answer that reports a failure, or confirms a shutdown, to be sent.
_LAST_WORDS_S = 0.2
_FAILED_EXIT = 70  # EX_SOFTWARE


class ShardActor:
    """Serves on a port that the system chooses, and refuses data until it gets a role.

    A shard that fails inside an update is half-written and must not be used: the process ends
    itself, and whoever watches it starts another.

    Args: see `ShardServer`.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        token: str = "",
        job: str = "",
        tls: Tls | None = None,
        limits: Limits | None = None,
        share: bool = True,
    ) -> None:
        self._server = ShardServer(
            host=host,
            port=port,
            token=token,
            job=job,
            tls=tls,
            limits=limits,
            share=share,
            on_failure=self._failed,
            on_shutdown=self._shut_down,
        )

    def address(self) -> str:
        """Where clients connect: "host:port"."""
        return self._server.address

    def pid(self) -> int:
        """Number of the process."""
        return os.getpid()

    def assume(
        self,
        index: int,
        placement: Placement,
        specs: tuple[VariableSpec, ...],
        optimizer: dict[str, Any],
        consistency: Consistency,
        generation: int = 0,
        incarnation: Incarnation = FIRST,
    ) -> str:
        """Gives the process its role (also possible over gRPC); its address."""
        self._server.assume(
            index,
            placement,
            specs,
            optimizer,
            consistency,
            generation=generation,
            incarnation=incarnation,
        )
        return self._server.address

    def stop(self) -> None:
        """Ends all calls and closes the port; the process stays."""
        self._server.stop()

    def _failed(self, error: InternalError) -> None:
        _LOG.error("the process of %s ends: %s", self._server.address, error.message)
        threading.Timer(_LAST_WORDS_S, os._exit, [_FAILED_EXIT]).start()

    def _shut_down(self) -> None:
        def end() -> None:
            self._server.stop()
            os._exit(0)

        threading.Timer(_LAST_WORDS_S, end).start()

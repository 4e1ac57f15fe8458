"""Process groups of the Ray processes that a driver starts on its own machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def groups_of_their_own() -> Iterator[None]:
    """Starts Ray's server processes outside of this program's process group.

    What signals a whole group (`timeout`, a service manager, a batch system) would end the raylet
    together with the driver, and every worker with it, before the job could write its last
    checkpoint. Ray has no setting for this. It does the same on Windows, and only where the kernel
    ends these processes with their driver: elsewhere Ray finds them by the group.
    """
    services = sys.modules.get("ray._private.services")
    popen = getattr(services, "ConsolePopen", None)
    if popen is None or not sys.platform.startswith("linux"):
        yield
        return

    def apart(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        return popen(*arguments, **{"process_group": 0, **options})

    services.ConsolePopen = apart  # type: ignore[union-attr]
    try:
        yield
    finally:
        services.ConsolePopen = popen  # type: ignore[union-attr]

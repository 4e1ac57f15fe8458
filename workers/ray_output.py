"""What Ray prints in the driver, without what the job says itself in a line of its own."""

from __future__ import annotations

import os
import sys
from typing import Any

# Ray tells every death of a process in a paragraph about its possible causes; a job expects
# deaths, counts them and tells them with what follows from them.
_OF_A_DEATH = "A worker died or was killed while executing a task"
_replaced = "_shardtape_replaced"


def adapt_ray_output() -> None:
    """Leaves Ray's paragraphs on deaths out of this driver's output, and colours out of files.

    Ray has no setting for the first; where a later version prints by another function, its
    paragraphs come through again and nothing else changes.
    """
    if not sys.stdout.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    worker = sys.modules.get("ray._private.worker")
    show = getattr(worker, "print_to_stdstream", None)
    if show is None or hasattr(show, _replaced):
        return

    def without_deaths(data: dict[str, Any], *arguments: Any, **named: Any) -> None:
        if data.get("pid") == "raylet":
            lines = [line for line in data.get("lines", ()) if not line.startswith(_OF_A_DEATH)]
            if not lines:
                return
            data = {**data, "lines": lines}
        show(data, *arguments, **named)

    setattr(without_deaths, _replaced, True)
    worker.print_to_stdstream = without_deaths  # type: ignore[union-attr]

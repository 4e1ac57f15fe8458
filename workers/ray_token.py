"""The token of a Ray cluster that a driver joins."""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from pathlib import Path

_GIVEN = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


def use_token_that_is_there(environment: MutableMapping[str, str] | None = None) -> None:
    """Has Ray send the token that lies on this machine, unless the user decided about it.

    A local Ray leaves one there, and `ray start` asks for it from then on; only a driver that
    joins does not look for it by itself. A cluster without tokens ignores it. Ray reads the
    mode when it is imported: later this does nothing.

    Args:
      environment: this process's by default.
    """
    environment = os.environ if environment is None else environment
    file = Path(environment.get("HOME", "~")).expanduser() / ".ray" / "auth_token"
    there = any(environment.get(name) for name in _GIVEN) or file.is_file()
    if there and "ray" not in sys.modules:
        environment.setdefault("RAY_AUTH_MODE", "token")

"""Which strategy and which of its replicas a thread runs; Variables and optimizers ask here."""

from __future__ import annotations

import contextlib
import threading
from typing import Any


class _Scopes(threading.local):
    """What `Strategy.scope` and `Strategy.run` say to a thread.

    Attributes:
      strategies: those whose scope is open, the innermost last.
      in_replica: the function of a replica runs, of whatever strategy.
      replica: the context of the running replica, where its strategy has several; else None.
      updating: number of the replica whose component a function of `extended.update` changes.
      set: by `experimental_set_strategy`: the strategy and its open scope.
    """

    strategies: tuple[Any, ...] = ()
    in_replica = False
    replica: Any = None
    updating: int | None = None
    set: tuple[Any, Any] | None = None


scopes = _Scopes()


def current_strategy() -> Any:
    """The strategy of the innermost scope if it has several replicas, else None."""
    strategies = scopes.strategies
    if not strategies or strategies[-1].num_replicas_in_sync < 2:
        return None
    return strategies[-1]


def outside_replicas() -> Any:
    """Block in which Variables are written for all replicas, also where one of them runs."""
    replica = scopes.replica
    return contextlib.nullcontext() if replica is None else across_replicas(replica.strategy)


class across_replicas:
    """Block that runs for all replicas of a strategy, whatever ran before in this thread."""

    def __init__(self, strategy: Any) -> None:
        self._strategy = strategy

    def __enter__(self) -> None:
        self._outer = scopes.strategies, scopes.in_replica, scopes.replica, scopes.updating
        scopes.strategies = (*scopes.strategies, self._strategy)
        scopes.in_replica, scopes.replica, scopes.updating = False, None, None

    def __exit__(self, *exc: Any) -> None:
        (
            scopes.strategies, scopes.in_replica, scopes.replica, scopes.updating,
        ) = self._outer  # fmt: skip

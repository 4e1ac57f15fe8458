"""Reads a shard's parameters from its memory, without asking it, while it goes on writing."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from shardtape.errors import AbortedError, UnavailableError
from shardtape.ps.ids import RangeId
from shardtape.ps.wire.layout import array_at
from shardtape.ps.wire.shared_memory import PeerMemory

# How long a reader tries before it asks the shard instead, and how long it sleeps when it finds
# the shard writing (an update takes some hundred microseconds).
TRY_FOR_S = 0.1
NAP_S = 50e-6


class SharedReader:
    """Copies ranges out of a peer's parameter memory.

    Args:
      memory: laid out as `layout` says.
      labels: generation, term and number that the writer must have.
    """

    def __init__(
        self, memory: PeerMemory, layout: Mapping[RangeId, int], labels: tuple[int, int, int]
    ) -> None:
        self._memory = memory
        self._layout = dict(layout)
        self._labels = labels
        self._pairs: tuple[Any, Any, list[tuple[np.ndarray, np.ndarray]]] = (None, None, [])

    def read(
        self,
        keys: tuple[RangeId, ...] | None,
        into: Mapping[RangeId, np.ndarray],
        *,
        consistent: bool,
        alive: Callable[[], bool],
    ) -> tuple[int, int, int] | None:
        """Copies values into arrays; version, lsn and bytes.

        Args:
          keys: the ranges; None: all in `into`.
          consistent: all ranges of one version. Without it each range is of one version, and the
            version returned is the oldest.
          alive: whether the shard is there; a dead one may have left half an update.

        Returns:
          None if the shard did not stop writing for `TRY_FOR_S`, or has no values: ask it.

        Raises:
          AbortedError: the memory belongs to another generation or incarnation now.
          UnavailableError: the shard died.
        """
        give_up = time.monotonic() + TRY_FOR_S
        pairs = self._pairs_of(keys, into)
        if consistent:
            found = self._copy(pairs, give_up, alive)
        else:
            found = self._copy(pairs[:1], give_up, alive)
            for pair in pairs[1:]:
                if found is None or self._copy([pair], give_up, alive) is None:
                    return None
        if found is None:
            return None
        return (*found, sum(target.nbytes for target, _ in pairs))

    def _pairs_of(
        self, keys: tuple[RangeId, ...] | None, into: Mapping[RangeId, np.ndarray]
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        if self._pairs[0] is not into or self._pairs[1] != keys:
            pairs = [
                (
                    into[id],
                    array_at(self._memory.data, self._layout[id], into[id].shape, into[id].dtype),
                )
                for id in (into if keys is None else keys)
            ]
            self._pairs = (into, keys, pairs)
        return self._pairs[2]

    def _copy(
        self,
        pairs: list[tuple[np.ndarray, np.ndarray]],
        give_up: float,
        alive: Callable[[], bool],
    ) -> tuple[int, int] | None:
        """Copies until nobody wrote meanwhile; version and lsn, or None (see `read`)."""
        sequence = self._memory.sequence
        while True:
            number = sequence.before_reading()
            if number % 2 == 0:
                labels, state, ready = sequence.labels(), sequence.state(), sequence.ready
                for target, source in pairs:
                    np.copyto(target, source)
                if sequence.unchanged(number):
                    if labels != self._labels:
                        raise AbortedError(
                            f"the parameters belong to generation {labels[0]}, incarnation "
                            f"{labels[1]}.{labels[2]} now: connect again"
                        )
                    return state if ready else None
            else:
                time.sleep(NAP_S)
            if not alive():
                raise UnavailableError("the shard went away while its parameters were read")
            if time.monotonic() > give_up:
                return None

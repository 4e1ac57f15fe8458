"""Restores that wait: for Variables that a layer makes when it is called for the first time."""

from __future__ import annotations

import atexit
from collections.abc import Iterable
from typing import Any, Protocol

# A restore that is never completed holds its objects; so many of the newest are kept.
_LIMIT = 16


class Waiting(Protocol):
    """A restore of which values are left."""

    def proceed(self, changed: Any = None) -> None: ...
    def knows(self, changed: Any) -> bool: ...
    def concerns(self, changed: Any) -> bool: ...
    def replaces(self, other: Waiting) -> bool: ...
    def tell_unused(self) -> None: ...
    def close(self) -> None: ...
    def value_for(self, owner: Any, name: str, shape: tuple[int, ...], dtype: str) -> Any: ...
    @property
    def complete(self) -> bool: ...


_waiting: list[Waiting] = []


def add(restore: Waiting) -> None:
    """Keeps a restore until it is complete, in place of older ones of the same objects."""
    for other in [other for other in _waiting if restore.replaces(other)]:
        _waiting.remove(other)
        other.close()
    _waiting.append(restore)
    while len(_waiting) > _LIMIT:
        _waiting.pop(0).close()


def waits() -> bool:
    """Whether a restore is waiting."""
    return bool(_waiting)


def proceed(changed: Any = None, around: Any = None) -> None:
    """Gives new Variables the values that wait for them; layers call this when they were built.

    Args:
      changed: what got a new part; restores that know it look there alone, those of other
        objects not at all.
      around: what `changed` may be a part of unseen: then all is looked through.
    """
    if not _waiting:
        return
    for restore in list(_waiting):
        if changed is None:
            restore.proceed()
        elif restore.knows(changed):
            restore.proceed(changed)
        elif restore.concerns(changed) or (around is not None and restore.concerns(around)):
            restore.proceed()
        else:
            continue
        if restore.complete and restore in _waiting:
            _waiting.remove(restore)
            restore.close()


def value_for(
    owner: Any, name: str, shape: tuple[int, ...], dtype: str, concerned: Iterable[Any]
) -> Any:
    """The value that waits for a Variable that `owner` is about to make; None where none does.

    What draws first values need not be asked then, so that later random numbers are
    TensorFlow's.

    Args:
      name: of the Variable, which is the attribute's where the value is to be found.
      concerned: restores of none of these are not asked.
    """
    for restore in reversed(_waiting):
        if not any(restore.concerns(one) for one in concerned):
            continue
        found = restore.value_for(owner, name, shape, dtype)
        if found is not None:
            return found
    return None


def _tell_all() -> None:
    for restore in _waiting:
        restore.tell_unused()


atexit.register(_tell_all)

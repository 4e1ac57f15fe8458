"""Layers that several models of one file share: Keras numbers them."""

from __future__ import annotations

import collections
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

KEY = "shared_object_id"


class _Sharing(threading.local):
    made: dict[Any, Any] | None = None  # while a file is read: layers by number
    numbers: dict[int, int] | None = None  # while one is written: numbers by `id`


_sharing = _Sharing()


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Context in which entries of one number are one layer."""
    outer, _sharing.made = _sharing.made, {}
    try:
        yield
    finally:
        _sharing.made = outer


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Context in which layers get numbers."""
    outer, _sharing.numbers = _sharing.numbers, {}
    try:
        yield
    finally:
        _sharing.numbers = outer


def number_of(layer: Any) -> int | None:
    """The number of a layer in the file that is being written; None where none are given."""
    numbers = _sharing.numbers
    return None if numbers is None else numbers.setdefault(id(layer), len(numbers) + 1)


def numbered_where_shared(form: Any) -> Any:
    """What was written, with numbers only on what stands there more than once, as in Keras."""
    counts = collections.Counter(_numbers_in(form))

    def kept(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: kept(v) for k, v in value.items() if k != KEY or counts[v] > 1}
        return [kept(v) for v in value] if isinstance(value, (list, tuple)) else value

    return kept(form)


def _numbers_in(value: Any) -> Iterator[int]:
    if isinstance(value, dict):
        if KEY in value:
            yield value[KEY]
        for part in value.values():
            yield from _numbers_in(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _numbers_in(part)


def shared(entry: dict[str, Any], make: Callable[[dict[str, Any]], Any]) -> Any:
    """The layer of an entry: the one that has its number already, else a new one of `make`."""
    number = entry.get(KEY)
    if _sharing.made is None or number is None:
        return make(entry)
    if number not in _sharing.made:
        _sharing.made[number] = make(entry)
    return _sharing.made[number]

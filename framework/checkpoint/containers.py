"""Lists and dicts that belong to a checkpoint: what is put into them later is restored then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shardtape.checkpoint import pending


class ListWrapper(list):
    """A list whose new items get the values that wait for them."""

    def append(self, value: Any) -> None:
        super().append(wrapped(value))
        pending.proceed(self)

    def extend(self, values: Iterable[Any]) -> None:
        super().extend([wrapped(v) for v in values])
        pending.proceed(self)

    def insert(self, index: Any, value: Any) -> None:
        super().insert(index, wrapped(value))
        pending.proceed(self)

    def __iadd__(self, values: Iterable[Any]) -> ListWrapper:  # type: ignore[misc, override]
        self.extend(values)
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, value if isinstance(key, slice) else wrapped(value))
        pending.proceed(self)

    def __repr__(self) -> str:
        return f"ListWrapper({super().__repr__()})"


class DictWrapper(dict):
    """A dict whose new values get the values that wait for them."""

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, wrapped(value))
        pending.proceed(self)

    def update(self, *args: Any, **kwargs: Any) -> None:
        for key, value in dict(*args, **kwargs).items():
            super().__setitem__(key, wrapped(value))
        pending.proceed(self)

    def setdefault(self, key: Any, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def __repr__(self) -> str:
        return f"DictWrapper({super().__repr__()})"

    def __str__(self) -> str:
        return super().__repr__()


def wrapped(value: Any) -> Any:
    """Plain lists and dicts, with those inside, as containers of this file; other things as is."""
    if type(value) is list:
        return ListWrapper([wrapped(v) for v in value])
    if type(value) is dict:
        return DictWrapper({k: wrapped(v) for k, v in value.items()})
    return value

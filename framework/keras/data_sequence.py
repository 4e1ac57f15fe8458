"""`tf.keras.utils.Sequence`: data that is read batch by batch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


class Sequence:
    """Base of data that is read batch by batch: `sequence[i]`, i in 0..len - 1.

    Subclasses define `__getitem__` and `__len__`, and may define `on_epoch_end`.
    """

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError

    def __len__(self) -> int:
        raise NotImplementedError

    def on_epoch_end(self) -> None:
        """After each pass."""

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]

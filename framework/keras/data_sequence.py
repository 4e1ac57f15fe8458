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


class DatasetCreator:
    """A function that makes the Dataset of a worker, for `fit`.

    Args:
      dataset_fn: function from a `tf.distribute.InputContext` to a Dataset.
      input_options: accepted; there is one pipeline.
    """

    def __init__(self, dataset_fn: Any, input_options: Any = None) -> None:
        if not callable(dataset_fn):
            raise TypeError(
                f"`dataset_fn` for `DatasetCreator` must be a `callable`. Received: {dataset_fn}"
            )
        self.dataset_fn, self.input_options = dataset_fn, input_options

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The Dataset. Raises TypeError where the function gives something else."""
        from shardtape.data import Dataset

        made = self.dataset_fn(*args, **kwargs)
        if not isinstance(made, Dataset):
            raise TypeError(
                "The `callable` provided to `DatasetCreator` must return a Dataset. "
                f'Received "{made}"'
            )
        return made

"""Datasets on their way to other processes: large arrays travel beside them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from shardtape.data.dataset import Dataset
from shardtape.tensor import EagerTensor


class Detached:
    """Stands for an array that was taken out of a dataset."""

    def __init__(self, name: str) -> None:
        self.name = name


def detach_arrays(dataset: Dataset, above_bytes: int) -> tuple[Dataset, dict[str, np.ndarray]]:
    """The dataset without its large arrays, and the arrays by name.

    Args:
      above_bytes: arrays of at most so many bytes stay in it.
    """
    found: dict[str, np.ndarray] = {}

    def detach(value: Any) -> Any:
        if type(value) is not EagerTensor:
            return value
        array = value._host()
        if getattr(array, "nbytes", 0) <= above_bytes or array.dtype.hasobject:
            return value
        name = f"array-{len(found)}"
        found[name] = array
        return Detached(name)

    return _rebuilt(dataset, detach, {}), found


def attach_arrays(dataset: Dataset, arrays: Mapping[str, np.ndarray]) -> Dataset:
    """The whole dataset again."""

    def attach(value: Any) -> Any:
        return EagerTensor(arrays[value.name]) if isinstance(value, Detached) else value

    return _rebuilt(dataset, attach, {})


def _rebuilt(dataset: Dataset, leaf: Callable[[Any], Any], made: dict[int, Dataset]) -> Dataset:
    """A copy whose inputs are copies and whose values went through `leaf`."""
    known = made.get(id(dataset))
    if known is not None:
        return known
    copied = made[id(dataset)] = copy.copy(dataset)

    def mapped(value: Any) -> Any:
        if isinstance(value, Dataset):
            return _rebuilt(value, leaf, made)
        if type(value) in (list, tuple):
            return type(value)([mapped(v) for v in value])
        return leaf(value)

    for name, value in vars(dataset).items():
        vars(copied)[name] = mapped(value)
    return copied

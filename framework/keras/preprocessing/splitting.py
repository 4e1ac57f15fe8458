"""`tf.keras.utils.split_dataset`: two Datasets of one."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from shardtape import nest
from shardtape.data import Dataset
from shardtape.tensor import Tensor


def split_dataset(
    dataset: Any, left_size: Any = None, right_size: Any = None, shuffle: bool = False,
    seed: int | None = None,
) -> tuple[Any, Any]:  # fmt: skip
    """Two Datasets (left, right) of the elements of one, which are held in memory.

    Args:
      dataset: a Dataset, arrays (nested) or a list of elements.
      left_size, right_size: numbers (int) or shares (float) of the elements; one of them will do.
      shuffle, seed: whether and how the elements are mixed first.

    Raises ValueError for sizes that make no sense.
    """
    elements = _elements(dataset)
    if shuffle:
        seed = random.randint(0, 1_000_000) if seed is None else seed
        random.seed(seed)  # Python's generator, as in Keras
        random.shuffle(elements)
    left, right = _sizes(left_size, right_size, len(elements))
    parts = elements[:left], elements[len(elements) - right :]
    return _made(parts[0]), _made(parts[1])


def _elements(dataset: Any) -> list[Any]:
    if hasattr(dataset, "element_spec"):
        return list(dataset)
    if isinstance(dataset, list) and not isinstance(dataset[0], (np.ndarray, Tensor)):
        return list(dataset)
    flat = nest.flatten(dataset)
    sizes = {len(a) for a in flat}
    if len(sizes) != 1:
        raise ValueError(
            "Received a list of NumPy arrays with different lengths. Mismatch found: "
            f"{sorted(sizes)}"
        )
    return [nest.map_structure(lambda a, i=i: a[i], dataset) for i in range(sizes.pop())]


def _sizes(left: Any, right: Any, total: int) -> tuple[int, int]:
    if left is None and right is None:
        raise ValueError(
            "At least one of the `left_size` or `right_size` must be specified. Received: "
            "left_size=None and right_size=None"
        )
    for name, size in (("left_size", left), ("right_size", right)):
        if size is None:
            continue
        if not isinstance(size, (int, float)):
            raise TypeError(f"Invalid `{name}` type {type(size)}: an integer or a float between 0 "
                            "and 1 is expected")  # fmt: skip
        if not 0 < size <= (total if isinstance(size, int) else 1):
            raise ValueError(
                f"`{name}` should be either a positive integer and smaller than {total} or a "
                f"float within the range `[0, 1]`. Received: {name}={size}"
            )
    if (
        left is not None
        and right is not None
        and left + right > (total if isinstance(left, int) else 1)
    ):
        raise ValueError(
            f"The sum of `left_size` and `right_size` is greater than the {total} samples: "
            f"{left} and {right}"
        )
    first = None if left is None else left if isinstance(left, int) else round(left * total)
    last = None if right is None else right if isinstance(right, int) else round(right * total)
    if first is None:
        first = total - last  # type: ignore[operator]
    elif last is None:
        last = total - first
    if not first or not last:
        raise ValueError(
            f"Dataset with {total} elements cannot be split into {first} and {last} elements: one "
            "part is empty. Increase the length of the dataset or adjust the sizes."
        )
    return first, last


def _made(elements: list[Any]) -> Any:
    structure = elements[0]
    columns = zip(*[nest.flatten(e) for e in elements])
    stacked = [np.stack([np.asarray(v) for v in column]) for column in columns]
    return Dataset.from_tensor_slices(nest.pack_sequence_as(structure, stacked)).prefetch(-1)

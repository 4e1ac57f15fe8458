"""Lookup tables that are filled from datasets."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.data.dataset import Dataset
from shardtape.graph.func_graph import TensorSpec
from shardtape.lookup.initializers import TableInitializer, unique_pairs
from shardtape.lookup.tables import StaticHashTable, StaticVocabularyTable


class DatasetInitializer(TableInitializer):
    """Keys and values of a dataset's elements, which are pairs of scalars.

    Raises ValueError for a dataset of other elements.
    """

    def __init__(self, dataset: Dataset) -> None:
        spec = dataset.element_spec
        pair = isinstance(spec, tuple) and len(spec) == 2
        if not pair or not all(isinstance(s, TensorSpec) and s.shape.rank == 0 for s in spec):
            raise ValueError(
                "Datasets used to initialize lookup tables must produce elements in the form "
                "(key, value), where the keys and values are scalar tensors. However, the given "
                f"dataset produces values of spec: {spec}"
            )
        self._dataset = dataset
        super().__init__(spec[0].dtype, spec[1].dtype)

    @property
    def dataset(self) -> Dataset:
        return self._dataset

    def pairs(self) -> dict[Any, Any]:
        return unique_pairs(
            (np.asarray(key).item(), np.asarray(value).item())
            for key, value in self._dataset.as_numpy_iterator()
        )


def table_from_dataset(
    dataset: Dataset, num_oov_buckets: int = 0, vocab_size: int | None = None,
    default_value: Any = None, hasher_spec: Any = None, key_dtype: Any = dt.string,
    name: str | None = None,
) -> Any:  # fmt: skip
    """A table of the pairs (key, value) that a dataset gives.

    Args:
      dataset: of scalars: keys that are strings or integers, and values.
      num_oov_buckets: numbers for unknown keys behind those of the table, picked by their hash;
        values are int64 then.
      vocab_size: take so many elements only.
      default_value: of unknown keys; with integers -1 if it is not given.
      hasher_spec, key_dtype: accepted for TensorFlow's sake; keys have the dataset's own type.

    Raises:
      ValueError: elements, sizes or a default value that do not fit.
    """
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) != 2:
        raise ValueError(
            "table_from_dataset needs a dataset of pairs (key, value) of scalars, got elements of "
            f"spec {spec}"
        )
    if spec[0].dtype not in (dt.string, dt.int32, dt.int64) or spec[0].shape.rank not in (0, None):
        raise ValueError(f"keys must be scalar strings or integers, got {spec[0]}")
    if num_oov_buckets < 0:
        raise ValueError(
            f"`num_oov_buckets` must be greater than or equal to 0, got {num_oov_buckets}."
        )
    if vocab_size is not None and (not isinstance(vocab_size, int) or vocab_size < 1):
        raise ValueError(f"`vocab_size` must be greater than 0, got {vocab_size}.")
    if default_value is None and not num_oov_buckets:
        if not spec[1].dtype.is_integer:
            raise ValueError(
                "`default_value` must be specified when creating a table from a dataset that "
                f"produces values of type {spec[1].dtype}."
            )
        default_value = -1
    pairs = dataset if vocab_size is None else dataset.take(vocab_size).apply(_has(vocab_size))
    initializer = DatasetInitializer(pairs)
    if num_oov_buckets:
        return StaticVocabularyTable(initializer, num_oov_buckets, spec[0].dtype, name)
    return StaticHashTable(initializer, default_value, name)


def _has(size: int) -> Any:
    """A transformation that raises where there are fewer elements."""
    from shardtape.data.experimental import assert_cardinality

    return assert_cardinality(size)


def index_table_from_dataset(
    dataset: Dataset, num_oov_buckets: int = 0, vocab_size: int | None = None,
    default_value: Any = -1, hasher_spec: Any = None, key_dtype: Any = dt.string,
    name: str | None = None,
) -> Any:  # fmt: skip
    """A table from the elements of a dataset to their places; as `table_from_dataset`."""
    return table_from_dataset(
        dataset.enumerate().map(lambda place, key: (key, place)), num_oov_buckets, vocab_size,
        default_value, hasher_spec, key_dtype, name,
    )  # fmt: skip


def pad_to_cardinality(cardinality: int, mask_key: str = "valid") -> Any:
    """A transformation that fills up a dataset with zeros to a number of elements.

    Args:
      cardinality: how many elements there are then.
      mask_key: name of a new member, True for the elements that were there.

    The transformation takes a dataset of dictionaries, of known size, and raises ValueError for
    another one.
    """

    def transform(dataset: Dataset) -> Dataset:
        size = int(dataset.cardinality())
        if size < 0:
            raise ValueError(
                "The dataset passed into `pad_to_cardinality` must have a known cardinality, but "
                f"has cardinality {size}"
            )
        if size > cardinality:
            raise ValueError(
                "The dataset passed into `pad_to_cardinality` must have a cardinality less than "
                f"the target cardinality ({cardinality}), but has cardinality {size}"
            )
        spec = dataset.element_spec
        if not isinstance(spec, dict):
            raise ValueError("`pad_to_cardinality` requires its input dataset to be a dictionary.")
        empty = {key: _nothing(member) for key, member in spec.items()}
        rest = Dataset.from_tensors(empty | {mask_key: False}).repeat(cardinality - size)
        return dataset.map(lambda row: {**row, mask_key: True}).concatenate(rest)

    return transform


def _nothing(spec: Any) -> Any:
    from shardtape.ops.array import zeros

    if not isinstance(spec, TensorSpec) or not spec.shape.is_fully_defined():
        raise errors.UnimplementedError(
            f"pad_to_cardinality fills up tensors of known shape, got {spec}"
        )
    return zeros(spec.shape, spec.dtype)


__all__ = [
    "DatasetInitializer",
    "index_table_from_dataset",
    "pad_to_cardinality",
    "table_from_dataset",
]

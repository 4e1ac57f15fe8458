"""The methods of datasets that make other datasets of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from shardtape import dtypes as dt

if TYPE_CHECKING:
    from shardtape.data.dataset import Dataset


class Transformations:
    """Mixed into `Dataset`. Each method returns a new dataset; nothing runs before iteration.

    Functions are traced once, when the dataset is made, like those of `tf.function`. A function
    gets the components of a tuple as arguments of its own. `num_parallel_calls` may be
    `tf.data.AUTOTUNE`; `deterministic=False` allows another order for speed; `name` is accepted
    for TensorFlow's sake.
    """

    # ---- each element ---------------------------------------------------------------------
    def map(
        self,
        map_func: Callable[..., Any],
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """`map_func` of each element.

        Args:
          map_func: function from an element to an element of any structure.
          num_parallel_calls: threads that call it; None: the thread that iterates.
        """
        from shardtape.data.mapping import MapDataset, ParallelMapDataset

        if num_parallel_calls is None:
            return MapDataset(self, map_func)  # type: ignore[arg-type]
        return ParallelMapDataset(self, map_func, num_parallel_calls, deterministic)  # type: ignore

    def filter(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """The elements for which `predicate` gives true, a scalar bool."""
        from shardtape.data.mapping import FilterDataset

        return FilterDataset(self, predicate)  # type: ignore[arg-type]

    def take_while(self, predicate: Callable[..., Any], name: str | None = None) -> Dataset:
        """The elements before the first for which `predicate` gives false."""
        from shardtape.data.mapping import TakeWhileDataset

        return TakeWhileDataset(self, predicate)  # type: ignore[arg-type]

    def scan(
        self, initial_state: Any, scan_func: Callable[..., Any], name: str | None = None
    ) -> Dataset:
        """`state, output = scan_func(state, element)` for each element: the outputs."""
        from shardtape.data.reducing import ScanDataset

        return ScanDataset(self, initial_state, scan_func)  # type: ignore[arg-type]

    def flat_map(self, map_func: Callable[..., Any], name: str | None = None) -> Dataset:
        """The elements of the datasets that `map_func` makes of each element, in order."""
        from shardtape.data.mapping import FlatMapDataset

        return FlatMapDataset(self, map_func)  # type: ignore[arg-type]

    def interleave(
        self,
        map_func: Callable[..., Any],
        cycle_length: Any = None,
        block_length: Any = None,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """As `flat_map`, taking turns among several of the datasets.

        Args:
          cycle_length: datasets that take turns; default: the number of CPU cores (with
            `num_parallel_calls`: that number, a third of the cores for AUTOTUNE).
          block_length: elements of one turn, default 1.
          num_parallel_calls: threads that read ahead.
        """
        from shardtape.data.interleaving import InterleaveDataset, ParallelInterleaveDataset

        if num_parallel_calls is None:
            return InterleaveDataset(self, map_func, cycle_length, block_length)  # type: ignore
        return ParallelInterleaveDataset(
            self, map_func, cycle_length, block_length, num_parallel_calls, deterministic  # type: ignore
        )  # fmt: skip

    def enumerate(self, start: Any = 0, name: str | None = None) -> Dataset:
        """(number, element), numbered from `start` (int64)."""
        from shardtape.data.ordering import ZipDataset
        from shardtape.data.sources import RangeDataset

        return ZipDataset((RangeDataset(start, dt.int64.max), self))

    def unique(self, name: str | None = None) -> Dataset:
        """Each element once, where it comes first. Elements are single tensors."""
        from shardtape.data.mapping import UniqueDataset

        return UniqueDataset(self)  # type: ignore[arg-type]

    def ignore_errors(self, log_warning: bool = False, name: str | None = None) -> Dataset:
        """The elements that can be computed; those that raise are left out."""
        from shardtape.data.mapping import IgnoreErrorsDataset

        return IgnoreErrorsDataset(self, log_warning)  # type: ignore[arg-type]

    # ---- order and number -----------------------------------------------------------------
    def shuffle(
        self,
        buffer_size: Any,
        seed: Any = None,
        reshuffle_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """Elements drawn from a buffer of the next `buffer_size`; the order is TensorFlow's.

        Args:
          seed: with the global seed it decides the order.
          reshuffle_each_iteration: another order in every iteration (the default).

        Raises:
          InvalidArgumentError: a buffer of no elements.
        """
        from shardtape.data.shuffling import ShuffleDataset

        return ShuffleDataset(self, buffer_size, seed, reshuffle_each_iteration)  # type: ignore

    def repeat(self, count: Any = None, name: str | None = None) -> Dataset:
        """The elements `count` times over; None or -1: for ever."""
        from shardtape.data.ordering import RepeatDataset

        return RepeatDataset(self, count)  # type: ignore[arg-type]

    def take(self, count: Any, name: str | None = None) -> Dataset:
        """At most the first `count` elements; -1: all."""
        from shardtape.data.ordering import TakeDataset

        return TakeDataset(self, count)  # type: ignore[arg-type]

    def skip(self, count: Any, name: str | None = None) -> Dataset:
        """The elements behind the first `count`; -1: none."""
        from shardtape.data.ordering import SkipDataset

        return SkipDataset(self, count)  # type: ignore[arg-type]

    def shard(self, num_shards: Any, index: Any, name: str | None = None) -> Dataset:
        """Every `num_shards`-th element, beginning with number `index`.

        Raises InvalidArgumentError for an index that is not in 0..num_shards-1.
        """
        from shardtape.data.ordering import ShardDataset

        return ShardDataset(self, num_shards, index)  # type: ignore[arg-type]

    def concatenate(self, dataset: Dataset, name: str | None = None) -> Dataset:
        """These elements, then those of `dataset`, which are of the same types."""
        from shardtape.data.ordering import ConcatenateDataset

        return ConcatenateDataset(self, dataset)  # type: ignore[arg-type]

    def rejection_resample(
        self,
        class_func: Callable[..., Any],
        target_dist: Any,
        initial_dist: Any = None,
        seed: Any = None,
        name: str | None = None,
    ) -> Dataset:
        """(class, element) with classes in the proportions `target_dist`, by leaving out elements.

        Args:
          class_func: element to its class, an int32 scalar.
          target_dist, initial_dist: floats per class; without the second it is estimated.
        """
        from shardtape.data.choosing import rejection_resample

        return rejection_resample(self, class_func, target_dist, initial_dist, seed)  # type: ignore

    # ---- batches --------------------------------------------------------------------------
    def batch(
        self,
        batch_size: Any,
        drop_remainder: bool = False,
        num_parallel_calls: Any = None,
        deterministic: bool | None = None,
        name: str | None = None,
    ) -> Dataset:
        """`batch_size` elements in one; the last batch may be smaller.

        Raises InvalidArgumentError where elements of a batch differ in shape.
        """
        from shardtape.data.batching import BatchDataset, ParallelBatchDataset

        if num_parallel_calls is None:
            return BatchDataset(self, batch_size, drop_remainder)  # type: ignore[arg-type]
        return ParallelBatchDataset(self, batch_size, drop_remainder)  # type: ignore[arg-type]

    def padded_batch(
        self,
        batch_size: Any,
        padded_shapes: Any = None,
        padding_values: Any = None,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """`batch_size` elements in one, padded to a common shape.

        Args:
          padded_shapes: structure of shapes; unknown sizes: the largest of the batch. Default:
            the shapes of the elements.
          padding_values: structure of scalars; default 0 and empty strings.

        Raises:
          ValueError: elements of unknown rank without `padded_shapes`.
          InvalidArgumentError: an element that is larger than its padded shape.
        """
        from shardtape.data.padding import PaddedBatchDataset

        return PaddedBatchDataset(
            self, batch_size, padded_shapes, padding_values, drop_remainder  # type: ignore
        )  # fmt: skip

    def ragged_batch(
        self,
        batch_size: Any,
        drop_remainder: bool = False,
        row_splits_dtype: Any = dt.int64,
        name: str | None = None,
    ) -> Dataset:
        """`batch_size` elements in one; components whose shape varies become RaggedTensors."""
        from shardtape.data.ragged import ragged_batch

        return ragged_batch(self, batch_size, drop_remainder, row_splits_dtype)  # type: ignore

    def sparse_batch(self, batch_size: Any, row_shape: Any, name: str | None = None) -> Dataset:
        """`batch_size` dense elements, of varying shape, in one SparseTensor."""
        from shardtape.data.padding import SparseBatchDataset

        return SparseBatchDataset(self, batch_size, row_shape)  # type: ignore[arg-type]

    def unbatch(self, name: str | None = None) -> Dataset:
        """The rows of each element as elements."""
        from shardtape.data.batching import UnbatchDataset

        return UnbatchDataset(self)  # type: ignore[arg-type]

    def rebatch(
        self, batch_size: Any, drop_remainder: bool = False, name: str | None = None
    ) -> Dataset:
        """Batches of another size (a number, or sizes that take turns) of the same rows."""
        from shardtape.data.batching import RebatchDataset

        return RebatchDataset(self, batch_size, drop_remainder)  # type: ignore[arg-type]

    def window(
        self,
        size: Any,
        shift: Any = None,
        stride: Any = 1,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Datasets of `size` elements each.

        Args:
          shift: elements between the beginnings of two windows, default `size`.
          stride: elements between those of a window.
          drop_remainder: leave out windows that are not full.
        """
        from shardtape.data.windows import WindowDataset

        return WindowDataset(self, size, shift, stride, drop_remainder)  # type: ignore[arg-type]

    def group_by_window(
        self,
        key_func: Callable[..., Any],
        reduce_func: Callable[..., Any],
        window_size: Any = None,
        window_size_func: Callable[..., Any] | None = None,
        name: str | None = None,
    ) -> Dataset:
        """The elements of `reduce_func(key, dataset of elements with that key)`.

        Args:
          key_func: element to an int64 scalar.
          window_size: elements of one key that are given to `reduce_func` at once.
          window_size_func: the same as a function of the key.
        """
        from shardtape.data.windows import GroupByWindowDataset

        return GroupByWindowDataset(
            self, key_func, reduce_func, window_size, window_size_func  # type: ignore[arg-type]
        )  # fmt: skip

    def bucket_by_sequence_length(
        self,
        element_length_func: Callable[..., Any],
        bucket_boundaries: Any,
        bucket_batch_sizes: Any,
        padded_shapes: Any = None,
        padding_values: Any = None,
        pad_to_bucket_boundary: bool = False,
        no_padding: bool = False,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Dataset:
        """Padded batches of elements of similar length.

        Args:
          element_length_func: element to its length, int32.
          bucket_boundaries: upper limits (excluded) of the lengths in each bucket but the last.
          bucket_batch_sizes: batch sizes, one more than boundaries.
          pad_to_bucket_boundary: pad to the boundary less one and not to the longest.
        """
        from shardtape.data.windows import bucket_by_sequence_length

        return bucket_by_sequence_length(
            self, element_length_func, bucket_boundaries, bucket_batch_sizes, padded_shapes,
            padding_values, pad_to_bucket_boundary, no_padding, drop_remainder,
        )  # fmt: skip

    # ---- how it runs ----------------------------------------------------------------------
    def prefetch(self, buffer_size: Any, name: str | None = None) -> Dataset:
        """A thread that computes up to `buffer_size` elements ahead."""
        from shardtape.data.prefetching import PrefetchDataset

        return PrefetchDataset(self, buffer_size)  # type: ignore[arg-type]

    def cache(self, filename: Any = "", name: str | None = None) -> Dataset:
        """The elements of the first whole iteration, kept in memory or in a file."""
        from shardtape.data.caching import cache

        return cache(self, filename)  # type: ignore[arg-type]

    def snapshot(
        self,
        path: Any,
        compression: str | None = "AUTO",
        reader_func: Any = None,
        shard_func: Any = None,
        name: str | None = None,
    ) -> Dataset:
        """The elements as they were in the first whole iteration, which wrote them to a folder."""
        from shardtape.data.saved import snapshot

        return snapshot(self, path, compression, reader_func, shard_func)  # type: ignore[arg-type]

    def save(
        self, path: Any, compression: str | None = None, shard_func: Any = None,
        checkpoint_args: Any = None,
    ) -> None:  # fmt: skip
        """Writes all elements to a folder that `tf.data.Dataset.load` reads."""
        from shardtape.data.saved import save_dataset

        save_dataset(self, path, compression, shard_func)  # type: ignore[arg-type]

    def with_options(self, options: Any, name: str | None = None) -> Dataset:
        """The dataset with these options; they hold for all that is before it too."""
        from shardtape.data.dataset import OptionsDataset

        return OptionsDataset(self, options)  # type: ignore[arg-type]

    def apply(self, transformation_func: Callable[[Any], Any]) -> Dataset:
        """`transformation_func(self)`. Raises TypeError where that is no dataset."""
        from shardtape.data.dataset import Dataset

        made = transformation_func(self)
        if not isinstance(made, Dataset):
            raise TypeError(
                f"`transformation_func` must return a `tf.data.Dataset` object. Got {type(made)}."
            )
        return made

"""`tf.data.experimental`: older spellings and rarer transformations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.absent import no_such_name
from shardtape.data import structure
from shardtape.data.csv import CsvDataset, make_csv_dataset
from shardtape.data.cursor import Cursor, Leaves
from shardtape.data.dataset import INFINITE as INFINITE_CARDINALITY
from shardtape.data.dataset import UNKNOWN as UNKNOWN_CARDINALITY
from shardtape.data.dataset import Dataset, OneInput
from shardtape.data.iterator import OwnedIterator
from shardtape.data.optional import Optional
from shardtape.data.options import (
    AutoShardPolicy,
    AutotuneAlgorithm,
    AutotuneOptions,
    DistributeOptions,
    ExternalStatePolicy,
    OptimizationOptions,
    ThreadingOptions,
)
from shardtape.data.parallel import AUTOTUNE
from shardtape.data.readers import TFRecordDataset
from shardtape.data.rows import Rows, Stream
from shardtape.data.run import Run
from shardtape.data.sql import SqlDataset
from shardtape.data.structure import ElementType
from shardtape.data.tables import (
    DatasetInitializer,
    index_table_from_dataset,
    pad_to_cardinality,
    table_from_dataset,
)
from shardtape.data.tracing import enable_debug_mode

__all__ = [
    "AUTOTUNE",
    "INFINITE_CARDINALITY",
    "UNKNOWN_CARDINALITY",
    "AutoShardPolicy",
    "AutotuneAlgorithm",
    "AutotuneOptions",
    "Counter",
    "CsvDataset",
    "DatasetInitializer",
    "DistributeOptions",
    "ExternalStatePolicy",
    "OptimizationOptions",
    "Optional",
    "RandomDataset",
    "Reducer",
    "SHARD_HINT",
    "SqlDataset",
    "TFRecordWriter",
    "ThreadingOptions",
    "assert_cardinality",
    "at",
    "bucket_by_sequence_length",
    "cardinality",
    "choose_from_datasets",
    "copy_to_device",
    "dense_to_ragged_batch",
    "dense_to_sparse_batch",
    "enable_debug_mode",
    "enumerate_dataset",
    "from_list",
    "from_variant",
    "get_next_as_optional",
    "get_single_element",
    "get_structure",
    "group_by_reducer",
    "group_by_window",
    "ignore_errors",
    "index_table_from_dataset",
    "load",
    "make_batched_features_dataset",
    "make_csv_dataset",
    "map_and_batch",
    "pad_to_cardinality",
    "parallel_interleave",
    "parse_example_dataset",
    "prefetch_to_device",
    "rejection_resample",
    "sample_from_datasets",
    "save",
    "scan",
    "shuffle_and_repeat",
    "snapshot",
    "table_from_dataset",
    "take_while",
    "to_variant",
    "unbatch",
    "unique",
]

SHARD_HINT = -1  # the number of shards of `shard` that a strategy would set
Transformation = Callable[[Dataset], Dataset]


def Counter(start: Any = 0, step: Any = 1, dtype: Any = dt.int64) -> Dataset:
    """`Dataset.counter`."""
    return Dataset.counter(start, step, dtype)


def RandomDataset(
    seed: Any = None, rerandomize_each_iteration: bool | None = None, name: str | None = None
) -> Dataset:
    """`Dataset.random`."""
    return Dataset.random(seed, rerandomize_each_iteration)


# ---- what datasets are --------------------------------------------------------------------------
def cardinality(dataset: Dataset) -> Any:
    """`dataset.cardinality()`."""
    return dataset.cardinality()


def get_single_element(dataset: Dataset) -> Any:
    """`dataset.get_single_element()`."""
    return dataset.get_single_element()


def get_structure(dataset_or_iterator: Any) -> Any:
    """The `element_spec` of a dataset or iterator. Raises TypeError for anything else."""
    try:
        return dataset_or_iterator.element_spec
    except AttributeError:
        raise TypeError(
            "Invalid `dataset_or_iterator`. `dataset_or_iterator` must be a `tf.data.Dataset` or "
            f"tf.data.Iterator object, but got {type(dataset_or_iterator)}."
        ) from None


def get_next_as_optional(iterator: OwnedIterator) -> Optional:
    """`iterator.get_next_as_optional()`."""
    return iterator.get_next_as_optional()


def at(dataset: Dataset, index: int) -> Any:
    """Element number `index`. Raises OutOfRangeError behind the end."""
    found = iter(dataset.skip(index).take(1))
    return found.get_next()  # type: ignore[attr-defined]


def assert_cardinality(expected_cardinality: int) -> Transformation:
    """The dataset with a known number of elements; iterating raises where it is another."""
    return lambda dataset: AssertCardinalityDataset(dataset, int(expected_cardinality))


class AssertCardinalityDataset(OneInput):
    """A dataset that claims to have so many elements."""

    def __init__(self, input: Dataset, expected: int) -> None:
        super().__init__(input)
        self._expected = expected

    def _cardinality(self, run: Run) -> int:
        return self._expected

    def _rows(self, run: Run) -> Rows | None:
        rows = self._input._rows(run)
        return rows if rows is not None and len(rows.numbers) == self._expected else None

    def _stream(self, run: Run) -> Stream | None:
        return super()._stream(run)

    def _make_cursor(self, run: Run) -> Cursor:
        return _CountingCursor(self._input._cursor(run), self._expected)


class _CountingCursor(Cursor):
    """Raises FailedPreconditionError at an end that comes too early or too late."""

    def __init__(self, input: Cursor, expected: int) -> None:
        super().__init__(input)
        self._next, self._expected, self._seen = input.__next__, expected, 0

    def __next__(self) -> Leaves:
        try:
            found = self._next()
        except StopIteration:
            if self._expected == INFINITE_CARDINALITY or self._seen < self._expected:
                raise self._wrong(f"{self._seen}") from None
            raise
        self._seen += 1
        if 0 <= self._expected < self._seen:
            raise self._wrong(f"at least {self._seen}")
        return found

    def _wrong(self, found: str) -> errors.OpError:
        wanted = "an infinite number of" if self._expected < 0 else f"{self._expected}"
        return errors.FailedPreconditionError(
            f"Input dataset was expected to contain {wanted} elements but contained {found} "
            "elements."
        )


def from_list(elements: Sequence[Any], name: str | None = None) -> Dataset:
    """One element for each member of a list of equal structures."""
    if not isinstance(elements, (list, tuple)) or not elements:
        raise ValueError("Invalid `elements`. `elements` should be a list that is not empty.")
    values = [structure.normalize(e) for e in elements]
    specs = [structure.spec_of(v) for v in values]
    spec = specs[0]
    for other in specs[1:]:
        structure.assert_same(spec, other, "elements")
        spec = structure.map_structure(lambda a, b: a.most_specific_compatible_type(b), spec, other)
    element = ElementType(spec)
    from shardtape.data.windows import ElementsDataset

    return ElementsDataset(spec, [element.unwrap(v) for v in values])


# ---- methods as functions for `apply` -----------------------------------------------------------
def _method(name: str) -> Callable[..., Transformation]:
    def made(*args: Any, **options: Any) -> Transformation:
        return lambda dataset: getattr(dataset, name)(*args, **options)

    made.__name__ = name
    made.__doc__ = f"For `Dataset.apply`: `dataset.{name}` with these arguments."
    return made


bucket_by_sequence_length = _method("bucket_by_sequence_length")
dense_to_ragged_batch = _method("ragged_batch")
dense_to_sparse_batch = _method("sparse_batch")
group_by_window = _method("group_by_window")
ignore_errors = _method("ignore_errors")
rejection_resample = _method("rejection_resample")
scan = _method("scan")
snapshot = _method("snapshot")
take_while = _method("take_while")
unbatch = _method("unbatch")
unique = _method("unique")


def enumerate_dataset(start: Any = 0) -> Transformation:
    """For `Dataset.apply`: `dataset.enumerate(start)`."""
    return lambda dataset: dataset.enumerate(start)


def shuffle_and_repeat(buffer_size: Any, count: Any = None, seed: Any = None) -> Transformation:
    """For `Dataset.apply`: `shuffle`, then `repeat`."""
    return lambda dataset: dataset.shuffle(buffer_size, seed).repeat(count)


def map_and_batch(
    map_func: Callable[..., Any],
    batch_size: Any,
    num_parallel_batches: Any = None,
    drop_remainder: bool = False,
    num_parallel_calls: Any = None,
) -> Transformation:
    """For `Dataset.apply`: `map`, then `batch`."""
    calls = num_parallel_calls
    if num_parallel_batches is not None:
        calls = num_parallel_batches * batch_size
    return lambda dataset: dataset.map(map_func, calls).batch(batch_size, drop_remainder)


def parallel_interleave(
    map_func: Callable[..., Any],
    cycle_length: Any,
    block_length: Any = 1,
    sloppy: bool | None = False,
    buffer_output_elements: Any = None,
    prefetch_input_elements: Any = None,
) -> Transformation:
    """For `Dataset.apply`: `interleave` with a thread for each dataset."""
    return lambda dataset: dataset.interleave(
        map_func, cycle_length, block_length, cycle_length, deterministic=not sloppy
    )


def prefetch_to_device(device: str, buffer_size: Any = None) -> Transformation:
    """For `Dataset.apply`: `prefetch`; elements are moved to a GPU by the ops that use them."""
    return lambda dataset: dataset.prefetch(AUTOTUNE if buffer_size is None else buffer_size)


def copy_to_device(target_device: str, source_device: str = "/cpu:0") -> Transformation:
    """For `Dataset.apply`: nothing; elements are moved to a GPU by the ops that use them."""
    return lambda dataset: dataset


def to_variant(dataset: Dataset) -> Any:
    """The tensor of type variant that stands for a dataset."""
    from shardtape.data.graph_ops import to_variant as as_variant

    return as_variant(dataset)


def from_variant(variant: Any, structure: Any) -> Dataset:
    """The dataset that a tensor of type variant stands for; `structure`: its element_spec."""
    from shardtape.data.dataset import VariantDataset

    return VariantDataset(variant, structure)


def choose_from_datasets(
    datasets: Sequence[Dataset], choice_dataset: Dataset, stop_on_empty_dataset: bool = False
) -> Dataset:
    """`Dataset.choose_from_datasets`, which goes on behind empty datasets by default."""
    return Dataset.choose_from_datasets(datasets, choice_dataset, stop_on_empty_dataset)


def sample_from_datasets(
    datasets: Sequence[Dataset],
    weights: Any = None,
    seed: Any = None,
    stop_on_empty_dataset: bool = False,
) -> Dataset:
    """`Dataset.sample_from_datasets`."""
    return Dataset.sample_from_datasets(datasets, weights, seed, stop_on_empty_dataset)


# ---- reducers -----------------------------------------------------------------------------------
class Reducer:
    """Three functions: key to state, (state, element) to state, state to result."""

    def __init__(
        self,
        init_func: Callable[..., Any],
        reduce_func: Callable[..., Any],
        finalize_func: Callable[..., Any],
    ) -> None:
        self.init_func, self.reduce_func, self.finalize_func = (
            init_func, reduce_func, finalize_func,
        )  # fmt: skip


def group_by_reducer(key_func: Callable[..., Any], reducer: Reducer) -> Transformation:
    """For `Dataset.apply`: one result of a reducer for each key, in the order of the keys."""

    def reduced(key: Any, group: Dataset) -> Dataset:
        final = group.reduce(reducer.init_func(key), reducer.reduce_func)
        return Dataset.from_tensors(reducer.finalize_func(final))

    return lambda dataset: dataset.group_by_window(key_func, reduced, window_size=dt.int64.max)


# ---- files --------------------------------------------------------------------------------------
class TFRecordWriter:
    """Writes a dataset of scalar strings to a TFRecord file."""

    def __init__(self, filename: Any, compression_type: Any = None) -> None:
        self._filename, self._compression = filename, compression_type

    def write(self, dataset: Dataset) -> None:
        """Writes all elements. Raises TypeError for elements that are no scalar strings."""
        from shardtape.graph.func_graph import TensorSpec
        from shardtape.io.files import text_of
        from shardtape.io.writer import TFRecordWriter as Writer

        if dataset.element_spec != TensorSpec([], dt.string):
            raise TypeError(
                "Invalid `dataset`. Expected a`dataset` that produces scalar `tf.string` elements, "
                f"but got a dataset which produces elements with spec {dataset.element_spec}."
            )
        name = self._filename.numpy() if hasattr(self._filename, "numpy") else self._filename
        with Writer(text_of(name), self._compression) as writer:
            for record in dataset.as_numpy_iterator():
                writer.write(record)


def save(
    dataset: Dataset, path: Any, compression: Any = None, shard_func: Any = None,
    checkpoint_args: Any = None,
) -> None:  # fmt: skip
    """`dataset.save(path)`."""
    dataset.save(path, compression, shard_func)


def load(
    path: Any, element_spec: Any = None, compression: Any = None, reader_func: Any = None
) -> Dataset:
    """`Dataset.load`."""
    return Dataset.load(path, element_spec, compression, reader_func)


def parse_example_dataset(
    features: Mapping[str, Any], num_parallel_calls: Any = 1, deterministic: bool | None = None
) -> Transformation:
    """For `Dataset.apply`: batches of serialised Examples to dicts of tensors."""
    from shardtape.io.parsing import parse_example

    calls = None if num_parallel_calls == 1 else num_parallel_calls
    return lambda dataset: dataset.map(
        lambda serialized: parse_example(serialized, features), calls, deterministic
    )


def make_batched_features_dataset(
    file_pattern: Any,
    batch_size: int,
    features: Mapping[str, Any],
    reader: Any = None,
    label_key: str | None = None,
    reader_args: Sequence[Any] | None = None,
    num_epochs: int | None = None,
    shuffle: bool = True,
    shuffle_buffer_size: int = 10000,
    shuffle_seed: int | None = None,
    prefetch_buffer_size: Any = None,
    reader_num_threads: Any = None,
    parser_num_threads: Any = None,
    sloppy_ordering: bool = False,
    drop_final_batch: bool = False,
) -> Dataset:
    """Batches of parsed Examples from files: dicts of tensors, or (dict, label).

    Args:
      reader: function from a file name to a dataset of serialised Examples.
      label_key: the feature that is the label.
      num_epochs: None: for ever, in batches of a known size.

    Raises:
      ValueError: a label that is no feature.
    """
    if label_key and label_key not in features:
        raise ValueError(
            f"The `label_key` provided ({label_key}) must be one of the `features` keys: "
            f"{list(features)}."
        )
    make = reader or TFRecordDataset
    files = Dataset.list_files(file_pattern, shuffle=shuffle, seed=shuffle_seed)
    threads = reader_num_threads or 1

    def of_file(name: Any) -> Dataset:
        return make(name, *(reader_args or ()))

    if threads == 1:
        records = files.flat_map(of_file)
    else:
        cycle = None if threads == AUTOTUNE else threads
        records = files.interleave(
            of_file, cycle, num_parallel_calls=threads, deterministic=not sloppy_ordering
        )
    if shuffle:
        records = records.shuffle(shuffle_buffer_size, shuffle_seed)
    if num_epochs != 1:
        records = records.repeat(num_epochs)
    batches = records.batch(batch_size, drop_remainder=drop_final_batch or num_epochs is None)
    parsed = batches.apply(parse_example_dataset(features, parser_num_threads or 2))
    if label_key:
        parsed = parsed.map(
            lambda x: ({k: v for k, v in x.items() if k != label_key}, x[label_key])
        )
    return parsed.prefetch(AUTOTUNE if prefetch_buffer_size is None else prefetch_buffer_size)


__getattr__ = no_such_name("tf.data.experimental", __all__)

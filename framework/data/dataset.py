"""`tf.data.Dataset`: what every dataset offers, and how one is iterated over.

A dataset is immutable: a description of where elements come from. A subclass says what its
elements are (`element_spec`), what it reads (`_inputs`, `_parameters`), how many there are
(`_cardinality`), and gives a cursor over them (`_make_cursor`) or, better, rows of arrays
(`_rows`, `_stream`: see `shardtape.data.rows`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.absent import NearestName, missing_attribute
from shardtape.context import state
from shardtape.data.cursor import Cursor
from shardtape.data.options import Options
from shardtape.data.rows import OrderedStream, Rows, Stream, StreamCursor
from shardtape.data.run import BoundDataset, Run, symbols_of
from shardtape.data.specs import DatasetSpec
from shardtape.data.structure import ElementType
from shardtape.data.transformations import Transformations
from shardtape.tensor import EagerTensor, SymbolicTensor
from shardtape.type_spec import TypeSpec

INFINITE, UNKNOWN = -1, -2


class Dataset(Transformations, metaclass=NearestName):
    """A potentially large set of elements, each a structure of tensors.

    Made by the functions `from_tensor_slices`, `from_generator`, `range`, ... and by
    transformations of other datasets.

    Example:
      >>> dataset = tf.data.Dataset.from_tensor_slices([1, 2, 3]).map(lambda x: x * 2)
      >>> list(dataset.as_numpy_iterator())
      [2, 4, 6]
    """

    _shown: str | None = None  # the class name that TensorFlow shows, where it differs

    def __init__(self, element_spec: Any) -> None:
        self._type = ElementType(element_spec)

    def __getattr__(self, name: str) -> Any:
        kind = type(self)
        raise missing_attribute(kind, name, f"'{kind.__name__}' object")

    # ---- what a subclass defines ----------------------------------------------------------
    def _inputs(self) -> Sequence[Dataset]:
        """The datasets that this one reads."""
        return ()

    def _parameters(self) -> Sequence[Any]:
        """Values of which some may be symbolic tensors."""
        return ()

    def _cardinality(self, run: Run) -> int:
        """The number of elements, or INFINITE or UNKNOWN."""
        return UNKNOWN

    def _rows(self, run: Run) -> Rows | None:
        """The elements as rows, where they are."""
        return None

    def _stream(self, run: Run) -> Stream | None:
        """The elements as numbers of rows, where they are."""
        rows = self._rows(run)
        return None if rows is None else OrderedStream(rows)

    def _make_cursor(self, run: Run) -> Cursor:
        """A cursor, where there is no stream."""
        raise NotImplementedError(f"{type(self).__name__} cannot be iterated over")

    def _cursor(self, run: Run) -> Cursor:
        run = run.child()
        stream = self._stream(run)
        return self._make_cursor(run) if stream is None else StreamCursor(stream)

    # ---- what it is -----------------------------------------------------------------------
    @property
    def element_spec(self) -> Any:
        """The structure of TypeSpecs of the elements."""
        return self._type.spec

    @property
    def _type_spec(self) -> TypeSpec:
        return DatasetSpec(self.element_spec)

    def cardinality(self) -> Any:
        """int64 scalar: the number of elements, INFINITE_CARDINALITY or UNKNOWN_CARDINALITY."""
        from shardtape.ops.convert import convert_to_tensor

        if symbols_of(self):
            from shardtape.data.graph_ops import dataset_cardinality, to_variant

            return dataset_cardinality(to_variant(self))
        return convert_to_tensor(self._cardinality(Run()), dt.int64)

    def __len__(self) -> int:
        if state.graph is not None:
            raise TypeError(
                "`tf.data.Dataset` only supports `len` in eager mode. Use "
                "`tf.data.Dataset.cardinality()` instead."
            )
        size = self._cardinality(Run())
        if size == INFINITE:
            raise TypeError("The dataset is infinite.")
        if size == UNKNOWN:
            raise TypeError("The dataset length is unknown.")
        return size

    def __bool__(self) -> bool:
        return True

    __nonzero__ = __bool__

    def options(self) -> Options:
        """The options of this dataset and its inputs."""
        found = Options()
        for input in self._inputs():
            found = found.merge(input.options())
        return found

    def __repr__(self) -> str:
        kind = type(self)
        name = kind._shown
        if name is None:
            own = kind.__module__.startswith("shardtape.")
            name = f"_{kind.__name__}" if own else kind.__name__
        return f"<{name} element_spec={self.element_spec}>"

    # ---- iterating ------------------------------------------------------------------------
    def __iter__(self) -> Iterator[Any]:
        from shardtape.data.iterator import OwnedIterator

        return OwnedIterator(self)

    def as_numpy_iterator(self) -> Iterator[Any]:
        """An iterator that gives numpy arrays in place of tensors; they are read-only.

        Raises:
          TypeError: elements that are no tensors (datasets of datasets).
          RuntimeError: inside a graph.
        """
        from shardtape.data.iterator import NumpyIterator

        return NumpyIterator(self)

    def reduce(self, initial_state: Any, reduce_func: Callable[..., Any], name: Any = None) -> Any:
        """`state = reduce_func(state, element)` over all elements; the last state.

        Raises TypeError or ValueError where the function returns another structure or dtype.
        """
        from shardtape.data.reducing import reduce_dataset

        return reduce_dataset(self, initial_state, reduce_func)

    def get_single_element(self, name: str | None = None) -> Any:
        """The only element. Raises InvalidArgumentError where there are none or several."""
        if state.graph is not None:
            from shardtape.data.graph_ops import single_element, to_variant

            return single_element(to_variant(self), self.element_spec)
        return self._type.wrap(only_element(self, Run()))

    def _autograph_for(self, *loop: Any) -> None:
        from shardtape.data.loops import for_loop

        for_loop(iter(self), *loop)

    def _autograph_enumerate(self, start: Any = 0) -> Dataset:
        return self.enumerate(start)

    def _autograph_zip(self, *others: Any) -> Dataset:
        return Dataset.zip((self, *others))

    # ---- sources --------------------------------------------------------------------------
    @staticmethod
    def from_tensors(tensors: Any, name: str | None = None) -> Dataset:
        """One element: the tensors as they are."""
        return sources.TensorDataset(tensors)

    @staticmethod
    def from_tensor_slices(tensors: Any, name: str | None = None) -> Dataset:
        """One element for each row of the tensors, which need the same number of rows.

        Arrays are copied, but for files that are mapped (`np.memmap`) and read-only arrays.

        Raises:
          ValueError: no tensors, scalars, or different numbers of rows.
        """
        return sources.TensorSliceDataset(tensors)

    @staticmethod
    def from_generator(
        generator: Callable[..., Any],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Any = None,
        output_signature: Any = None,
        name: str | None = None,
    ) -> Dataset:
        """The elements that a Python generator yields; it is called for each iteration.

        Args:
          generator: a callable that returns an object that supports `iter()`.
          output_signature: structure of TypeSpecs of an element.
          output_types, output_shapes: the same as structures of dtypes and shapes.
          args: tensors that are given to the generator, as numpy values.

        Raises:
          TypeError: neither signature nor types, or both, or something that cannot be called.
        """
        from shardtape.data.generator import from_generator

        return from_generator(generator, output_types, output_shapes, args, output_signature)

    @staticmethod
    def range(*args: Any, **kwargs: Any) -> Dataset:
        """`range(stop)`, `range(start, stop)` or `range(start, stop, step)`.

        Args:
          output_type: dtype of the elements, int64 by default.
        """
        return sources.RangeDataset(*args, **kwargs)

    @staticmethod
    def random(
        seed: Any = None, rerandomize_each_iteration: bool | None = None, name: str | None = None
    ) -> Dataset:
        """Endless pseudorandom integers of 32 bits, as int64."""
        return sources.RandomDataset(seed, rerandomize_each_iteration)

    @staticmethod
    def counter(
        start: Any = 0, step: Any = 1, dtype: Any = dt.int64, name: str | None = None
    ) -> Dataset:
        """start, start + step, start + 2 * step, ..., without an end."""
        return sources.CounterDataset(start, step, dtype)

    @staticmethod
    def list_files(
        file_pattern: Any, shuffle: bool | None = None, seed: Any = None, name: str | None = None
    ) -> Dataset:
        """Names of the files that match a pattern, or one of several; shuffled by default.

        Raises:
          InvalidArgumentError: no file matches.
        """
        from shardtape.data.readers import list_files

        return list_files(file_pattern, shuffle, seed)

    @staticmethod
    def zip(*args: Any, datasets: Any = None, name: str | None = None) -> Dataset:
        """Elements of several datasets side by side.

        Args:
          args: datasets, or one structure of them.
          datasets: the same by name.
        """
        if not args and datasets is None:
            raise TypeError("Must pass at least one dataset to `zip`.")
        if args and datasets is not None:
            raise TypeError("Both `*args` and `datasets` cannot be set.")
        if datasets is None:
            datasets = args[0] if len(args) == 1 else args
        return ordering.ZipDataset(datasets)

    @staticmethod
    def choose_from_datasets(
        datasets: Sequence[Dataset], choice_dataset: Dataset, stop_on_empty_dataset: bool = True
    ) -> Dataset:
        """Each element from the dataset whose number the next element of `choice_dataset` says.

        Args:
          choice_dataset: int64 scalars.
          stop_on_empty_dataset: end as soon as a chosen dataset has ended; else leave it out.
        """
        from shardtape.data.choosing import choose_from_datasets

        return choose_from_datasets(datasets, choice_dataset, stop_on_empty_dataset)

    @staticmethod
    def sample_from_datasets(
        datasets: Sequence[Dataset],
        weights: Any = None,
        seed: Any = None,
        stop_on_empty_dataset: bool = False,
        rerandomize_each_iteration: bool | None = None,
    ) -> Dataset:
        """Each element from a dataset that is drawn with the probabilities `weights`.

        Args:
          weights: one per dataset, or a dataset of such vectors; default: all equal.
        """
        from shardtape.data.choosing import sample_from_datasets

        return sample_from_datasets(
            datasets, weights, seed, stop_on_empty_dataset, rerandomize_each_iteration
        )

    @staticmethod
    def load(
        path: Any, element_spec: Any = None, compression: Any = None, reader_func: Any = None
    ) -> Dataset:
        """The dataset that `save` wrote to a folder.

        Raises:
          NotFoundError: there is none.
        """
        from shardtape.data.saved import load_dataset

        return load_dataset(path, element_spec, compression, reader_func)


class OneInput(Dataset):
    """Base of datasets that read one other.

    Args:
      element_spec: default: that of the input.
    """

    def __init__(self, input: Dataset, element_spec: Any = None) -> None:
        super().__init__(input.element_spec if element_spec is None else element_spec)
        self._input = input

    def _inputs(self) -> Sequence[Dataset]:
        return (self._input,)


class VariantDataset(Dataset):
    """A dataset that a function was given or that is an element of another.

    Args:
      variant: tensor of type variant: symbolic, or eager around a `BoundDataset`.
    """

    def __init__(self, variant: Any, element_spec: Any) -> None:
        super().__init__(element_spec)
        self._variant = variant

    def _parameters(self) -> Sequence[Any]:
        return (self._variant,)

    def _bound(self, run: Run) -> BoundDataset:
        if type(self._variant) is EagerTensor:
            return self._variant._array
        return run.value(self._variant)

    def _cardinality(self, run: Run) -> int:
        if isinstance(self._variant, SymbolicTensor) and self._variant._id not in run.values:
            return UNKNOWN
        bound = self._bound(run)
        return bound.dataset._cardinality(run.through(self, bound))

    def _rows(self, run: Run) -> Rows | None:
        bound = self._bound(run)
        return bound.dataset._rows(run.through(self, bound))

    def _stream(self, run: Run) -> Stream | None:
        bound = self._bound(run)
        return bound.dataset._stream(run.through(self, bound))

    def _make_cursor(self, run: Run) -> Cursor:
        bound = self._bound(run)
        return bound.dataset._make_cursor(run.through(self, bound))


class OptionsDataset(OneInput):
    """A dataset with options."""

    def __init__(self, input: Dataset, options: Options) -> None:
        if not isinstance(options, Options):
            raise TypeError(f"`options` must be a `tf.data.Options`, got {options!r}")
        super().__init__(input)
        self._options = options

    def options(self) -> Options:
        return self._input.options().merge(self._options)

    def _cardinality(self, run: Run) -> int:
        return self._input._cardinality(run)

    def _rows(self, run: Run) -> Rows | None:
        return self._input._rows(run)

    def _stream(self, run: Run) -> Stream | None:
        return self._input._stream(run)

    def _make_cursor(self, run: Run) -> Cursor:
        return self._input._make_cursor(run)


def only_element(dataset: Dataset, run: Run) -> tuple[Any, ...]:
    """The leaves of a dataset's only element. Raises InvalidArgumentError."""
    cursor = dataset._cursor(run)
    try:
        found = next(cursor, None)
        if found is None:
            raise errors.InvalidArgumentError("Dataset was empty.")
        if next(cursor, None) is not None:
            raise errors.InvalidArgumentError("Dataset had more than one element.")
        return found
    finally:
        cursor.close()


# They define subclasses of Dataset, and its methods need them.
from shardtape.data import ordering, sources  # noqa: E402

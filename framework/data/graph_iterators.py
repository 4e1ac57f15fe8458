"""TF1's iterators: operations that are initialised and run by sessions.

The place of an iterator belongs to whoever runs it: each session has its own, told apart by the
streams of random numbers that it brings.
"""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors, shapes
from shardtape.backend import random
from shardtape.context import building, state
from shardtape.data import structure
from shardtape.data.dataset import Dataset
from shardtape.data.graph_ops import get_next as get_next_op
from shardtape.data.graph_ops import to_variant
from shardtape.data.iterator import RunningIterator
from shardtape.data.run import BoundDataset, GraphValue
from shardtape.data.specs import IteratorSpec
from shardtape.data.structure import ElementType
from shardtape.graph.func_graph import TensorSpec
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import READS, WRITES, op
from shardtape.type_spec import TypeSpec


class IteratorResource(GraphValue):
    """The places of an iterator, by who runs it.

    Args:
      first: makes the dataset of an iterator that needs no initialiser.
    """

    def __init__(self, name: str, first: Any = None) -> None:
        self.name, self._first = name, first
        self._places: weakref.WeakKeyDictionary[Any, RunningIterator] = weakref.WeakKeyDictionary()
        self._outside: RunningIterator | None = None

    def initialize(self, bound: BoundDataset) -> None:
        """Goes to the beginning of a dataset."""
        made = RunningIterator(bound)
        owner = random.current_streams()
        if owner is None:
            self._outside = made
        else:
            self._places[owner] = made

    def _running(self) -> RunningIterator:
        owner = random.current_streams()
        found = self._outside if owner is None else self._places.get(owner)
        if found is None:
            if self._first is None:
                raise errors.FailedPreconditionError(
                    f"GetNext() failed because the iterator '{self.name}' has not been "
                    "initialized. Ensure that you have run the initializer operation for this "
                    "iterator before getting the next element."
                )
            self.initialize(BoundDataset(self._first, {}))
            return self._running()
        return found

    def next(self) -> Any:
        """As `RunningIterator.next`."""
        return self._running().next()

    def has_next(self) -> bool:
        """As `RunningIterator.has_next`."""
        return self._running().has_next()


# handles that were given out as strings; they live as long as their iterators
_by_handle: weakref.WeakValueDictionary[bytes, IteratorResource] = weakref.WeakValueDictionary()


def _scalar(*args: Any, **attrs: Any) -> Any:
    return shapes.TensorShape([])


@op("IteratorV2", shape=_scalar, dtype=dt.variant, dtypes=dt.ANY, effects=READS, widen=False,
    differentiable=False)  # fmt: skip
def iterator_op(xp, *, resource):
    """An iterator whose place belongs to the session."""
    return resource


@op("MakeIterator", shape=lambda *args: [], dtype=lambda dtypes, attrs: (), dtypes=dt.ANY,
    mixed=True, outputs=0, effects=WRITES, widen=False, differentiable=False)  # fmt: skip
def make_iterator_op(xp, dataset, iterator):
    """Takes an iterator to the beginning of a dataset."""
    iterator.initialize(dataset)


@op("IteratorToStringHandle", shape=_scalar, dtype=dt.string, dtypes=dt.ANY, effects=READS,
    widen=False, differentiable=False)  # fmt: skip
def to_string_handle_op(xp, iterator):
    """A name by which `IteratorFromStringHandle` finds the iterator."""
    handle = f"iterator-{id(iterator):x}".encode()
    _by_handle[handle] = iterator
    return np.array(handle, object)


@op("IteratorFromStringHandle", shape=_scalar, dtype=dt.variant, dtypes=dt.ANY, effects=READS,
    direct=True, widen=False, differentiable=False)  # fmt: skip
def from_string_handle_op(xp, handle):
    """The iterator of a name."""
    name = np.asarray(handle, object)[()]
    found = _by_handle.get(name)
    if found is None:
        raise errors.InvalidArgumentError(f"{name!r} is the handle of no iterator")
    return found


class GraphIterator:
    """TF1's `tf.data.Iterator`: made by functions of this module, by no constructor of users'."""

    def __init__(self, handle: Any, spec: Any, initializer: Any = None) -> None:
        self._handle, self._initializer = handle, initializer
        self._type = ElementType(spec)

    @staticmethod
    def from_structure(
        output_types: Any,
        output_shapes: Any = None,
        shared_name: str | None = None,
        output_classes: Any = None,
    ) -> GraphIterator:
        """An iterator over any dataset of this structure; see `make_initializer`."""
        handle = iterator_op(resource=IteratorResource(shared_name or "Iterator"))
        return GraphIterator(handle, _structure(output_types, output_shapes))

    @staticmethod
    def from_string_handle(
        string_handle: Any, output_types: Any, output_shapes: Any = None, output_classes: Any = None
    ) -> GraphIterator:
        """The iterator that a fed string names; see `string_handle`."""
        handle = from_string_handle_op(convert_to_tensor(string_handle, dt.string))
        return GraphIterator(handle, _structure(output_types, output_shapes))

    @property
    def initializer(self) -> Any:
        """The operation that takes it to the beginning of its dataset.

        Raises ValueError for an iterator that has none.
        """
        if self._initializer is None:
            raise ValueError(f"Iterator {self._handle!r} does not have an initializer.")
        return self._initializer

    def make_initializer(self, dataset: Dataset, name: str | None = None) -> Any:
        """The operation that takes it to the beginning of `dataset`.

        Raises TypeError where the elements have another structure.
        """
        structure.assert_same(self.element_spec, dataset.element_spec, "make_initializer")
        for own, given in zip(self._type.specs, dataset._type.specs):
            if not own.is_compatible_with(given):
                raise TypeError(
                    f"Expected elements of {self.element_spec!r} but got dataset with elements "
                    f"{dataset.element_spec!r}."
                )
        return make_iterator_op(to_variant(dataset), self._handle, name=name)

    def get_next(self, name: str | None = None) -> Any:
        """The next element in each run; running it raises OutOfRangeError at the end."""
        return get_next_op(self._handle, self._type)

    def string_handle(self, name: str | None = None) -> Any:
        """A string tensor for `from_string_handle`."""
        return to_string_handle_op(self._handle, name=name)

    @property
    def element_spec(self) -> Any:
        """The structure of TypeSpecs of the elements."""
        return self._type.spec

    @property
    def _type_spec(self) -> TypeSpec:
        return IteratorSpec(self.element_spec)

    @property
    def output_types(self) -> Any:
        """The structure of dtypes."""
        return structure.legacy(self.element_spec, "dtype")

    @property
    def output_shapes(self) -> Any:
        """The structure of shapes."""
        return structure.legacy(self.element_spec, "shape")

    @property
    def output_classes(self) -> Any:
        """The structure of Python types."""
        return structure.legacy(self.element_spec, "value_type")


def _structure(types: Any, result_shapes: Any) -> Any:
    flat = structure.flatten(types)
    if result_shapes is None:
        found: list[Any] = [None] * len(flat)
    else:
        found = structure.flatten_up_to(types, result_shapes, "output_shapes")
    return structure.pack(types, [TensorSpec(s, dt.as_dtype(t)) for t, s in zip(flat, found)])


def make_one_shot_iterator(dataset: Dataset) -> Any:
    """An iterator that goes over a dataset once and needs no initialiser.

    In eager mode that is `iter(dataset)`.

    Raises:
      ValueError: the dataset depends on placeholders, Variables or other tensors of the graph.
    """
    from shardtape.data.run import symbols_of

    if state.graph is None:
        return iter(dataset)
    if symbols_of(dataset):
        raise ValueError(
            "Cannot capture a placeholder or another tensor of the graph in a one-shot iterator. "
            "If you want to use tensors, use `Dataset.make_initializable_iterator()` instead of "
            "`Dataset.make_one_shot_iterator()`."
        )
    with building(state.graph):
        handle = iterator_op(resource=IteratorResource("OneShotIterator", dataset))
    return GraphIterator(handle, dataset.element_spec)


def make_initializable_iterator(dataset: Dataset, shared_name: str | None = None) -> GraphIterator:
    """An iterator whose `initializer` is run before it and to begin again.

    Raises RuntimeError in eager mode.
    """
    if state.graph is None:
        raise RuntimeError(
            "`tf.compat.v1.data.make_initializable_iterator` is not supported in eager mode. Use "
            "`for element in dataset` instead."
        )
    handle = iterator_op(resource=IteratorResource(shared_name or "Iterator"))
    initializer = make_iterator_op(to_variant(dataset), handle)
    return GraphIterator(handle, dataset.element_spec, initializer)

"""Iterators over datasets: in eager mode, in traced functions, in numpy.

`RunningIterator` is the place in a dataset, whoever holds it: an eager `OwnedIterator`, or a
tensor of type variant in a graph. It may be used from several threads.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import numpy as np

from shardtape import errors
from shardtape.context import state
from shardtape.data.cursor import Leaves
from shardtape.data.run import BoundDataset, GraphValue, Run
from shardtape.data.seeds import RunKey
from shardtape.data.specs import IteratorSpec
from shardtape.data.structure import ElementType
from shardtape.tensor import EagerTensor
from shardtape.type_spec import TypeSpec

_CLOSE_LIMIT_S = 10.0
# A Python loop over an iterator of a graph would add operations without an end.
_MOST_CALLS_IN_A_GRAPH = 512


class RunningIterator(GraphValue):
    """A place in a dataset.

    Args:
      bound: the dataset, with the values of its parameters.
      key: see `Run`.

    Attributes:
      position: number of elements that were given or skipped.
    """

    def __init__(self, bound: BoundDataset, key: RunKey | None = None) -> None:
        self._bound, self._key = bound, key
        self._lock = threading.RLock()
        self._begin(None)

    def _begin(self, started: Any) -> None:
        dataset = self._bound.dataset
        self._run = Run(self._key, dataset.options().deterministic, dataset)
        if started is not None:
            self._run.restore(dataset, started)
        self._cursor = dataset._cursor(self._run.inside(self._bound) if self._bound.values
                                       else self._run)  # fmt: skip
        self._held: list[Leaves] = []
        self.position = 0

    def next(self) -> Leaves:
        """The leaves of the next element; StopIteration at the end."""
        with self._lock:
            if self._held:
                return self._held.pop()
            found = next(self._cursor)
            self.position += 1
            return found

    def has_next(self) -> bool:
        """Whether there is another element; it is kept for `next`."""
        with self._lock:
            if not self._held:
                try:
                    self._held.append(next(self._cursor))
                except StopIteration:
                    return False
                self.position += 1
            return True

    def skip(self, count: int) -> int:
        """Moves on by up to `count` elements; returns by how many."""
        with self._lock:
            done = 0
            if count and self._held:
                self._held.pop()
                done = 1
            moved = self._cursor.skip(count - done)
            self.position += moved
            return done + moved

    def close(self) -> None:
        """Ends the threads and closes the files behind it.

        Another thread that waits for an element gets CancelledError. One that computes it is
        waited for, up to a limit; its files are then closed when it ends.
        """
        self._cursor.cancel()
        if self._lock.acquire(timeout=_CLOSE_LIMIT_S):
            try:
                self._cursor.close()
            finally:
                self._lock.release()

    def save(self) -> dict[str, Any]:
        """Where it is: plain values that JSON can hold."""
        with self._lock:
            positions = self._run.positions(self._bound.dataset)
            return {"position": self.position - len(self._held), "seeds": positions}

    def restore(self, stored: dict[str, Any]) -> None:
        """Goes to a place that `save` told, in the same dataset.

        Elements before it are skipped; where nothing but rows of arrays are before it, without
        computing them.
        """
        with self._lock:
            self._cursor.close()
            self._begin(stored["seeds"])
            self.skip(int(stored["position"]))


class OwnedIterator:
    """What `iter(dataset)` gives.

    In eager mode `next(iterator)` gives the next element. In a traced function `next` and
    `get_next` add an operation that takes the next element in each run of the function.
    """

    def __init__(
        self, dataset: Any = None, components: Any = None, element_spec: Any = None,
        key: RunKey | None = None,
    ) -> None:  # fmt: skip
        self._handle: Any = None
        self._calls_in_graphs = 0
        self._running: RunningIterator | None = None
        if dataset is None:
            if components is None or element_spec is None:
                raise ValueError(
                    "When `dataset` is not provided, both `components` and `element_spec` must be "
                    "specified."
                )
            (tensor,) = components
            if type(tensor) is EagerTensor:
                self._running = tensor._array
            else:
                self._handle = tensor
            self._type = ElementType(element_spec)
            return
        self._type = dataset._type
        if state.graph is None:
            self._running = RunningIterator(BoundDataset(dataset, {}), key)
        else:
            from shardtape.data.graph_ops import make_iterator, to_variant

            self._handle = make_iterator(to_variant(dataset))

    # ---- what it is -----------------------------------------------------------------------
    @property
    def element_spec(self) -> Any:
        """The structure of TypeSpecs of the elements."""
        return self._type.spec

    @property
    def _type_spec(self) -> TypeSpec:
        return IteratorSpec(self.element_spec)

    def _as_handle(self) -> Any:
        """The tensor of type variant that stands for it."""
        if self._handle is not None:
            return self._handle
        if state.graph is None:
            return EagerTensor(self._running)
        from shardtape.data.graph_ops import iterator_handle

        return iterator_handle(iterator=self._running)

    # ---- elements -------------------------------------------------------------------------
    def __iter__(self) -> OwnedIterator:
        return self

    def __next__(self) -> Any:
        if state.graph is None and self._running is not None:
            return self._type.wrap(self._running.next())
        return self.get_next()

    def next(self) -> Any:
        """The next element, as `next(iterator)`: StopIteration at the end."""
        return self.__next__()

    def get_next(self) -> Any:
        """The next element. Raises OutOfRangeError at the end."""
        if state.graph is None and self._running is not None:
            try:
                return self._type.wrap(self._running.next())
            except StopIteration:
                raise errors.OutOfRangeError(None, None, "End of sequence") from None
        from shardtape.data.graph_ops import get_next

        self._calls_in_graphs += 1
        if self._calls_in_graphs > _MOST_CALLS_IN_A_GRAPH:
            raise ValueError(
                "An iterator over a dataset was asked for an element hundreds of times while a "
                "graph was built: a Python loop over it has no end there. Let AutoGraph convert "
                "the loop (tf.function with autograph=True, in a file whose source can be read), "
                "or use Dataset.reduce or tf.while_loop."
            )
        return get_next(self._as_handle(), self._type)

    def get_next_as_optional(self) -> Any:
        """The next element as a `tf.experimental.Optional`, empty at the end."""
        from shardtape.data.optional import Optional, optional_of

        if state.graph is None and self._running is not None:
            try:
                leaves = self._running.next()
            except StopIteration:
                leaves = None
            return Optional(EagerTensor(optional_of(leaves)), self.element_spec)
        from shardtape.data.graph_ops import get_next_as_optional

        return Optional(get_next_as_optional(self._as_handle()), self.element_spec)

    def _autograph_for(self, *loop: Any) -> None:
        from shardtape.data.loops import for_loop

        for_loop(self, *loop)

    # ---- place ----------------------------------------------------------------------------
    @property
    def position(self) -> int:
        """Number of elements given so far, in eager mode."""
        return self._require_running().position

    def skip(self, count: int) -> int:
        """Moves on by up to `count` elements without giving them; returns by how many."""
        return self._require_running().skip(count)

    def save_state(self) -> dict[str, Any]:
        """Where the iterator is, in plain values: `restore_state` goes on from there."""
        return self._require_running().save()

    def restore_state(self, stored: dict[str, Any]) -> None:
        """Goes to a place that an iterator over the same dataset told."""
        self._require_running().restore(stored)

    def close(self) -> None:
        """Ends the threads and closes the files behind it; else that happens with the object."""
        self._require_running().close()

    def _require_running(self) -> RunningIterator:
        if self._running is None:
            raise errors.FailedPreconditionError(
                "this iterator is part of a graph: its place is known only when the graph runs"
            )
        return self._running

    def _serialize_to_tensors(self) -> dict[str, Any]:
        """For `tf.train.Checkpoint`."""
        text = json.dumps(self.save_state()).encode()
        return {"ITERATOR_STATE": np.frombuffer(text, np.uint8)}

    def _restore_from_tensors(self, stored: dict[str, Any]) -> None:
        text = np.asarray(stored["ITERATOR_STATE"]).tobytes()
        self.restore_state(json.loads(text))


class NumpyIterator:
    """Elements as numpy arrays."""

    def __init__(self, dataset: Any) -> None:
        from shardtape.data.specs import DatasetSpec, NoneTensorSpec

        if state.graph is not None:
            raise RuntimeError("as_numpy_iterator() is not supported while tracing functions")
        for spec in dataset._type.specs:
            if not hasattr(spec, "dtype") and not isinstance(spec, NoneTensorSpec) or isinstance(
                spec, DatasetSpec
            ):  # fmt: skip
                raise TypeError(
                    "`tf.data.Dataset.as_numpy_iterator()` is not supported for datasets that "
                    f"produce values of type {spec.value_type}"
                )
        self._type = dataset._type
        self._running = RunningIterator(BoundDataset(dataset, {}))

    def __iter__(self) -> NumpyIterator:
        return self

    def __next__(self) -> Any:
        return self._type.numpy(self._running.next())

    def next(self) -> Any:
        """The next element: StopIteration at the end."""
        return self.__next__()

"""`tf.queue`: queues of tensors between threads."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.backend import random
from shardtape.backend.philox import from_seeds
from shardtape.ops.convert import convert_to_tensor
from shardtape.queue import ops
from shardtape.queue.store import ShuffledStore, SortedStore, Store, padded
from shardtape.shapes import UNKNOWN, TensorShape, as_shape
from shardtape.tensor import Tensor

__all__ = ["FIFOQueue", "PaddingFIFOQueue", "PriorityQueue", "QueueBase", "RandomShuffleQueue"]

_numbers = itertools.count(1)


class QueueBase:
    """Base of queues; an element is one tensor for each dtype.

    Not made directly: use one of the classes below.

    A queue that is full makes `enqueue` wait, one that is empty `dequeue`; another thread has to
    go on with it. After ten minutes of waiting a DeadlineExceededError says for what.
    """

    def __init__(self, dtypes: Any, shapes: Any, names: Any, queue_ref: Any) -> None:
        self._dtypes = [dt.as_dtype(t) for t in _listed(dtypes)]
        self._shapes = self._checked_shapes(shapes)
        self._names = names
        if names is not None:
            self._names = [names] if isinstance(names, str) else list(names)
            if len(self._names) != len(self._dtypes):
                raise ValueError(
                    "List of names must have the same length as the list of dtypes, received "
                    f"len(names)={len(self._names)},len(dtypes)={len(self._dtypes)}"
                )
        self._store: Store = queue_ref

    def _checked_shapes(self, shapes: Any) -> list[TensorShape] | None:
        made = _shape_list(shapes, len(self._dtypes))
        if made is None:
            return None
        if len(made) != len(self._dtypes):
            raise errors.InvalidArgumentError(
                "Different number of component types. Types: "
                f"{', '.join(t.name for t in self._dtypes)}, Shapes: {made}"
            )
        if not self._takes_partial_shapes and not all(s.is_fully_defined() for s in made):
            raise ValueError(f"All shapes must be fully defined: {made}")
        return made

    _takes_partial_shapes = False

    # ---- what it is -----------------------------------------------------------------------
    @property
    def dtypes(self) -> list[dt.DType]:
        return self._dtypes

    @property
    def shapes(self) -> list[TensorShape]:
        """Of the components; unknown ones where none were given."""
        return list(self._element_shapes())

    @property
    def names(self) -> list[str] | None:
        return self._names

    @property
    def name(self) -> str:
        return self._store.kind

    @property
    def queue_ref(self) -> QueueBase:
        return self

    @staticmethod
    def from_list(index: Any, queues: Sequence[QueueBase]) -> QueueBase:
        """The queue at a place that is known.

        Raises TypeError for something else than queues of the same dtypes.
        """
        if not queues or not all(isinstance(q, QueueBase) for q in queues):
            raise TypeError("A list of queues expected")
        if any(q.dtypes != queues[0].dtypes for q in queues):
            raise TypeError("Queues do not have matching component dtypes.")
        return queues[int(convert_to_tensor(index).numpy())]

    def _element_shapes(self) -> list[TensorShape]:
        return [UNKNOWN] * len(self._dtypes) if self._shapes is None else self._shapes

    def _joined(self, arrays: list[Any]) -> np.ndarray:
        return np.stack(arrays)

    # ---- elements -------------------------------------------------------------------------
    def _components(self, values: Any) -> list[Tensor]:
        if isinstance(values, dict):
            if self._names is None:
                raise ValueError("Queue must have names to enqueue a dictionary")
            if sorted(values) != sorted(self._names):
                raise ValueError(
                    "Keys in dictionary to enqueue do not match names of Queue. Dictionary: "
                    f"{sorted(values)}, Queue: {sorted(self._names)}"
                )
            values = [values[n] for n in self._names]
        elif self._names is not None:
            raise ValueError("You must enqueue a dictionary in a Queue with names")
        elif not isinstance(values, (list, tuple)):
            values = [values]
        made = []
        for i, (x, wanted) in enumerate(zip(values, self._dtypes)):
            try:
                made.append(convert_to_tensor(x, wanted))
            except (ValueError, TypeError) as error:
                raise type(error)(f"component_{i}: {error}") from None
        if len(values) != len(self._dtypes):
            raise errors.InvalidArgumentError(
                f"{self.name} takes {len(self._dtypes)} components "
                f"({', '.join(t.name for t in self._dtypes)}), got {len(values)}"
            )
        return made

    def enqueue(self, vals: Any, name: str | None = None) -> Any:
        """Adds an element; waits while the queue is full.

        Args:
          vals: a tensor, a list of one for each dtype, or a dictionary by the queue's names.

        Raises:
          ValueError: a shape or names that the queue does not take.
          CancelledError: the queue is closed.
        """
        components = self._components(vals)
        for x, wanted in zip(components, self._element_shapes()):
            x.shape.assert_is_compatible_with(wanted)
        return _done(ops.enqueue_op(*components, queue=self, name=name))

    def enqueue_many(self, vals: Any, name: str | None = None) -> Any:
        """Adds an element for each row of the components; see `enqueue`."""
        components = self._components(vals)
        rows = components[0].shape.with_rank_at_least(1)[:1]
        for x, wanted in zip(components, self._element_shapes()):
            rows = rows.merge_with(x.shape.with_rank_at_least(1)[:1])
            x.shape[1:].assert_is_compatible_with(wanted)
        return _done(ops.enqueue_many_op(*components, queue=self, name=name))

    def _returned(self, parts: Any) -> Any:
        parts = list(parts) if isinstance(parts, (tuple, list)) else [parts]
        if self._names is not None:
            return dict(zip(self._names, parts))
        return parts[0] if len(parts) == 1 else parts

    def dequeue(self, name: str | None = None) -> Any:
        """Takes an element out: a tensor, a list of them, or a dictionary; waits for it.

        Raises OutOfRangeError where the queue is closed and empty.
        """
        return self._returned(ops.dequeue_op(queue=self, name=name))

    def dequeue_many(self, n: Any, name: str | None = None) -> Any:
        """Takes `n` elements out, as rows; waits until there are so many.

        Raises:
          InvalidArgumentError: a negative n, or a queue that was made without shapes.
          OutOfRangeError: the queue is closed and has not so many.
        """
        self._require_shapes("dequeue_many")
        return self._returned(
            ops.dequeue_many_op(convert_to_tensor(n, dt.int32), queue=self, name=name)
        )

    def dequeue_up_to(self, n: Any, name: str | None = None) -> Any:
        """As `dequeue_many`, with what is left once the queue is closed."""
        self._require_shapes("dequeue_up_to")
        return self._returned(
            ops.dequeue_up_to_op(convert_to_tensor(n, dt.int32), queue=self, name=name)
        )

    def _require_shapes(self, what: str) -> None:
        if self._shapes is None:
            raise errors.InvalidArgumentError(
                f"{what} of {self.name} requires the components to have specified shapes: give "
                "`shapes` where the queue is made"
            )

    def size(self, name: str | None = None) -> Any:
        """The number of elements, int32."""
        return ops.size_op(queue=self, name=name)

    def is_closed(self, name: str | None = None) -> Any:
        """Whether `close` was called."""
        return ops.is_closed_op(queue=self, name=name)

    def close(self, cancel_pending_enqueues: bool = False, name: str | None = None) -> Any:
        """Lets nothing more in; what is there can be taken out.

        Args:
          cancel_pending_enqueues: calls of `enqueue` that wait raise CancelledError.

        Raises CancelledError where it is closed.
        """
        return _done(
            ops.close_op(
                queue=self, cancel_pending_enqueues=bool(cancel_pending_enqueues), name=name
            )
        )


def _done(got: Any) -> Any:
    """None in eager mode, the operation in a graph."""
    return None if isinstance(got, tuple) and not got else got


def _listed(dtypes: Any) -> list[Any]:
    return list(dtypes) if isinstance(dtypes, (list, tuple)) else [dtypes]


def _shape_list(shapes: Any, count: int) -> list[TensorShape] | None:
    """The shapes of `count` components, which may be given as the shape of the only one."""
    if shapes is None or (isinstance(shapes, (list, tuple)) and not shapes):
        return None if shapes is None or count != 1 else [TensorShape([])]
    if isinstance(shapes, TensorShape) or not all(
        isinstance(s, (list, tuple, TensorShape)) for s in shapes
    ):
        shapes = [shapes]
    return [as_shape(s) for s in shapes]


def _kind(name: str, given: str | None) -> str:
    return f"{name} '{given or next(_numbers)}'"


def _room(capacity: Any) -> int:
    """How many elements there may be; below 1 is without a limit, as TensorFlow has it."""
    return int(capacity) if int(capacity) > 0 else 2**31 - 1


class FIFOQueue(QueueBase):
    """Elements come out in the order in which they went in.

    Args:
      capacity: how many elements there may be.
      dtypes: of the components of an element; one, or a list.
      shapes: of the components; needed to take several elements out at once.
      names: elements are dictionaries with these keys.
      shared_name: kept as a name only: queues belong to their process.
    """

    def __init__(
        self, capacity: int, dtypes: Any, shapes: Any = None, names: Any = None,
        shared_name: str | None = None, name: str = "fifo_queue",
    ) -> None:  # fmt: skip
        super().__init__(
            dtypes, shapes, names, Store(_kind("FIFOQueue", shared_name), _room(capacity))
        )


class PaddingFIFOQueue(QueueBase):
    """As FIFOQueue, of shapes that are partly unknown: `dequeue_many` fills rows up with zeros.

    Raises ValueError where shapes are missing.
    """

    _takes_partial_shapes = True

    def __init__(
        self, capacity: int, dtypes: Any, shapes: Any, names: Any = None,
        shared_name: str | None = None, name: str = "padding_fifo_queue",
    ) -> None:  # fmt: skip
        if shapes is None:
            raise ValueError("When providing partial shapes, a list of shapes must be provided.")
        store = Store(_kind("PaddingFIFOQueue", shared_name), _room(capacity))
        super().__init__(dtypes, shapes, names, store)
        if any(s.rank is None for s in self._element_shapes()):
            raise ValueError(f"PaddingFIFOQueue needs shapes of known rank, got {shapes}")

    def _joined(self, arrays: list[Any]) -> np.ndarray:
        return padded(arrays)


class PriorityQueue(QueueBase):
    """Elements come out by an int64 number that is their first component, the least first.

    Args:
      types, shapes: of the components after that number.
    """

    def __init__(
        self, capacity: int, types: Any, shapes: Any = None, names: Any = None,
        shared_name: str | None = None, name: str = "priority_queue",
    ) -> None:  # fmt: skip
        types = _listed(types)
        made = _shape_list(shapes, len(types))
        types = [dt.int64, *types]
        shapes = None if made is None else [TensorShape([]), *made]
        store = SortedStore(_kind("PriorityQueue", shared_name), _room(capacity))
        super().__init__(types, shapes, names, store)


class RandomShuffleQueue(QueueBase):
    """Elements come out in a random order.

    Args:
      min_after_dequeue: so many stay as long as the queue is open, so that they are mixed well.
      seed: with it (or a global seed) the order is TensorFlow's for that seed.
    """

    def __init__(
        self, capacity: int, min_after_dequeue: int, dtypes: Any, shapes: Any = None,
        names: Any = None, seed: int | None = None, shared_name: str | None = None,
        name: str = "random_shuffle_queue",
    ) -> None:  # fmt: skip
        first, second = random.get_seed(seed)
        if first is None or second is None:
            first, second = secrets.randbits(64), secrets.randbits(64)
        store = ShuffledStore(
            _kind("RandomShuffleQueue", shared_name), _room(capacity), int(min_after_dequeue),
            from_seeds(first, second),
        )  # fmt: skip
        super().__init__(dtypes, shapes, names, store)

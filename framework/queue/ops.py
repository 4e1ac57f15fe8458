"""The operations of queues; each has its queue as an attribute."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import backend
from shardtape import dtypes as dt
from shardtape.ops.registry import BLOCKING, READS, WRITES, Arg, op
from shardtape.ops.shape_rules import known_int
from shardtape.shapes import TensorShape

_TAKES: dict[str, Any] = {"dtypes": dt.ANY, "mixed": True, "effects": BLOCKING, "direct": True,
                          "widen": False, "differentiable": False}  # fmt: skip
_GIVES: dict[str, Any] = {
    **_TAKES,
    "dynamic": True,
    "dtype": lambda dtypes, attrs: tuple(attrs["queue"].dtypes),
    "outputs": lambda attrs, count: len(attrs["queue"].dtypes),
}


def _nothing(*args: Any, **attrs: Any) -> list[TensorShape]:
    return []


def _copies(components: Any) -> list[np.ndarray]:
    """A plan may use its arrays again, so a queue keeps copies."""
    return [np.array(backend.to_host(c), copy=True) for c in components]


@op("QueueEnqueueV2", outputs=0, dtype=lambda dtypes, attrs: (), shape=_nothing, **_TAKES)
def enqueue_op(xp, *components, queue):
    """Adds an element."""
    queue._store.put([tuple(_copies(components))])
    return ()


@op("QueueEnqueueManyV2", outputs=0, dtype=lambda dtypes, attrs: (), shape=_nothing, **_TAKES)
def enqueue_many_op(xp, *components, queue):
    """Adds an element for each row of the components."""
    rows = _copies(components)
    if len({len(r) for r in rows}) > 1:
        raise ValueError(
            f"all components must have as many rows as the first: {[list(r.shape) for r in rows]}"
        )
    queue._store.put([tuple(np.asarray(r[i], r.dtype) for r in rows) for i in range(len(rows[0]))])
    return ()


@op("QueueDequeueV2", shape=lambda *, queue: list(queue._element_shapes()), **_GIVES)
def dequeue_op(xp, *, queue):
    """Takes an element out."""
    [element] = queue._store.take(1)
    return tuple(element)


def _many_shapes(n: Arg, *, queue: Any) -> list[TensorShape]:
    return [TensorShape([known_int(n)]).concatenate(s) for s in queue._element_shapes()]


def _up_to_shapes(n: Arg, *, queue: Any) -> list[TensorShape]:
    return [TensorShape([None]).concatenate(s) for s in queue._element_shapes()]


def _batch(queue: Any, n: Any, fewer: bool) -> tuple[Any, ...]:
    count = int(n)
    if count < 0:
        raise ValueError(f"a queue was asked for {count} < 0 elements")
    if not count:
        return tuple(
            np.zeros((0, *[d or 0 for d in s]), t.numpy_dtype)
            for s, t in zip(queue._element_shapes(), queue.dtypes)
        )
    elements = queue._store.take(count, fewer)
    return tuple(queue._joined(list(parts)) for parts in zip(*elements))


@op("QueueDequeueManyV2", shape=_many_shapes, host=("n",), **_GIVES)
def dequeue_many_op(xp, n, *, queue):
    """Takes n elements out, as rows."""
    return _batch(queue, n, False)


@op("QueueDequeueUpToV2", shape=_up_to_shapes, host=("n",), **_GIVES)
def dequeue_up_to_op(xp, n, *, queue):
    """Takes n elements out, as rows; fewer once the queue is closed."""
    return _batch(queue, n, True)


@op("QueueSizeV2", dtype=dt.int32, effects=READS, direct=True, dynamic=True,
    differentiable=False, shape=lambda *, queue: TensorShape([]))  # fmt: skip
def size_op(xp, *, queue):
    """The number of elements."""
    return np.int32(len(queue._store))


@op("QueueIsClosedV2", dtype=dt.bool, effects=READS, direct=True, dynamic=True,
    differentiable=False, shape=lambda *, queue: TensorShape([]))  # fmt: skip
def is_closed_op(xp, *, queue):
    """Whether the queue was closed."""
    return np.bool_(queue._store.closed)


@op("QueueCloseV2", outputs=0, dtype=lambda dtypes, attrs: (), effects=WRITES, direct=True,
    differentiable=False, shape=_nothing)  # fmt: skip
def close_op(xp, *, queue, cancel_pending_enqueues=False):
    """Lets nothing more in."""
    queue._store.close(cancel_pending_enqueues)
    return ()

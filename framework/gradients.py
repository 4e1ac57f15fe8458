"""The backward pass over records of ops; tapes and graphs share it.

Reverse accumulation: each record's gradient function turns the gradients of its outputs into
those of its inputs; the engine sums broadcast axes back, skips what nobody needs, accumulates.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import state
from shardtape.indexed_slices import IndexedSlices, concatenate
from shardtape.ops.registry import Op
from shardtape.tensor import EagerTensor, SymbolicTensor

# Elementwise results below this size are kept whole: telling what to drop costs more.
_SMALL_ELEMENTS = 64


class Record:
    """One applied op. Inputs that its gradient does not read are kept as their shape only."""

    __slots__ = ("op", "attrs", "inputs", "input_keys", "outputs", "output_keys", "shapes")

    def __init__(
        self, op: Op, inputs: Sequence[Any], attrs: Any, outputs: Sequence[Any], keys: Any = None
    ) -> None:
        self.op, self.attrs = op, attrs
        # most ops have two inputs or one
        if len(inputs) == 2:
            self.input_keys: tuple[int, ...] = (inputs[0]._id, inputs[1]._id)
        else:
            self.input_keys = tuple([x._id for x in inputs])
        self.output_keys = keys or tuple([o._key() for o in outputs])
        self.shapes: tuple[Any, ...] | None = None
        self.inputs, self.outputs = inputs, outputs
        first = outputs[0] if outputs else None
        if type(first) is EagerTensor and op.broadcasts and first._array.size < _SMALL_ELEMENTS:
            return  # nothing worth dropping
        if op.drops_inputs:
            keeps = op.keeps_inputs or ()
            if op.broadcasts:
                self.shapes = tuple([_shape(x) for x in inputs])
            self.inputs = tuple(
                [x if kept or type(x) is SymbolicTensor else None for x, kept in zip(inputs, keeps)]
            )
        if not op.keeps_outputs:
            only = len(outputs) == 1 and type(first) is EagerTensor
            self.outputs = _NOTHING if only else _light(outputs)


_NOTHING = (None,)


def _shape(x: Any) -> Any:
    return (x._array.shape, x._array.dtype) if type(x) is EagerTensor else x


def _light(outputs: Sequence[Any]) -> Sequence[Any]:
    return tuple([o if type(o) is SymbolicTensor else None for o in outputs])


def backpropagate(
    records: Iterable[Record],
    seeds: dict[int, Any],
    wanted: Collection[int],
    needed: Callable[[int], bool],
) -> dict[int, Any]:
    """Gradients by tensor key.

    Args:
      records: in the reverse of the order of execution.
      seeds: gradients of the targets by key.
      wanted: keys whose gradients the caller asks for (they are kept).
      needed: whether a gradient with respect to a key leads anywhere.

    Raises:
      LookupError: an op on the way has no gradient registered.
    """
    grads: dict[int, Any] = dict(seeds)
    owned: set[int] = set()
    for record in records:
        keys = record.output_keys
        if len(keys) == 1:
            key = keys[0]
            g = grads.get(key) if key in wanted else grads.pop(key, None)
            if g is None:
                continue
            outs = (g._as_tensor() if type(g) is IndexedSlices else g,)
        else:
            outs = _outer_gradients(grads, keys, wanted)
            if outs is None:
                continue
        op = record.op
        if op.simple_gradient and op.registered_gradient is None:
            run: Any = op._gradient
            got = run(outs[0], record.outputs[0], *record.inputs)
            if type(got) is not tuple:
                got = tuple(got) if type(got) is list else (got,)
        else:
            got = op.run_gradient(outs, record.outputs, record.inputs, record.attrs)
        for i, (key, g) in enumerate(zip(record.input_keys, got)):
            if g is None or not needed(key):
                continue
            if callable(g):  # a gradient that is worth computing only where somebody needs it
                g = g()
                if g is None:
                    continue
            if op.broadcasts:
                g = _unbroadcast(op, g, record, i)
            else:
                _check_shape(op, g, record, i)
            before = grads.get(key)
            if before is None:
                grads[key] = g
            else:
                grads[key] = _accumulate(before, g, key in owned)
                owned.add(key)
    return grads


def _outer_gradients(grads: dict[int, Any], keys: Any, wanted: Any) -> Any:
    """Gradients of a record's outputs, None where there is none; None for none at all."""
    outs, found = [], False
    for key in keys:
        g = grads.get(key) if key in wanted else grads.pop(key, None)
        if g is not None:
            found = True
            if type(g) is IndexedSlices:
                g = g._as_tensor()
        outs.append(g)
    return outs if found else None


def _check_shape(op: Op, g: Any, record: Record, index: int) -> None:
    x = record.inputs[index] if index < len(record.inputs) else None
    if type(g) is EagerTensor and type(x) is EagerTensor and g._array.shape != x._array.shape:
        raise errors.InternalError(
            f"gradient of {op.type} with respect to input {index} has shape {g.shape}, "
            f"the input has {x.shape}"
        )


def _unbroadcast(op: Op, g: Any, record: Record, index: int) -> Any:
    x = record.inputs[index]
    if x is None:
        shape, dtype = record.shapes[index]  # type: ignore[index]
        if type(g) is EagerTensor and g._array.shape == shape:
            return g
        x = _like(shape, dtype)
    elif type(g) is EagerTensor and type(x) is EagerTensor:
        if g._array.shape == x._array.shape:
            return g
    else:
        static = x.shape
        if static.is_fully_defined() and static._dims == g.shape._dims:
            return g
    from shardtape.ops.array import sum_to_shape_of

    return sum_to_shape_of(g, x)


@functools.lru_cache(maxsize=256)
def _like(shape: tuple[int, ...], dtype: np.dtype) -> EagerTensor:
    """A view of one zero, which has the shape and no memory."""
    return EagerTensor(np.broadcast_to(np.zeros((), dtype), shape))


def _accumulate(a: Any, b: Any, own: bool) -> Any:
    sparse_a, sparse_b = type(a) is IndexedSlices, type(b) is IndexedSlices
    if sparse_a and sparse_b:
        return concatenate(a, b)
    if sparse_a:
        a, own = a._as_tensor(), False
    if sparse_b:
        b = b._as_tensor()
    if own and not state.busy and type(a._array) is np.ndarray and type(b) is EagerTensor:
        np.add(a._array, b._array, out=a._array)
        return a
    if type(a) is SymbolicTensor and a.dtype is dt.variant:
        from shardtape.ops import tensor_list

        return tensor_list.add(a, b)
    return add_op()(a, b)


@functools.cache
def add_op() -> Any:
    """The op that sums gradients; it is defined on top of this module."""
    from shardtape.ops.math import add

    return add

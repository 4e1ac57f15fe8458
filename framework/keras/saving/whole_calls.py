"""Calls of functions that are written as one, by their public names and arguments.

A function such as `tf.clip_by_value` adds several operations. Its arguments were noted when it was
called; they are written where the function, called on them again, adds the same operations.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shardtape import nest
from shardtape.backend.random import seeded
from shardtape.context import building
from shardtape.errors import OpError
from shardtape.graph.func_graph import FuncGraph
from shardtape.keras.function_calls import FunctionCall
from shardtape.keras.saving import operation_layers
from shardtape.keras.symbolic import KerasGraph, fixed_value, is_keras_tensor
from shardtape.ops import source
from shardtape.ops.registry import RANDOM

_DRAWN = ("seed", "seed2", "_stream_id")


class Whole(NamedTuple):
    """A call as Keras writes it.

    Attributes:
      first: the first argument; kwargs: the others, without those that are as by default.
      outputs: keys of the tensors that it returned, in order; None for what is no tensor of its.
    """

    first: Any
    kwargs: dict[str, Any]
    outputs: list[int | None]


def whole(call: FunctionCall) -> Whole | None:
    """The call's arguments; None where they are not known, or do not make what it made."""
    if call.given is None:
        return None
    function = operation_layers.public(call.function)
    if function is None:
        return None
    try:
        given = {k: _plain(v) for k, v in call.given.items()}
        ops, outputs = _called_again(function, given)
    except (TypeError, ValueError, AttributeError, OpError):
        return None  # a function that takes other arguments than those that were noted
    places = _same(call.ops, ops, given)
    if places is None:
        return None
    first, *rest = given
    keys = [places.get(t._id) if is_keras_tensor(t) else None for t in outputs]
    return Whole(given[first], {name: given[name] for name in rest}, keys)


def _plain(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(v) for v in value)
    if is_keras_tensor(value):
        found = fixed_value(value)
        return value if found is None else operation_layers.plain(found)
    return operation_layers.plain(value)


class _Scratch(KerasGraph):
    """A graph of symbolic calls that names none."""

    def __init__(self) -> None:
        super().__init__(None, shows_calls=True)  # operations that change nothing are added too

    def add_op(self, op: Any, inputs: Any, attrs: dict[str, Any], name: str | None = None) -> Any:
        return FuncGraph.add_op(self, op, inputs, attrs, name)


class _Again(NamedTuple):
    ops: list[Any]
    entrances: dict[int, Any]  # by key of the tensor that each stands for


def _called_again(function: Any, given: dict[str, Any]) -> tuple[_Again, list[Any]]:
    graph = _Scratch()
    entrances: dict[int, Any] = {}

    def entrance(t: Any) -> Any:
        if not is_keras_tensor(t):
            return t
        if t._id not in entrances:
            attrs = {"dtype": t.dtype, "shape": t.shape}
            entrances[t._id] = graph.add_op(source.placeholder, (), attrs)
        return entrances[t._id]

    with building(None), seeded(0):  # as between layers: values that are known are computed
        arguments = {k: nest.map_structure(entrance, v) for k, v in given.items()}
        outputs = function(**arguments)
    return _Again([op for op in graph._operations if op.inputs], entrances), nest.flatten(outputs)


def _same(ops: list[Any], again: _Again, given: dict[str, Any]) -> dict[int, int] | None:
    """The keys of the first call's tensors by those of the second; None where they differ."""
    if [op.type for op in ops] != [op.type for op in again.ops]:
        return None
    stands_for = {t._id: key for key, t in again.entrances.items()}
    for one, two in zip(ops, again.ops):
        if len(one.inputs) != len(two.inputs) or not _equal(_attrs(one), _attrs(two)):
            return None
        for a, b in zip(one.inputs, two.inputs):
            if b._id in stands_for:
                if stands_for[b._id] != a._id:
                    return None
                continue
            left, right = fixed_value(a), fixed_value(b)
            if left is None or right is None or not _equal(left, right):
                return None
        stands_for.update((b._id, a._id) for a, b in zip(one.outputs, two.outputs))
    own = {t._id for op in again.ops for t in op.outputs}
    return {key: found for key, found in stands_for.items() if key in own}


def _attrs(op: Any) -> dict[str, Any]:
    attrs = dict(op.attrs)
    if op.op_def.effects == RANDOM:  # which numbers are drawn is no part of a configuration
        for name in _DRAWN:
            attrs.pop(name, None)
    return attrs


def _equal(a: Any, b: Any) -> bool:
    a, b = getattr(a, "_array", a), getattr(b, "_array", b)
    if isinstance(a, (np.ndarray, np.generic)) and isinstance(b, (np.ndarray, np.generic)):
        x, y = np.asarray(a), np.asarray(b)
        return x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes()
    if isinstance(a, dict) and isinstance(b, dict):
        return set(a) == set(b) and all(_equal(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b))
    return type(a) is type(b) and bool(a == b)

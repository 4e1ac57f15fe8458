"""Datasets and iterators in graphs: operations on tensors of type variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import backend, errors, shapes
from shardtape import dtypes as dt
from shardtape.backend import random
from shardtape.context import state
from shardtape.data import structure
from shardtape.data.dataset import only_element
from shardtape.data.iterator import RunningIterator
from shardtape.data.optional import OptionalValue
from shardtape.data.run import BoundDataset, Run, symbols_of
from shardtape.data.seeds import RunKey
from shardtape.data.structure import ElementType
from shardtape.data.tracing import component_arrays, leaf_of_arrays
from shardtape.ops.registry import IO, READS, op
from shardtape.tensor import EagerTensor

_SCALAR = shapes.TensorShape([])


def _scalar_shape(*args: Any, **attrs: Any) -> shapes.TensorShape:
    return _SCALAR


def _component_shapes(*args: Any, element: ElementType, **attrs: Any) -> list[Any]:
    return [part.shape for spec in element.specs for part in spec._component_specs]  # type: ignore


def _component_dtypes(dtypes: Any, attrs: Any) -> tuple[Any, ...]:
    specs = attrs["element"].specs
    return tuple([part.dtype for spec in specs for part in spec._component_specs])


def _op(type_name: str, dtype: Any, effects: str, elements: bool = False) -> Any:
    return op(
        type_name, shape=_component_shapes if elements else _scalar_shape, dtype=dtype,
        dtypes=dt.ANY, mixed=True, effects=effects, direct=True, dynamic=True, widen=False,
        differentiable=False, outputs=-1 if elements else 1,
    )  # fmt: skip


def _arrays(element: ElementType, leaves: Sequence[Any]) -> Any:
    found: list[Any] = []
    for spec, leaf in zip(element.specs, leaves):
        found.extend(component_arrays(spec, leaf))
    return found[0] if len(found) == 1 else tuple(found)


def _leaves(element: ElementType, arrays: Sequence[Any]) -> tuple[Any, ...]:
    rest = iter(arrays)
    return tuple(
        [leaf_of_arrays(s, [next(rest) for _ in s._component_specs]) for s in element.specs]
    )


def structured(element: ElementType, outputs: Any) -> Any:
    """The value of a structure that these tensors are the components of."""
    rest = iter(outputs if isinstance(outputs, tuple) else (outputs,))
    return structure.pack(
        element.spec,
        [s._from_components([next(rest) for _ in s._component_specs]) for s in element.specs],
    )


# ---- datasets -----------------------------------------------------------------------------------
@_op("DatasetVariant", dt.variant, READS)
def dataset_variant(xp, *symbols, dataset, keys):
    """A dataset with the values of its symbolic parameters."""
    return BoundDataset(dataset, dict(zip(keys, [backend.to_host(s) for s in symbols])))


def to_variant(dataset: Any) -> Any:
    """The tensor of type variant that stands for a dataset."""
    variant = getattr(dataset, "_variant", None)
    if variant is not None:
        return variant
    if state.graph is None:
        return EagerTensor(BoundDataset(dataset, {}))
    symbols = symbols_of(dataset)
    return dataset_variant(*symbols, dataset=dataset, keys=tuple(t._id for t in symbols))


def _key_in_call() -> RunKey | None:
    """Of an iteration that is part of a call that a job may make again."""
    seed = random.seed_in_call()
    return None if seed is None else RunKey(seed, 0)


def _new_run(variant: BoundDataset) -> Run:
    return Run(_key_in_call(), root=variant.dataset).inside(variant)


@_op("DatasetCardinality", dt.int64, READS)
def dataset_cardinality(xp, variant):
    """The number of elements, -1 for infinite, -2 for unknown."""
    return np.int64(variant.dataset._cardinality(Run().inside(variant)))


@_op("DatasetToSingleElement", _component_dtypes, IO, elements=True)
def _single_element(xp, variant, *, element):
    return _arrays(element, only_element(variant.dataset, _new_run(variant)))


def single_element(variant: Any, spec: Any) -> Any:
    """The only element of a dataset."""
    element = ElementType(spec)
    return structured(element, _single_element(variant, element=element))


# ---- iterators ----------------------------------------------------------------------------------
@_op("AnonymousIteratorV3", dt.variant, READS)
def make_iterator(xp, variant):
    """A new iterator at the beginning of a dataset."""
    return RunningIterator(variant, _key_in_call())


@_op("IteratorHandle", dt.variant, READS)
def iterator_handle(xp, *, iterator):
    """An iterator that was made outside the graph."""
    return iterator


@_op("IteratorGetNext", _component_dtypes, IO, elements=True)
def _get_next(xp, iterator, *, element):
    try:
        return _arrays(element, iterator.next())
    except StopIteration:
        raise errors.OutOfRangeError(None, None, "End of sequence") from None


def get_next(handle: Any, element: ElementType) -> Any:
    """The next element, taken in each run."""
    return structured(element, _get_next(handle, element=element))


@_op("IteratorHasNext", dt.bool, IO)
def has_next(xp, iterator):
    """Whether there is another element; it is kept for the next `IteratorGetNext`."""
    return np.bool_(iterator.has_next())


@_op("IteratorGetNextAsOptional", dt.variant, IO)
def get_next_as_optional(xp, iterator):
    """The next element as an optional value, empty at the end."""
    try:
        return OptionalValue(iterator.next())
    except StopIteration:
        return OptionalValue(None)


# ---- optionals ----------------------------------------------------------------------------------
@_op("OptionalFromValue", dt.variant, READS)
def _optional_from_value(xp, *components, element):
    return OptionalValue(_leaves(element, components))


def optional_from_value(value: Any, element: ElementType) -> Any:
    """A tensor of type variant around a structure of tensors."""
    parts = [
        t
        for s, v in zip(element.specs, structure.flatten(value))
        for t in s._to_components(v)
    ]  # fmt: skip
    return _optional_from_value(*parts, element=element)


@_op("OptionalNone", dt.variant, READS)
def optional_none(xp):
    """An optional value that is missing."""
    return OptionalValue(None)


@_op("OptionalHasValue", dt.bool, READS)
def optional_has_value(xp, optional):
    """Whether the value is there."""
    return np.bool_(optional.leaves is not None)


@_op("OptionalGetValue", _component_dtypes, READS, elements=True)
def _optional_get_value(xp, optional, *, element):
    if optional.leaves is None:
        raise errors.InvalidArgumentError("The given optional does not have a value.")
    return _arrays(element, optional.leaves)


def optional_get_value(variant: Any, element: ElementType) -> Any:
    """The value of an optional."""
    return structured(element, _optional_get_value(variant, element=element))


# ---- reduce -------------------------------------------------------------------------------------
@_op("ReduceDataset", _component_dtypes, IO, elements=True)
def _reduce_dataset(xp, variant, *components, element, function, captured):
    run = _new_run(variant)
    count = len(components) - captured
    values = dict(zip([t._id for t in function.parameters()], components[count:]))
    run.values = {**run.values, **values}
    final = reduce_leaves(variant.dataset, run, _leaves(element, components[:count]), function)
    return _arrays(element, final)


def reduce_leaves(dataset: Any, run: Run, leaves: Any, function: Any) -> Any:
    """Runs a traced function of (state, element) over all elements; the last state's leaves."""
    call = function.bind(run)
    cursor = dataset._cursor(run)
    try:
        for found in cursor:
            leaves = call((*leaves, *found))
    finally:
        cursor.close()
    return leaves


def reduce_in_graph(dataset: Any, value: Any, element: ElementType, function: Any) -> Any:
    """A node that reduces a dataset in each run."""
    parts = [
        t
        for s, v in zip(element.specs, structure.flatten(value))
        for t in s._to_components(v)
    ]  # fmt: skip
    captured = list(function.parameters())
    got = _reduce_dataset(
        to_variant(dataset), *parts, *captured, element=element, function=function,
        captured=len(captured),
    )  # fmt: skip
    return structured(element, got)

"""Runs a traced graph for many examples at once.

Each node is applied to whole batches where its op has a rule (`batch_rules.py`), and example by
example where it has none. What comes out are ops on Tensors like any others: tapes see them, and
inside a graph they become nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shardtape import nest
from shardtape.context import building, recording, state
from shardtape.graph.batch_rules import Batch, Lane, find
from shardtape.graph.branch_node import value_of
from shardtape.graph.func_graph import FuncGraph
from shardtape.graph.ir import Graph, Operation
from shardtape.graph.plan import _needed
from shardtape.ops import array, registry, source
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.state import apply_resource
from shardtape.ops.tensor_list import is_list
from shardtape.tensor import Tensor


def vectorize(graph: Graph, fetches: Sequence[Any], given: dict[int, Lane], count: Any) -> list:
    """The fetches as Lanes.

    Args:
      graph: what was traced for one example.
      fetches: tensors of the graph.
      given: values by the key of the tensor of the graph that they stand for.
      count: the number of examples, an int or a scalar int32 Tensor.

    Raises:
      ValueError: an op has no rule and the number of examples is not known.
    """
    batch = Batch(count)
    lanes: dict[int, Any] = dict(given)
    for node in _needed(fetches, set(given)):
        made = _applied(node, [lanes[t._id] for t in node.inputs], batch)
        for t, lane in zip(node.outputs, made):
            lanes.setdefault(t._id, lane)
    return [lanes[f._id] for f in fetches]


def _applied(node: Operation, inputs: list[Any], batch: Batch) -> list[Any]:
    op = node.op_def
    if node.is_handle:
        return [Lane(node.attrs["variable"], False)]
    if node.type == "Const":
        return [Lane(convert_to_tensor(node.attrs["value"]), False)]
    different = op.effects == registry.RANDOM  # what each example draws
    if not different and not any(lane.batched for lane in inputs):
        return [Lane(t, False) for t in _run(node, [lane.tensor for lane in inputs])]
    apart = any(isinstance(lane.tensor, list) for lane in inputs)  # lists have no batches
    found = None if different or apart else find(op)
    got = None if found is None else found(op, inputs, node.attrs, batch)
    if got is None:
        got = _one_by_one(node, inputs, batch)
    if isinstance(got, Lane):
        return [got]
    return [Lane(t, True) for t in (got if isinstance(got, (list, tuple)) else [got])]


def _run(node: Operation, inputs: Sequence[Any]) -> Sequence[Any]:
    op = node.op_def
    variable = value_of(inputs[0]) if inputs else None
    if not isinstance(variable, Tensor) and hasattr(variable, "_read_array"):
        got = apply_resource(op, variable, tuple(inputs[1:]), dict(node.attrs))
    else:
        got = op(*inputs, **node.attrs)
    return got if isinstance(got, (list, tuple)) else [got]


def _one_by_one(node: Operation, inputs: Sequence[Lane], batch: Batch) -> list[Any]:
    if batch.known is None:
        raise ValueError(
            f"{node.type} has no rule for many examples at once, and the number of examples is "
            "not known while the graph is built"
        )
    runs = []
    for i in range(batch.known):
        runs.append(_run(node, [_example(lane, i) for lane in inputs]))
    # what is of type variant stays a list of the examples' values
    return [
        list(outputs) if is_list(outputs[0]) else array.stack(list(outputs))
        for outputs in zip(*runs)
    ]


def _example(lane: Lane, index: int) -> Any:
    if not lane.batched:
        return lane.tensor
    return lane.tensor[index] if isinstance(lane.tensor, list) else array.gather(lane.tensor, index)


def vectorized_map(
    fn: Callable[..., Any],
    elems: Any,
    fallback_to_while_loop: bool = True,
    warn: bool = True,
) -> Any:
    """`fn` of each of the elements along the first axis of `elems`, computed together.

    Args:
      fn: from a structure like `elems`, without the first axis, to tensors, nested.
      elems: Tensors of one first dimension, nested.
      fallback_to_while_loop, warn: accepted for TensorFlow's sake; ops that know no batches run
        element by element either way.

    Returns:
      The results stacked along a new first axis.

    Raises:
      ValueError: there is nothing to map over, or the first dimensions differ.
    """
    flat = [convert_to_tensor(t) for t in nest.flatten(elems)]
    if not flat:
        raise ValueError("vectorized_map needs at least one tensor to map over")
    sizes = {t.shape[0] for t in flat} - {None}
    if len(sizes) > 1:
        raise ValueError(f"the first dimensions of vectorized_map's elements differ: {sizes}")
    count: Any = sizes.pop() if sizes else array.shape(flat[0])[0]
    graph = FuncGraph("vectorized_map", state.graph)
    with building(graph), recording(()):
        places = [
            graph.add_op(source.placeholder, (), {"dtype": t.dtype, "shape": t.shape[1:]})
            for t in flat
        ]
        result = fn(nest.pack_sequence_as(elems, places))
        fetches = [graph.capture(convert_to_tensor(t)) for t in nest.flatten(result)]
    given = {p._id: Lane(t, True) for p, t in zip(places, flat)}
    given.update({p._id: Lane(outer, False) for outer, p in graph.captures})
    lanes = vectorize(graph, fetches, given, count)
    return nest.pack_sequence_as(result, [Batch(count).lifted(lane) for lane in lanes])

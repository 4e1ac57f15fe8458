"""`apply_gradients` as one operation of a graph: it runs the update when the graph runs."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import WRITES, op


@op("ShardtapeApplyGradients", shape=lambda *args, **attrs: [], dtype=lambda dtypes, attrs: (),
    dtypes=dt.ANY, outputs=0, effects=WRITES, mixed=True, differentiable=False, retains=False,
    widen=False)  # fmt: skip
def apply_gradients(xp, *inputs, optimizer, sparse, trace=None):
    """Variables first, then per variable its gradient: one array, or (row ids, values)."""
    variables, arrays = inputs[: len(sparse)], list(inputs[len(sparse) :])
    gradients = []
    for rows_and_values in sparse:
        gradient = arrays.pop(0)
        gradients.append((gradient, arrays.pop(0)) if rows_and_values else gradient)
    pairs = list(zip(gradients, variables))
    if trace is None:
        optimizer.run_update(pairs)
    else:
        optimizer.run_traced_update(pairs, trace)


def wanted(gradients: list[Any]) -> bool:
    """Whether the gradients have values only when a graph runs."""
    if state.graph is not None:
        return True
    return any(_graph_of(gradient) is not None for gradient in gradients)


def note_slots(graph: Any) -> None:
    """Tells the function that is traced that an optimizer has made its slots."""
    while graph is not None:
        if getattr(graph, "called_anywhere", False):
            graph.made_slots = True
            return
        graph = getattr(graph, "outer_graph", None)


def add(optimizer: Any, pairs: list[tuple[Any, Any]]) -> Any:
    """Adds the operation for (gradient, Variable) pairs to the graph they are of; returns it."""
    graph = state.graph or next(g for g in map(_graph_of, (p[0] for p in pairs)) if g is not None)
    inputs: list[Any] = [
        variable if variable._holder is None else variable._holder().values[0]
        for _, variable in pairs
    ]
    sparse = []
    for gradient, variable in pairs:
        is_sparse = hasattr(gradient, "indices") and hasattr(gradient, "values")
        sparse.append(is_sparse)
        if is_sparse:
            inputs += [convert_to_tensor(gradient.indices), convert_to_tensor(gradient.values)]
            continue
        gradient = convert_to_tensor(gradient)
        if not gradient.shape.is_compatible_with(variable.shape):
            raise ValueError(
                f"the gradient of variable {variable.name} has shape {gradient.shape}, the "
                f"variable {variable.shape}"
            )
        inputs.append(gradient)
    for _, variable in pairs:  # what reads another replica's component has to wait, too
        if variable._holder is not None:
            inputs += variable._holder().values[1:]
    attrs = {"optimizer": optimizer, "sparse": tuple(sparse), "trace": optimizer.traced(len(pairs))}
    return graph.add_op(apply_gradients, inputs, attrs, f"{optimizer.name}/apply_gradients")


def _graph_of(gradient: Any) -> Any:
    values = gradient.values if hasattr(gradient, "indices") else gradient
    node = getattr(values, "op", None) if not hasattr(values, "_array") else None
    return getattr(node, "graph", None)

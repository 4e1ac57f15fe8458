"""`tf.gradients` and `tf.hessians`: derivatives of tensors of the graph that is being built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shardtape.context import building, state
from shardtape.gradients import Record, backpropagate
from shardtape.graph.ir import Graph
from shardtape.graph.scopes import name_scope
from shardtape.graph.segment import _leads_to
from shardtape.ops import array
from shardtape.ops.convert import convert_to_tensor
from shardtape.tape import UnconnectedGradients
from shardtape.tensor import SymbolicTensor, Tensor


def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    gate_gradients: bool = False,
    aggregation_method: Any = None,
    stop_gradients: Any = None,
    unconnected_gradients: Any = UnconnectedGradients.NONE,
) -> list[Any]:
    """Derivatives of the sum of `ys` with respect to each of `xs`, as tensors of the graph.

    Args:
      ys: tensors to differentiate.
      xs: tensors or Variables.
      grad_ys: the gradient of each of `ys`, of its shape (default ones).
      name: scope of the nodes.
      gate_gradients, aggregation_method: accepted for TensorFlow's sake.
      stop_gradients: tensors that count as constants.
      unconnected_gradients: None or zeros for what `ys` do not depend on.

    Returns:
      One Tensor (IndexedSlices for rows of a Variable, None) for each of `xs`.

    Raises:
      RuntimeError: no graph is being built.
      TypeError: complex `ys` without `grad_ys`.
      LookupError: an op on the way has no gradient.
    """
    zero = UnconnectedGradients(unconnected_gradients) is UnconnectedGradients.ZERO
    ys, xs = _as_list(ys), _as_list(xs)
    graph = _graph_of([*ys, *xs])
    given = [None] * len(ys) if grad_ys is None else _as_list(grad_ys)
    if len(given) != len(ys):
        raise ValueError(f"{len(ys)} tensors are differentiated, {len(given)} grad_ys are given")
    with building(graph), name_scope(name or "gradients"):
        targets = [convert_to_tensor(graph.capture(y) if isinstance(y, Tensor) else y) for y in ys]
        boundary = len(graph.get_operations())
        seeds = _seeds(targets, given)
        grads = backward(graph, boundary, seeds, xs, _as_list(stop_gradients))
        if zero:
            return [
                array.zeros_like(convert_to_tensor(x)) if g is None else g
                for g, x in zip(grads, xs)
            ]
    return grads


def hessians(
    ys: Any,
    xs: Any,
    gate_gradients: bool = False,
    aggregation_method: Any = None,
    name: str = "hessians",
) -> list[Any]:
    """Second derivatives of the sum of `ys` with respect to each of `xs` twice.

    Args: see `gradients`.

    Returns:
      For each of `xs` a Tensor of its shape followed by its shape.

    Raises as `gradients`, and ValueError where `ys` do not depend on one of `xs`.
    """
    from shardtape.jacobian import stacked

    xs = _as_list(xs)
    graph = _graph_of([*_as_list(ys), *xs])
    out = []
    with building(graph), name_scope(name):
        for x, g in zip(xs, gradients(ys, xs)):
            if g is None:
                raise ValueError(f"the result does not depend on {x!r}: it has no Hessian there")
            g = convert_to_tensor(g)
            boundary = len(graph.get_operations())
            shape = array.shape(g)
            count = g.shape.num_elements()
            count = array.size(g) if count is None else count
            basis = array.reshape(
                array.eye(count, dtype=g.dtype), array.concat([array.stack([count]), shape], 0)
            )

            def once_more(seed: Any, g: Any = g, x: Any = x, boundary: int = boundary) -> list[Any]:
                return backward(graph, boundary, {g._id: seed}, [x], [])

            [rows] = stacked(once_more, g, basis)
            whole = array.concat([shape, shape], 0)
            if rows is None:  # linear in x
                out.append(array.zeros(whole, g.dtype))
            else:
                out.append(array.reshape(rows, whole))
    return out


def backward(
    graph: Graph, boundary: int, seeds: dict[int, Any], xs: Sequence[Any], stops: Sequence[Any]
) -> list[Any]:
    """Gradients with respect to `xs` through the first `boundary` nodes of a graph, or None.

    Args:
      seeds: gradients of targets by their keys.
      stops: tensors that count as constants.
    """
    keys = [_key(graph, x) for x in xs]
    wanted = {k for k in keys if k is not None}
    stopped = {_key(graph, s) for s in stops}
    leads = _leads_to(graph, boundary, wanted)
    records = (
        Record(n.op_def, n.inputs, n.attrs, n.outputs)
        for n in reversed(graph.get_operations()[:boundary])
        if any(t._id in leads for t in n.inputs) and not any(t._id in stopped for t in n.outputs)
    )
    grads = backpropagate(records, seeds, wanted, leads.__contains__)
    return [None if k is None else grads.get(k) for k in keys]


def _key(graph: Graph, x: Any) -> int | None:
    """The key of the tensor of the graph that stands for `x`; None where there is none."""
    if type(x) is SymbolicTensor and x.op.graph is graph:
        return x._id
    if isinstance(x, Tensor):
        captured = graph._captured.get(x._key())  # type: ignore[attr-defined]
        return None if captured is None else captured._id
    handle = graph._handles.get(getattr(x, "_id", 0))
    if handle is None and not hasattr(x, "_as_tensor"):
        raise TypeError(f"Cannot differentiate with respect to {x!r}: it is no tensor")
    return None if handle is None else handle._id


def _seeds(ys: Sequence[Any], given: Sequence[Any]) -> dict[int, Any]:
    seeds: dict[int, Any] = {}
    for y, g in zip(ys, given):
        if g is None and y.dtype.is_complex:
            raise TypeError(
                f"Gradients of complex tensors ({y}) must set grad_ys (y.dtype = {y.dtype!r})"
            )
        if not (y.dtype.is_floating or y.dtype.is_complex):
            continue
        g = array.ones_like(y) if g is None else convert_to_tensor(g, y.dtype)
        if not y.shape.is_compatible_with(g.shape):
            raise ValueError(f"grad_ys has shape {g.shape} for {y}")
        seeds[y._id] = g if y._id not in seeds else seeds[y._id] + g
    return seeds


def _as_list(x: Any) -> list[Any]:
    if x is None:
        return []
    return list(x) if isinstance(x, (list, tuple)) else [x]


def _graph_of(tensors: Sequence[Any]) -> Graph:
    if state.graph is not None:
        return state.graph
    for t in tensors:
        if type(t) is SymbolicTensor:
            return t.graph
    raise RuntimeError(
        "tf.gradients is not supported when eager execution is enabled. Use tf.GradientTape "
        "instead."
    )

"""Jacobians: the backward pass of a tape, run for all elements of the target at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import nest
from shardtape.context import building, executing_eagerly, recording, state
from shardtape.graph.batch_rules import Batch, Lane
from shardtape.graph.func_graph import FuncGraph
from shardtape.graph.vectorize import vectorize
from shardtape.ops import array, source
from shardtape.ops.convert import convert_to_tensor
from shardtape.tape import GradientTape, UnconnectedGradients, differentiated, with_gradient
from shardtape.tensor import Tensor


def jacobian(
    tape: GradientTape, target: Any, sources: Any, unconnected_gradients: Any, at_once: bool
) -> Any:
    """See `GradientTape.jacobian`."""
    unconnected = UnconnectedGradients(unconnected_gradients)
    _start(tape, at_once, "jacobian")
    given = nest.flatten(sources)
    target, flat = differentiated(target), [differentiated(s) for s in given]
    shape = array.shape(target)
    count = _count(target)
    basis = array.reshape(
        array.eye(count, dtype=target.dtype), array.concat([array.stack([count]), shape], 0)
    )
    rows = tape._finish(_gradients(tape, target, basis, flat, at_once))
    out = []
    for got, s, like in zip(rows, flat, given):
        if got is not None:
            got = array.reshape(got, array.concat([shape, array.shape(got)[1:]], 0))
        elif unconnected is UnconnectedGradients.ZERO:
            got = array.zeros(array.concat([shape, array.shape(s)], 0), s.dtype)
        out.append(None if got is None else with_gradient(like, got))
    return nest.pack_sequence_as(sources, out)


def batch_jacobian(tape: GradientTape, target: Any, source: Any, at_once: bool) -> Any:
    """See `GradientTape.batch_jacobian`."""
    like = source
    target, source = differentiated(target), differentiated(source)
    _check_batches(target, source)
    _start(tape, at_once, "batch_jacobian")
    shape, of_source = array.shape(target), array.shape(source)
    row = target.shape[1:].num_elements()
    if row is None:
        row = array.size(target) // shape[0]
    # one pass per element of an example's target, for all examples: they do not mix
    one = array.reshape(
        array.eye(row, dtype=target.dtype), array.concat([array.stack([row, 1]), shape[1:]], 0)
    )
    basis = array.broadcast_to(one, array.concat([array.stack([row]), shape], 0))
    [got] = tape._finish(_gradients(tape, target, basis, [source], at_once))
    whole = array.concat([shape, of_source[1:]], 0)
    if got is None:
        return with_gradient(like, array.zeros(whole, target.dtype))
    got = array.reshape(got, array.concat([array.stack([row, shape[0]]), [-1]], 0))
    return with_gradient(like, array.reshape(array.transpose(got, [1, 0, 2]), whole))


def _check_batches(target: Any, source: Any) -> None:
    ranks = target.shape.rank, source.shape.rank
    fits = all(r is None or r >= 2 for r in ranks)
    if fits and None not in ranks and None not in (target.shape[0], source.shape[0]):
        fits = target.shape[0] == source.shape[0]
    if not fits:
        raise ValueError(
            f"Need first dimension of target shape ({target.shape}) and source shape "
            f"({source.shape}) to match."
        )


def _start(tape: GradientTape, at_once: bool, what: str) -> None:
    if not at_once and executing_eagerly() and not tape._persistent:
        raise RuntimeError(
            f"GradientTape must be created with persistent=True to compute the {what} with eager "
            "execution enabled and with experimental_use_pfor set to False."
        )
    tape._start()


def _count(target: Any) -> Any:
    known = target.shape.num_elements()
    return array.size(target) if known is None else known


def _gradients(
    tape: GradientTape, target: Any, basis: Any, sources: list[Any], at_once: bool
) -> list[Any]:
    """Gradients for each member of `basis` (count, target's shape), stacked; None without one."""
    if not (target.dtype.is_floating or target.dtype.is_complex):
        return [None] * len(sources)
    key = target._key() if isinstance(target, Tensor) else target._id  # type: ignore[attr-defined]

    def backward(seed: Any) -> list[Any]:
        return tape._backward({key: seed}, sources)

    return stacked(backward, target, basis) if at_once else _one_by_one(backward, basis)


def stacked(backward: Callable[[Any], list[Any]], target: Any, basis: Any) -> list[Any]:
    """The results of `backward` for each member of `basis`, stacked; None where it gives None.

    Args:
      backward: from a gradient of `target` to gradients; it is called once, in a graph of its own.
      basis: Tensor of shape (count, the target's shape).
    """
    graph = FuncGraph("jacobian", state.graph)
    with building(graph), recording(()):
        seed = graph.add_op(source.placeholder, (), {"dtype": target.dtype, "shape": target.shape})
        found = [None if g is None else graph.capture(convert_to_tensor(g)) for g in backward(seed)]
    given = {seed._id: Lane(basis, True)}
    given.update({p._id: Lane(outer, False) for outer, p in graph.captures})
    count: Any = basis.shape[0]
    batch = Batch(array.shape(basis)[0] if count is None else count)
    lanes = iter(vectorize(graph, [g for g in found if g is not None], given, batch.count))
    return [None if g is None else batch.lifted(next(lanes)) for g in found]


def _one_by_one(backward: Callable[[Any], list[Any]], basis: Any) -> list[Any]:
    if basis.shape[0] is None:
        raise ValueError(
            "the number of elements of the target is not known while the graph is built: leave "
            "experimental_use_pfor set"
        )
    rows = [
        [None if g is None else convert_to_tensor(g) for g in backward(one)]
        for one in array.unstack(basis)
    ]
    return [None if column[0] is None else array.stack(list(column)) for column in zip(*rows)]

"""Plans: a graph with given feeds and fetches, compiled to one Python function.

The first runs interpret the nodes one by one. When the same feed shapes come again, the plan is
specialised for them (`graph/generate.py`): what depends only on shapes is folded, buffers are
owned and reused, and the nodes become the lines of one function, which costs about what the raw
numpy calls cost.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from shardtape import backend, errors
from shardtape import dtypes as dt
from shardtape.context import state
from shardtape.graph.ir import Graph, Operation
from shardtape.ops.dispatch import compute
from shardtape.ops.registry import PURE, READS, WRITES
from shardtape.tensor import EagerTensor, SymbolicTensor

_RUNS_BEFORE_SPECIALISING = 2
_MAX_SPECIALISED = 8
_MAX_SIGNATURES_COUNTED = 64


class Plan:
    """Runs `fetches` of a graph, given `feeds`.

    Args:
      graph: the graph; it may go on growing, the plan keeps what it needs.
      feeds: tensors whose values every run gives.
      fetches: tensors to compute, or operations to run.

    Raises:
      InvalidArgumentError: a placeholder is needed that is not among the feeds (named).
    """

    def __init__(
        self, graph: Graph, feeds: Sequence[SymbolicTensor], fetches: Sequence[Any]
    ) -> None:
        self.graph, self.feeds, self.fetches = graph, tuple(feeds), tuple(fetches)
        fed = {t._id for t in self.feeds}
        self.nodes = _needed(self.fetches, fed)
        self.same = _merge_equal(self.nodes)
        for node in self.nodes:
            if node.op_def.type == "Placeholder":
                raise errors.InvalidArgumentError(
                    f"You must feed a value for placeholder tensor '{node.name}' with dtype "
                    f"{node.outputs[0].dtype.name} and shape {node.outputs[0].shape}"
                )
        self._takes_variables = any(t.dtype is dt.resource for t in self.feeds)
        self._counts: OrderedDict[Any, int] = OrderedDict()
        self._specialised: OrderedDict[Any, Any] = OrderedDict()
        self._lock = threading.Lock()
        if graph.guards:
            self.run = self._run_guarded  # type: ignore[method-assign]

    def run(self, feeds: Sequence[Any], out: Sequence[Any] | None = None) -> list[Any]:
        """Values of the fetches (None for operations).

        Args:
          feeds: one array per feed, in order; they are read, never kept.
          out: one array or None per fetch; a fetch is written there and returned.

        Raises:
          InvalidArgumentError (or the kernel's own error): the text names the node and the line
            of the user's code that made it.
        """
        if backend.accelerated:
            move = backend.to_host if state.on_host else backend.to_device
            feeds = [f if hasattr(f, "_read_array") else move(f) for f in feeds]
            if out is not None and any(backend.is_host(a) for a in out if a is not None):
                return self._run_and_fetch(feeds, out)
        if self._takes_variables:
            signature: Any = tuple([_signature(f) for f in feeds])
        else:
            signature = tuple([(f.shape, f.dtype) for f in feeds])
        generated = self._specialised.get(signature)
        if generated is not None:
            return generated.run(feeds, out)
        if self._seen_often(signature):
            return self._specialise(signature, feeds, out)
        values = self.interpret(feeds)
        return self._collect(values, out)

    def _run_guarded(self, feeds: Sequence[Any], out: Sequence[Any] | None = None) -> list[Any]:
        """A run that leaves nothing locked where it fails."""
        before = [(guard, guard.held()) for guard in self.graph.guards]
        try:
            return Plan.run(self, feeds, out)
        except BaseException:
            for guard, depth in before:
                guard.leave_to(depth)
            raise

    def _run_and_fetch(self, feeds: Sequence[Any], out: Sequence[Any]) -> list[Any]:
        """A run on a device, whose kernels cannot write into the host arrays of `out`."""
        got = self.run(feeds)
        for i, target in enumerate(out):
            if target is not None:
                target[...] = backend.to_host(got[i])
                got[i] = target
        return got

    def _seen_often(self, signature: Any) -> bool:
        with self._lock:
            count = self._counts.get(signature, 0) + 1
            self._counts[signature] = count
            self._counts.move_to_end(signature)
            if len(self._counts) > _MAX_SIGNATURES_COUNTED:
                self._counts.popitem(last=False)
        return count > _RUNS_BEFORE_SPECIALISING

    def _specialise(self, signature: Any, feeds: Sequence[Any], out: Any) -> list[Any]:
        from shardtape.graph.generate import Generated

        # the run that is recorded is this one's run: its effects happen once
        trace: dict[int, Any] = {}
        values = self.interpret(feeds, trace)
        generated = Generated(self, feeds, values, trace)
        with self._lock:
            self._specialised[signature] = generated
            if len(self._specialised) > _MAX_SPECIALISED:
                self._specialised.popitem(last=False)
        return self._collect(values, out)

    def interpret(self, feeds: Sequence[Any], trace: dict[int, Any] | None = None) -> dict:
        """Runs node by node. Returns the values of all tensors by key.

        Args:
          trace: receives the raw dtypes of each node's kernel by the node's index.
        """
        values: dict[int, Any] = {t._id: f for t, f in zip(self.feeds, feeds)}
        with np.errstate(all="ignore"):
            for node in self.nodes:
                other = self.same.get(node.index)
                if other is not None:
                    for mine, theirs in zip(node._outputs, other._outputs):
                        values.setdefault(mine._id, values[theirs._id])
                    continue
                inputs = [values[t._id] for t in node.inputs]
                got = run_node(node, inputs)
                if type(got) is not tuple and len(node._outputs) == 1:
                    got = (got,)
                for t, value in zip(node._outputs, got or ()):
                    values.setdefault(t._id, value)
        return values

    def _collect(self, values: dict[int, Any], out: Any) -> list[Any]:
        results: list[Any] = []
        for i, fetch in enumerate(self.fetches):
            if isinstance(fetch, Operation):
                results.append(None)
                continue
            value = values[fetch._id]
            target = None if out is None else out[i]
            if target is not None:
                target[...] = value
                value = target
            elif may_alias(fetch, value):
                value = value.copy()
            results.append(value)
        return results


def _signature(feed: Any) -> Any:
    if hasattr(feed, "_read_array"):  # a Variable: what is known of its shape
        return feed.shape._dims, feed._array.dtype
    return feed.shape, feed.dtype


def may_alias(fetch: SymbolicTensor, value: Any) -> bool:
    """Whether a fetched array may share memory with a feed, a constant or a Variable."""
    if not hasattr(value, "copy") or getattr(value, "ndim", 0) == 0:
        return False
    node = fetch.op
    return node.op_def.may_view or node.op_def.effects in (READS, WRITES) or (
        node.op_def.type == "Placeholder"
    )  # fmt: skip


def run_node(node: Operation, inputs: list[Any]) -> Any:
    """Runs one node; errors get the node's name and the user's line."""
    op = node.op_def
    try:
        if op.direct:
            return op.kernel(array_module(inputs), *inputs, **node.attrs)
        if backend.accelerated:
            inputs = host_and_device(op, inputs)
        return compute(op, array_module(inputs), inputs, node.attrs)
    except errors.OpError as error:
        raise at_node(error, node) from error.__cause__
    except (ValueError, TypeError, IndexError) as error:
        raise at_node(errors.InvalidArgumentError(None, node, str(error)), node) from error


def array_module(inputs: Sequence[Any]) -> Any:
    if not backend.accelerated or state.on_host:
        return np
    return backend.array_module(*inputs)


def host_and_device(op: Any, inputs: list[Any]) -> list[Any]:
    """Host inputs as numpy arrays, the others on the device (all on the host, for `on_host`)."""
    if state.on_host:
        return [backend.to_host(a) for a in inputs]
    count = len(inputs)
    return [
        backend.to_host(a) if op.is_host(i, count) else backend.to_device(a)
        for i, a in enumerate(inputs)
    ]


def at_node(error: errors.OpError, node: Operation) -> errors.OpError:
    """The error with the node's name and the line that made it."""
    if getattr(error, "located", False):
        return error
    place = f", made at {node.where[0]}:{node.where[1]}" if node.where else ""
    made = type(error)(None, node, f"{error.message} (node '{node.name}'{place})")
    made.located = True  # type: ignore[attr-defined]
    return made


def _needed(fetches: Sequence[Any], fed: set[int]) -> list[Operation]:
    """The nodes that the fetches reach, in the order in which they were made.

    A node only ever refers to earlier ones, so that order is a topological one, and it is the
    program's order for effects.
    """
    found: dict[int, Operation] = {}
    waiting = [
        f if isinstance(f, Operation) else f.op
        for f in fetches
        if isinstance(f, Operation) or f._id not in fed
    ]
    while waiting:
        node = waiting.pop()
        if node.index in found:
            continue
        found[node.index] = node
        waiting.extend(node.control_inputs)
        waiting.extend(t.op for t in node.inputs if t._id not in fed)
    return [found[i] for i in sorted(found)]


def _merge_equal(nodes: Sequence[Operation]) -> dict[int, Operation]:
    """Node index to an earlier node that computes the same (pure ops only)."""
    seen: dict[Any, Operation] = {}
    same: dict[int, Operation] = {}
    canonical: dict[int, int] = {}
    for node in nodes:
        op = node.op_def
        if op.effects != PURE or node.type == "Const" or node.control_inputs:
            continue
        try:
            attrs = tuple(sorted((k, _hashable(v)) for k, v in node.attrs.items()))
            key = (node.type, tuple(canonical.get(t._id, t._id) for t in node.inputs), attrs)
            first = seen.setdefault(key, node)
        except TypeError:
            continue  # an attribute that cannot be compared: the node stays
        if first is not node:
            same[node.index] = first
            for mine, theirs in zip(node.outputs, first.outputs):
                canonical[mine._id] = canonical.get(theirs._id, theirs._id)
    return same


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    hash(value)
    return (type(value).__name__, value)


def evaluate_now(tensor: SymbolicTensor) -> Any:
    """The value of a tensor while its graph is made (a Variable's initial value in a graph).

    It may depend on what the call gives that is being traced for, and on no other feed.
    """
    graph = tensor.graph
    known = {**getattr(graph, "outside", {}), **getattr(graph, "given", {})}
    feeds = [
        node.outputs[0]
        for node in _needed([tensor], set())
        if node.op_def.type == "Placeholder" and node.outputs[0]._id in known
    ]
    try:
        values = [_value_now(known[t._id]) for t in feeds]
        return Plan(graph, feeds, [tensor]).run(values)[0]
    except errors.InvalidArgumentError as error:
        raise errors.InvalidArgumentError(
            f"the initial value of a Variable cannot depend on a feed: {error}"
        ) from None


def _value_now(value: Any) -> Any:
    if isinstance(value, SymbolicTensor):
        return evaluate_now(value)
    return value._array if isinstance(value, EagerTensor) else value

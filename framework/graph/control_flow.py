"""`tf.cond`, `tf.while_loop` and their kin: Python in eager mode, one node in a graph.

A node holds traced branches and takes the tensors and Variables that they use as inputs. Its last
output is a *frame*: the values in between that its gradient reads, of the branch or of the
iterations that ran. A frame stays empty until a gradient was built. Gradients of these gradients
are not offered in graphs (LookupError); eager mode has them to any order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import nest, shapes
from shardtape.context import building, state
from shardtape.graph.branches import Branch, common_shape, zeros_of
from shardtape.graph.plan import Plan
from shardtape.ops import registry
from shardtape.ops.array import zeros_like
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Op
from shardtape.tensor import SymbolicTensor, Tensor


# ---- cond ---------------------------------------------------------------------------------------
def cond(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    name: str | None = None,
) -> Any:
    """The result of `true_fn()` if the scalar `pred` is true, else of `false_fn()`.

    Raises:
      TypeError: something that cannot be called, or branches of different structure or dtype.
    """
    if not callable(true_fn):
        raise TypeError("'true_fn' must be callable.")
    if not callable(false_fn):
        raise TypeError("'false_fn' must be callable.")
    if not isinstance(pred, SymbolicTensor) and not _is_symbolic_now(pred):
        return true_fn() if bool(pred) else false_fn()
    return switch([true_fn, false_fn], convert_to_tensor(pred), lambda p: 0 if p else 1, "If", name)


def _is_symbolic_now(value: Any) -> bool:
    """Variables read as symbols while a graph is built; Python values do not."""
    return state.graph is not None and hasattr(value, "_as_tensor")


def switch_case(
    branch_index: Any, branch_fns: Any, default: Any = None, name: str = "switch_case"
) -> Any:
    """The result of the function that the integer `branch_index` picks; else of `default`."""
    if isinstance(branch_fns, dict):
        pairs = sorted(branch_fns.items())
    else:
        pairs = [f if isinstance(f, tuple) else (i, f) for i, f in enumerate(branch_fns)]
    keys, functions = [k for k, _ in pairs], [f for _, f in pairs]
    functions.append(functions[-1] if default is None else default)

    def pick(index: Any) -> int:
        return keys.index(int(index)) if int(index) in keys else len(keys)

    if not isinstance(branch_index, SymbolicTensor) and not _is_symbolic_now(branch_index):
        return functions[pick(branch_index)]()
    return switch(functions, convert_to_tensor(branch_index), pick, "Case", name)


def case(
    pred_fn_pairs: Any, default: Any = None, exclusive: bool = False, strict: bool = False,
    name: str = "case",
) -> Any:  # fmt: skip
    """The result of the first function whose predicate is true; else of `default`."""
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)
    pairs = [(getattr(p, "deref", lambda p=p: p)(), f) for p, f in pairs]
    rest = default if default is not None else pairs[-1][1]
    for pred, function in reversed(pairs if default is not None else pairs[:-1]):
        rest = _nested(pred, function, rest)
    return rest()


def _nested(pred: Any, function: Any, rest: Any) -> Callable[[], Any]:
    return lambda: cond(pred, function, rest)


def switch(
    functions: Sequence[Callable[[], Any]], index: Any, pick: Any, kind: str, name: str | None
) -> Any:
    """A node that runs one of `functions`, which `pick(index value)` chooses."""
    graph = state.graph if state.graph is not None else index.graph
    with building(graph) if state.graph is None else _nothing():
        branches = [Branch(f, (), f"{kind.lower()}_{i}") for i, f in enumerate(functions)]
    first = branches[0]
    for other in branches[1:]:
        _same_results(first, other, kind)
    result_shapes = [common_shape(*_pair(outs)) for outs in zip(*[b.outputs for b in branches])]
    node = _Node(branches, graph)
    made = _switch_op(node, pick, kind, [t.dtype for t in first.outputs], result_shapes)
    return node.structured(_add(graph, made, [index], node, name), first.structure)


def _pair(outs: Sequence[Any]) -> tuple[Any, Any]:
    known = outs[0]
    for o in outs[1:]:
        if common_shape(known, o) != known.shape:
            return known, o
    return known, outs[-1]


def _same_results(a: Branch, b: Branch, kind: str) -> None:
    try:
        nest.assert_same_structure(a.structure, b.structure)
    except (ValueError, TypeError) as error:
        raise TypeError(f"the branches of tf.{kind.lower()} differ: {error}") from None
    for x, y in zip(a.outputs, b.outputs):
        if x.dtype is not y.dtype:
            raise TypeError(
                f"the branches of tf.{kind.lower()} return {x.dtype.name} and {y.dtype.name}"
            )


class Frame:
    """What a node kept of a run, as a value of type variant; it looks like a scalar object."""

    __slots__ = ("kept",)
    shape: tuple[int, ...] = ()
    ndim = 0
    dtype = np.dtype(object)

    def __init__(self, kept: Any) -> None:
        self.kept = kept


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *exc: Any) -> None: ...


class _Node:
    """What a node's branches use from outside, and where each branch finds it."""

    def __init__(self, branches: Sequence[Branch], graph: Any) -> None:
        self.branches, self.graph = branches, graph
        self.outer: list[Any] = []
        self.variables: list[Any] = []
        places: dict[int, int] = {}
        self.positions: list[list[int]] = []
        for b in branches:
            mine = []
            for t in b.captured:
                key = t._key()
                if key not in places:
                    places[key] = len(self.outer)
                    self.outer.append(t)
                mine.append(places[key])
            self.positions.append(mine)
            for v in b.variables:
                if all(v is not w for w in self.variables):
                    self.variables.append(v)
        self.effects = any(b.has_effects for b in branches)
        self.backwards: list[Any] | None = None

    def captured_of(self, branch: int, values: Sequence[Any]) -> list[Any]:
        return [values[i] for i in self.positions[branch]]

    def structured(self, outputs: Any, structure: Any) -> Any:
        flat = list(outputs[:-1]) if isinstance(outputs, tuple) else []
        return nest.pack_sequence_as(structure, flat)

    def want_gradients(self) -> list[Any]:
        """Backward pieces of all branches; from now on the node keeps what they read."""
        if self.backwards is None:
            self.backwards = [_DenseBackward(b) for b in self.branches]
        return self.backwards


class _DenseBackward:
    """A branch's gradient, dense, by its arguments and captured tensors and by Variable."""

    def __init__(self, branch: Branch) -> None:
        self.branch = branch
        backward = branch.segment.backward()
        self.backward = backward
        with building(branch.graph):
            by_input = [None if g is None else convert_to_tensor(g) for g in backward.by_input]
            by_variable = {
                v: None if g is None else convert_to_tensor(g)
                for v, g in backward.by_variable.items()
            }
        # the fetches of `plan` by argument or captured tensor, and by Variable; -1: no gradient
        flat: list[Any] = []
        self.input_places = [_place(g, flat) for g in by_input]
        self.variable_places = {v: _place(g, flat) for v, g in by_variable.items()}
        seeds = [backward.seeds[i] for i in backward.live]
        self.plan = Plan(branch.graph, [*backward.kept, *seeds], flat)

    def run_forward(self, feeds: Sequence[Any]) -> tuple[list[Any], tuple[Any, ...]]:
        """Outputs, and what the backward run reads."""
        count = len(self.branch.outputs)
        got = self.backward.forward_plan.run(feeds)
        return got[:count], tuple(got[count : count + len(self.backward.kept)])

    def run(self, kept: Sequence[Any], seeds: Sequence[Any]) -> list[Any]:
        """Seeds are those of all outputs; the ones of integers are ignored."""
        return self.plan.run([*kept, *[seeds[i] for i in self.backward.live]])


def _place(gradient: Any, flat: list[Any]) -> int:
    if gradient is None:
        return -1
    flat.append(gradient)
    return len(flat) - 1


def _add(graph: Any, made: Op, leading: Sequence[Any], node: _Node, name: str | None) -> Any:
    """Adds the node, and shows it to the tapes with its Variables as inputs."""
    inputs = [*leading, *node.outer]
    handles = [graph.variable_handle(v) for v in node.variables]
    outputs = graph.add_op(made, [*inputs, *handles], {}, name)
    if state.recorders:
        for recorder in state.recorders:
            for v in node.variables:
                recorder.read(v)
            recorder.record(made, (*[graph.capture(t) for t in inputs], *node.variables), {},
                            outputs)  # fmt: skip
    return outputs


def _node_op(
    kind: str, kernel: Any, dtypes: Sequence[dt.DType], out_shapes: Sequence[Any], effects: bool
) -> Op:
    made = Op(
        kernel,
        kind,
        shape=lambda *args: list(out_shapes),
        dtype=lambda in_dtypes, attrs: tuple(dtypes),
        dtypes=dt.ANY,
        mixed=True,
        outputs=-1,
        effects=registry.WRITES if effects else registry.READS,
        dynamic=True,
    )
    return made


def _switch_op(
    node: _Node, pick: Any, kind: str, dtypes: Sequence[dt.DType], out_shapes: Sequence[Any]
) -> Op:
    def kernel(xp: Any, index: Any, *values: Any) -> Any:
        chosen = pick(index)
        feeds = node.captured_of(chosen, values)
        if node.backwards is None:
            branch = node.branches[chosen]
            got = branch.plan().run(feeds)[: len(branch.outputs)]
            return _results([*got, Frame(None)])
        outputs, kept = node.backwards[chosen].run_forward(feeds)
        return _results([*outputs, Frame((chosen, kept))])

    made = _node_op(
        kind, kernel, [*dtypes, dt.variant], [*out_shapes, shapes.TensorShape([])], node.effects
    )

    @made.gradient
    def _(grads: Any, outputs: Any, index: Any, *inputs: Any) -> Any:
        node.want_gradients()
        seeds = _seeds(grads, outputs)
        return [None, *_switch_gradients(node, kind, outputs[-1], seeds, inputs)]

    return made


def _results(values: list[Any]) -> Any:
    """What a kernel returns: a tuple, or the value itself where there is only one output."""
    return values[0] if len(values) == 1 else tuple(values)


def _seeds(grads: Any, outputs: Any) -> list[Any]:
    return [zeros_like(y) if g is None else g for g, y in zip(grads[:-1], outputs[:-1])]


def _value_of(x: Any) -> Any:
    """The Variable that a handle stands for; a tensor itself."""
    if isinstance(x, SymbolicTensor) and x.dtype is dt.resource:
        return x.op.attrs["variable"]
    return x


def _differentiable(inputs: Sequence[Any]) -> list[int]:
    types = [_value_of(x).dtype for x in inputs]
    return [i for i, t in enumerate(types) if t.is_floating or t.is_complex]


def _switch_gradients(
    node: _Node, kind: str, frame: Any, seeds: list[Any], inputs: Sequence[Any]
) -> list[Any]:
    backwards = node.want_gradients()
    wanted = _differentiable(inputs)
    count = len(node.outer)

    def kernel(xp: Any, frame: Any, *values: Any) -> Any:
        chosen, kept = frame.kept
        backward = backwards[chosen]
        got = backward.run(kept, values[: len(seeds)])
        originals = values[len(seeds) :]
        places = dict(zip(node.positions[chosen], backward.input_places))
        out = []
        for i, original in zip(wanted, originals):
            if i < count:
                place = places.get(i, -1)
            else:
                place = backward.variable_places.get(node.variables[i - count]._id, -1)
            out.append(got[place] if place >= 0 else _zeros_like(original))
        return _results(out)

    originals = [_readable(inputs[i]) for i in wanted]
    made = _node_op(
        f"{kind}Grad", kernel, [_value_of(inputs[i]).dtype for i in wanted],
        [_value_of(inputs[i]).shape for i in wanted], False,
    )  # fmt: skip
    got = state.graph.add_op(made, [frame, *seeds, *originals], {}, f"{kind}Grad")
    out: list[Any] = [None] * len(inputs)
    for i, g in zip(wanted, got):
        out[i] = g
    return out


def _readable(x: Any) -> Any:
    return x if isinstance(x, Tensor) else state.graph.variable_handle(x)


def _zeros_like(original: Any) -> np.ndarray:
    array = original._read_array() if hasattr(original, "_read_array") else original
    return np.zeros_like(array)


# ---- while --------------------------------------------------------------------------------------
def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    maximum_iterations: Any = None,
    name: str | None = None,
) -> Any:
    """Repeats `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` is true.

    Args:
      loop_vars: nested structure of tensors; the result has the same.
      shape_invariants: less specific shapes, where the body changes them.
      maximum_iterations: the loop ends after so many at the latest.

    Raises:
      TypeError, ValueError: the body returns another structure or other dtypes.
    """
    variables = list(loop_vars) if isinstance(loop_vars, (list, tuple)) else [loop_vars]
    limit = maximum_iterations
    symbolic = state.graph is not None or any(
        isinstance(v, SymbolicTensor) for v in nest.flatten(variables)
    )
    if not symbolic:
        return _eager_loop(cond, body, loop_vars, variables, limit)
    tensors = [convert_to_tensor(v) for v in nest.flatten(variables)]
    graph = state.graph or next(t.graph for t in tensors if isinstance(t, SymbolicTensor))
    declared = [t.shape for t in tensors]
    if shape_invariants is not None:
        declared = [shapes.as_shape(getattr(s, "shape", s)) for s in _flat_shapes(shape_invariants)]
    with building(graph) if state.graph is None else _nothing():
        condition, step = _trace_loop(cond, body, variables, tensors, declared)
    node = _Node([condition, step], graph)
    made = _while_op(node, tensors, [t.shape for t in step.arguments], limit)
    outputs = _add(graph, made, tensors, node, name or "while")
    result = nest.pack_sequence_as(variables, list(outputs[:-1]))
    if isinstance(loop_vars, tuple) and not hasattr(loop_vars, "_fields"):
        return tuple(result)
    return result if isinstance(loop_vars, (list, tuple)) else result[0]


def _eager_loop(cond: Any, body: Any, loop_vars: Any, variables: list[Any], limit: Any) -> Any:
    count = 0
    limit = None if limit is None else int(limit)
    while bool(cond(*variables)) and (limit is None or count < limit):
        got = body(*variables)
        got = list(got) if isinstance(got, (list, tuple)) else [got]
        nest.assert_same_structure(variables, got, check_types=False)
        variables = [
            convert_to_tensor(v) if not nest.is_nested(v) and isinstance(v, (int, float)) else v
            for v in got
        ]
        count += 1
    if isinstance(loop_vars, tuple) and not hasattr(loop_vars, "_fields"):
        return tuple(variables)
    return variables if isinstance(loop_vars, (list, tuple)) else variables[0]


def _flat_shapes(structure: Any) -> list[Any]:
    if isinstance(structure, shapes.TensorShape) or hasattr(structure, "shape"):
        return [structure]
    return [s for child in structure for s in _flat_shapes(child)]


def _trace_loop(
    cond: Any, body: Any, variables: list[Any], tensors: Sequence[Any], declared: list[Any]
) -> tuple[Branch, Branch]:
    """Condition and body; shapes that the body does not keep become unknown."""

    def packed(function: Any) -> Any:
        return lambda *flat: function(*nest.pack_sequence_as(variables, list(flat)))

    def run_body(*flat: Any) -> Any:
        got = packed(body)(*flat)
        got = list(got) if isinstance(got, (list, tuple)) else [got]
        nest.assert_same_structure(variables, got, check_types=False)
        return [
            convert_to_tensor(v, None if isinstance(v, Tensor) or hasattr(v, "_as_tensor")
                              else t.dtype)
            for v, t in zip(nest.flatten(got), tensors)
        ]  # fmt: skip

    while True:
        arguments = [(t.dtype, s) for t, s in zip(tensors, declared)]
        step = Branch(run_body, arguments, "while_body")
        for i, (out, t) in enumerate(zip(step.outputs, tensors)):
            if out.dtype is not t.dtype:
                raise TypeError(
                    f"loop variable {i} is {t.dtype.name}, the body returns {out.dtype.name}"
                )
        general = [s.most_specific_compatible_shape(o.shape)
                   for s, o in zip(declared, step.outputs)]  # fmt: skip
        if general == declared:
            return Branch(packed(cond), arguments, "while_cond"), step
        declared = general


def _while_op(node: _Node, tensors: Sequence[Any], out_shapes: Sequence[Any], limit: Any) -> Op:
    count = len(tensors)
    condition, step = node.branches

    def kernel(xp: Any, *values: Any) -> Any:
        current, rest = list(values[:count]), values[count:]
        seen, used = node.captured_of(0, rest), node.captured_of(1, rest)
        frames = []
        turns = 0
        while bool(condition.plan().run([*current, *seen])[0]):
            if limit is not None and turns >= int(limit):
                break
            feeds = [*current, *used]
            if node.backwards is None:
                current = step.plan().run(feeds)[:count]
            else:
                shapes_before = tuple(np.shape(v) for v in current)
                current, kept = node.backwards[1].run_forward(feeds)
                frames.append((shapes_before, kept))
            turns += 1
        return _results([*current, Frame(frames)])

    made = _node_op(
        "While", kernel, [*[t.dtype for t in tensors], dt.variant],
        [*out_shapes, shapes.TensorShape([])], node.effects,
    )  # fmt: skip

    @made.gradient
    def _(grads: Any, outputs: Any, *inputs: Any) -> Any:
        node.want_gradients()
        return _while_gradients(node, count, outputs[-1], _seeds(grads, outputs), inputs)

    return made


def _while_gradients(
    node: _Node, count: int, frames: Any, seeds: list[Any], inputs: Sequence[Any]
) -> list[Any]:
    backward = node.want_gradients()[1]
    wanted = _differentiable(inputs)
    dtypes = [s.dtype for s in seeds]
    outer = len(node.outer)
    # captured tensors and Variables, by their position among the node's inputs
    places = {count + p: backward.input_places[count + k] for k, p in enumerate(node.positions[1])}
    for k, v in enumerate(node.variables):
        places[count + outer + k] = backward.variable_places.get(v._id, -1)

    def kernel(xp: Any, frames: Any, *values: Any) -> Any:
        current, originals = list(values[:count]), dict(zip(wanted, values[count:]))
        sums: dict[int, Any] = {}
        for before, kept in reversed(frames.kept):
            got = backward.run(kept, current)
            for i, place in places.items():
                if place >= 0:
                    sums[i] = got[place] if i not in sums else sums[i] + got[place]
            current = [
                got[p] if (p := backward.input_places[i]) >= 0 else zeros_of(before[i], dtypes[i])
                for i in range(count)
            ]
        out = []
        for i in wanted:
            if i < count:
                out.append(current[i])
            else:
                out.append(sums[i] if i in sums else _zeros_like(originals[i]))
        return _results(out)

    originals = [_readable(inputs[i]) for i in wanted]
    made = _node_op(
        "WhileGrad", kernel, [_value_of(inputs[i]).dtype for i in wanted],
        [_value_of(inputs[i]).shape for i in wanted], False,
    )  # fmt: skip
    got = state.graph.add_op(made, [frames, *seeds, *originals], {}, "WhileGrad")
    out: list[Any] = [None] * len(inputs)
    for i, g in zip(wanted, got):
        out[i] = g
    return out

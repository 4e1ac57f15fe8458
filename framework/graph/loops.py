"""`tf.while_loop`: Python in eager mode, one node in a graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from shardtape import backend, nest, shapes
from shardtape import dtypes as dt
from shardtape.context import building, state
from shardtape.graph.branch_node import (
    BranchNode,
    Frame,
    add_gradient_node,
    add_node,
    differentiable,
    node_op,
    nothing,
    results,
    seeds_of,
    value_of,
    zeros_of_input,
)
from shardtape.graph.branches import Branch, zeros_of
from shardtape.graph.parts import Parts, general_specs, put_together, taken_apart, tensors_of
from shardtape.graph.replay import differentiated
from shardtape.graph.shown import add_shown
from shardtape.ops import array, source
from shardtape.ops.compare import logical_and
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Op
from shardtape.tensor import SymbolicTensor, Tensor


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
    strict: bool = False,
) -> Any:
    """Repeats `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` is true.

    Args:
      loop_vars: nested structure of tensors; the result has the same.
      shape_invariants: less specific shapes, where the body changes them.
      maximum_iterations: the loop ends after so many at the latest.
      strict: refuse a body that changes shapes which `shape_invariants` do not leave open; else
        these become unknown.

    Raises:
      TypeError, ValueError: the body returns another structure, other dtypes or other shapes.
    """
    variables = list(loop_vars) if isinstance(loop_vars, (list, tuple)) else [loop_vars]
    limit = maximum_iterations
    symbolic = state.graph is not None or any(
        isinstance(v, SymbolicTensor) for v in nest.flatten(variables)
    )
    if not symbolic:
        return _eager_loop(cond, body, loop_vars, variables, limit)
    if limit is not None and (isinstance(limit, SymbolicTensor) or hasattr(limit, "_as_tensor")):
        return _limited(cond, body, loop_vars, variables, shape_invariants, limit, name, strict)
    apart = taken_apart(variables, convert_to_tensor)
    given = tensors_of(apart)  # tapes know what eager code made by these
    if state.graph is not None:
        apart = taken_apart(variables, lambda v: state.graph.capture(convert_to_tensor(v)))
    tensors = tensors_of(apart)
    graph = state.graph or next(t.graph for t in tensors if isinstance(t, SymbolicTensor))
    declared = [t.shape for t in tensors]
    if shape_invariants is not None:
        invariants = _flat_shapes(shape_invariants)
        leaves = len(nest.flatten(apart))
        if len(invariants) != leaves:
            raise ValueError(
                f"`shape_invariants` and `loop_vars` don't have the same nested structure: "
                f"{len(invariants)} shapes for {leaves} loop variables"
            )
        declared = _declared(apart, invariants)
    with building(graph) if state.graph is None else nothing():
        condition, step, apart = _trace_loop(cond, body, apart, tensors, declared, strict)
    node = BranchNode([condition, step], graph)
    made = _while_op(node, tensors, [t.shape for t in step.arguments], limit)
    outputs = _shown_loop(graph, made, given, node, name or "while", limit)
    result = put_together(apart, list(outputs[:-1]))
    if isinstance(loop_vars, tuple) and not hasattr(loop_vars, "_fields"):
        return tuple(result)
    return result if isinstance(loop_vars, (list, tuple)) else result[0]


def _shown_loop(
    graph: Any, made: Op, given: Sequence[Any], node: BranchNode, name: str, limit: Any
) -> Any:
    """Adds the loop's node, and the counter and the limit that its description begins with."""
    if not graph.shows_copies:
        return add_node(graph, made, given, node, name)
    with building(graph) if state.graph is None else nothing():
        name = graph.unique_name(name)
        leading = [
            add_shown(graph, source.const, (), {"value": np.int32(value)}, f"{name}/{called}")
            for called, value in (
                ("maximum_iterations", -1 if limit is None else int(limit)), ("loop_counter", 0)
            )
        ]  # fmt: skip
        outputs = add_node(graph, made, given, node, f"{name}/")
    last = outputs[-1] if type(outputs) is tuple else outputs
    graph.shown.leading[last.op.index] = tuple(leading[::-1])
    for out in outputs[:-1] if type(outputs) is tuple else ():
        graph.shown.offset(out, len(leading))
    return outputs


def _limited(
    cond: Any, body: Any, loop_vars: Any, variables: list[Any], invariants: Any, limit: Any,
    name: str | None, strict: bool,
) -> Any:  # fmt: skip
    """A loop whose largest number of turns is a tensor of the graph: it counts them itself."""
    limit = convert_to_tensor(limit)
    if invariants is not None:
        given = list(invariants) if isinstance(invariants, (list, tuple)) else [invariants]
        invariants = [shapes.TensorShape([]), *given]

    def turn(count: Any, *values: Any) -> list[Any]:
        got = body(*values)
        return [count + 1, *(list(got) if isinstance(got, (list, tuple)) else [got])]

    start = [array.zeros([], limit.dtype), *variables]
    _, *result = while_loop(
        lambda count, *values: logical_and(count < limit, cond(*values)), turn, start, invariants,
        name=name, strict=strict,
    )  # fmt: skip
    if isinstance(loop_vars, tuple) and not hasattr(loop_vars, "_fields"):
        return tuple(result)
    return result if isinstance(loop_vars, (list, tuple)) else result[0]


def _eager_loop(cond: Any, body: Any, loop_vars: Any, variables: list[Any], limit: Any) -> Any:
    count, form = 0, loop_vars
    limit = None if limit is None else int(limit)
    while bool(cond(*variables)) and (limit is None or count < limit):
        got = body(*variables)
        if isinstance(got, (list, tuple)) and isinstance(loop_vars, (list, tuple)):
            form = got  # the result is a list or a tuple as what the body returns
        got = list(got) if isinstance(got, (list, tuple)) else [got]
        nest.assert_same_structure(variables, got, check_types=False)
        variables = [
            convert_to_tensor(v) if not nest.is_nested(v) and isinstance(v, (int, float)) else v
            for v in got
        ]
        count += 1
    if isinstance(form, tuple) and not hasattr(form, "_fields"):
        return tuple(variables)
    return variables if isinstance(form, (list, tuple)) else variables[0]


def _flat_shapes(structure: Any) -> list[Any]:
    if isinstance(structure, shapes.TensorShape) or hasattr(structure, "shape"):
        return [structure]
    if isinstance(structure, Mapping):
        structure = [structure[key] for key in sorted(structure)]
    return [s for child in structure for s in _flat_shapes(child)]


def _declared(apart: Any, invariants: list[Any]) -> list[Any]:
    """The shapes of all tensors, of invariants that are given by leaf."""
    out = []
    for leaf, s in zip(nest.flatten(apart), invariants):
        if isinstance(leaf, Parts):
            out.extend([part.shape for part in leaf.spec._component_specs])  # type: ignore
        else:
            out.append(shapes.as_shape(getattr(s, "shape", s)))
    return out


def _trace_loop(
    cond: Any, body: Any, apart: list[Any], tensors: Sequence[Any], declared: list[Any],
    strict: bool,
) -> tuple[Branch, Branch, list[Any]]:  # fmt: skip
    """Condition, body, and the structure of the loop's values.

    Shapes that the body does not keep become unknown, or are refused if `strict`.
    """

    def packed(function: Any) -> Any:
        return lambda *flat: function(*put_together(apart, flat))

    def run_body(*flat: Any) -> Any:
        nonlocal apart
        got = packed(body)(*flat)
        got = list(got) if isinstance(got, (list, tuple)) else [got]
        nest.assert_same_structure(apart, got, check_types=False)
        types = iter(tensors)

        def tensor(v: Any) -> Tensor:
            wanted = next(types, tensors[-1]).dtype
            typed = isinstance(v, Tensor) or hasattr(v, "_as_tensor")
            return convert_to_tensor(v, None if typed else wanted)

        after = taken_apart(got, tensor)
        if len(tensors_of(after)) != len(tensors):
            raise ValueError(
                f"the body of the loop returns {len(tensors_of(after))} tensors for "
                f"{len(tensors)} loop variables: {got!r}"
            )
        apart = general_specs(apart, after)
        return tensors_of(after)

    while True:
        arguments = [(t.dtype, s) for t, s in zip(tensors, declared)]
        step = Branch(run_body, arguments, "while_body")
        for i, (out, t) in enumerate(zip(step.outputs, tensors)):
            if out.dtype is not t.dtype:
                raise TypeError(
                    f"Loop variable {i}, `{t.name}`, enters the loop with type {t.dtype!r} but has "
                    f"type {out.dtype!r} after one iteration; its type has to stay the same"
                )
        if strict:
            _check_shapes(apart, tensors, declared, step.outputs)
        general = [s.most_specific_compatible_shape(o.shape)
                   for s, o in zip(declared, step.outputs)]  # fmt: skip
        if general == declared:
            return Branch(packed(cond), arguments, "while_cond"), step, apart
        declared = general


def _check_shapes(
    apart: Any, tensors: Sequence[Any], declared: Sequence[Any], outputs: Sequence[Any]
) -> None:
    """Raises ValueError for a tensor whose shape after a turn cannot be the declared one."""
    place = 0
    for leaf in nest.flatten(apart):
        if isinstance(leaf, Parts):  # what it is made of changes shape, as rows of ragged tensors
            place += len(leaf.tensors)
            continue
        shape, out, entered = declared[place], outputs[place], tensors[place]
        place += 1
        if not shape.is_compatible_with(out.shape):
            raise ValueError(
                f"Input tensor `{entered.name}` enters the loop with shape {shape}, but has shape "
                f"{out.shape} after one iteration. To allow the shape to vary across iterations, "
                "use the `shape_invariants` argument of tf.while_loop to specify a less-specific "
                "shape."
            )


def _while_op(
    node: BranchNode, tensors: Sequence[Any], out_shapes: Sequence[Any], limit: Any
) -> Op:
    count = len(tensors)
    condition, step = node.branches

    def kernel(xp: Any, *values: Any) -> Any:
        current, rest = list(values[:count]), values[count:]
        seen, used = node.captured_of(0, rest), node.captured_of(1, rest)
        frames = []
        turns = 0
        while bool(backend.to_host(condition.plan().run([*current, *seen])[0])):
            if limit is not None and turns >= int(limit):
                break
            feeds = [*current, *used]
            if node.backwards is None:
                current = step.plan().run(feeds)[:count]
            else:
                shapes_before = tuple(v.shape for v in current)
                current, kept = node.backwards[1].run_forward(feeds)
                frames.append((shapes_before, kept))
            turns += 1
        return results([*current, Frame(frames)])

    made = node_op(
        node.kind("While"), kernel, [*[t.dtype for t in tensors], dt.variant],
        [*out_shapes, shapes.TensorShape([])], node.effects,
    )  # fmt: skip
    made.control = node, {"limit": limit}  # type: ignore[attr-defined]

    @made.gradient
    def _(grads: Any, outputs: Any, *inputs: Any) -> Any:
        node.want_gradients()
        return _while_gradients(node, count, outputs[-1], seeds_of(grads, outputs), inputs)

    return made


def _while_gradients(
    node: BranchNode, count: int, frames: Any, seeds: list[Any], inputs: Sequence[Any]
) -> list[Any]:
    backward = node.want_gradients()[1]
    wanted = differentiable(inputs)
    dtypes = [s.dtype for s in seeds]
    outer = len(node.outer)
    # captured tensors and Variables, by their position among the node's inputs
    places = {count + p: backward.input_places[count + k] for k, p in enumerate(node.positions[1])}
    for k, v in enumerate(node.variables):
        places[count + outer + k] = backward.variable_places.get(v._id, -1)

    def kernel(xp: Any, frames: Any, *values: Any) -> Any:
        current, originals = list(values[:count]), values[count:]
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
                out.append(sums[i] if i in sums else zeros_of_input(originals[i]))
        return results(out)

    made = node_op(
        "WhileGrad", kernel, [value_of(inputs[i]).dtype for i in wanted],
        [value_of(inputs[i]).shape for i in wanted], False,
    )  # fmt: skip

    @made.gradient
    def _(grads: Any, outputs: Any, frames: Any, *rest: Any) -> Any:
        from shardtape.graph.loop_gradients import LoopGradient

        captured = [count + p for p in node.positions[1]]
        gradient = LoopGradient(
            backward, lambda frame, turn: frame.kept[turn][1], lambda frame: len(frame.kept),
            captured, places,
        )  # fmt: skip

        def rebuild(given: list[Any]) -> list[Any]:
            return gradient.while_loop(frames, given[:count], given[count:], wanted)

        return [None, *differentiated(rebuild, grads, rest)]

    got = add_gradient_node(made, "WhileGrad", [frames, *seeds, *inputs])
    out: list[Any] = [None] * len(inputs)
    for i, g in zip(wanted, got):
        out[i] = g
    return out

"""`tf.cond`, `tf.case`, `tf.switch_case`: Python in eager mode, one node in a graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shardtape import backend, nest, shapes
from shardtape import dtypes as dt
from shardtape.context import building, state
from shardtape.graph import loops
from shardtape.graph.branch_node import (
    BranchNode,
    DenseBackward,
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
from shardtape.graph.branches import Branch, common_shape
from shardtape.graph.ir import Operation
from shardtape.graph.parts import general_specs
from shardtape.graph.replay import Replay, differentiated, zeros_for
from shardtape.graph.scopes import name_scope
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Op
from shardtape.ops.shaping import identity
from shardtape.tensor import SymbolicTensor, Tensor

__all__ = ["case", "cond", "switch_case", "while_loop"]


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


def while_loop(
    cond: Callable[..., Any], body: Callable[..., Any], loop_vars: Any,
    shape_invariants: Any = None, parallel_iterations: int = 10, back_prop: bool = True,
    swap_memory: bool = False, maximum_iterations: Any = None, name: str | None = None,
) -> Any:  # fmt: skip
    """Repeats `loop_vars = body(*loop_vars)` while `cond(*loop_vars)` is true.

    Args:
      loop_vars: nested structure of tensors; the result has the same.
      shape_invariants: a TensorShape or TensorSpec for each of them, with None where the body
        changes a size; without it shapes have to stay what they are.
      maximum_iterations: the loop ends after so many at the latest.
      parallel_iterations, back_prop, swap_memory: accepted for TensorFlow's sake.

    Raises:
      TypeError, ValueError: the body returns another structure, other dtypes or, in a graph,
        other shapes.
    """
    return loops.while_loop(
        cond, body, loop_vars, shape_invariants, maximum_iterations=maximum_iterations, name=name,
        strict=True,
    )  # fmt: skip


def _is_symbolic_now(value: Any) -> bool:
    """Variables and tensors read as symbols while a graph is built; Python values do not."""
    return state.graph is not None and (isinstance(value, Tensor) or hasattr(value, "_as_tensor"))


def switch_case(
    branch_index: Any, branch_fns: Any, default: Any = None, name: str = "switch_case"
) -> Any:
    """The result of the function that the integer `branch_index` picks; else of `default`.

    Raises ValueError where there is no function.
    """
    if isinstance(branch_fns, dict):
        pairs = sorted(branch_fns.items())
    else:
        pairs = [f if isinstance(f, tuple) else (i, f) for i, f in enumerate(branch_fns)]
    if not pairs:
        raise ValueError("switch_case needs at least one function in `branch_fns`")
    if isinstance(branch_index, (str, bytes, float)):
        raise TypeError(f"branch_index of switch_case must be an int32, got {branch_index!r}")
    keys, functions = [k for k, _ in pairs], [f for _, f in pairs]
    functions.append(functions[-1] if default is None else default)

    def pick(index: Any) -> int:
        return keys.index(int(index)) if int(index) in keys else len(keys)

    pick.keys = keys  # type: ignore[attr-defined]
    if not isinstance(branch_index, SymbolicTensor) and not _is_symbolic_now(branch_index):
        return functions[pick(branch_index)]()
    index = convert_to_tensor(branch_index)
    with building(state.graph or index.graph), name_scope(name or "switch_case"):
        return switch(functions, index, pick, "Case", None)


def case(
    pred_fn_pairs: Any, default: Any = None, exclusive: bool = False, strict: bool = False,
    name: str = "case",
) -> Any:  # fmt: skip
    """The result of the first function whose predicate is true; else of `default`.

    Raises InvalidArgumentError where no predicate is true and there is no `default`.
    """
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)
    if not pairs:
        raise ValueError("case needs at least one pair of a predicate and a function")
    pairs = [(getattr(p, "deref", lambda p=p: p)(), f) for p, f in pairs]
    rest = default if default is not None else _one_of(pairs)
    for pred, function in reversed(pairs if default is not None else pairs[:-1]):
        rest = _nested(pred, function, rest)
    return rest()


def _one_of(pairs: list[Any]) -> Callable[[], Any]:
    """The last function, which is refused where its predicate is as false as all before."""
    from shardtape.debugging import Assert

    def last() -> Any:
        preds = [p for p, _ in pairs]
        Assert(preds[-1], ["None of the conditions of case is true:", *preds], name="AssertAny")
        return pairs[-1][1]()

    return last


def _nested(pred: Any, function: Any, rest: Any) -> Callable[[], Any]:
    return lambda: cond(pred, function, rest)


def switch(
    functions: Sequence[Callable[[], Any]], index: Any, pick: Any, kind: str, name: str | None
) -> Any:
    """A node that runs one of `functions`, which `pick(index value)` chooses."""
    graph = state.graph if state.graph is not None else index.graph
    with building(graph) if state.graph is None else nothing():
        names = _BRANCH_NAMES.get(kind) or [
            f"switch_case_indexed_case_branch{i}" for i in range(len(functions))
        ]
        branches = [Branch(_valued(f, index), (), n) for f, n in zip(functions, names)]
    first = branches[0]
    for other in branches[1:]:
        _same_results(first, other, kind)
    result_shapes = [common_shape(*_pair(outs)) for outs in zip(*[b.outputs for b in branches])]
    node = BranchNode(branches, graph)
    made = _switch_op(node, pick, kind, [t.dtype for t in first.outputs], result_shapes)
    structure = first.structure
    for other in branches[1:]:
        structure = general_specs(structure, other.structure)
    outputs = add_node(graph, made, [index], node, name)
    if graph.shows_copies and type(outputs) is tuple:
        for out in outputs[:-1]:
            graph.shown.copy(out, f"{out.op.name}/Identity")
    return node.structured(outputs, structure)


def _valued(function: Callable[[], Any], index: Any) -> Callable[[], Any]:
    """The function with the value that chose it in place of operations, which have none."""

    def called() -> Any:
        made = function()
        if not any(isinstance(leaf, Operation) for leaf in nest.flatten(made)):
            return made
        return nest.map_structure(
            lambda leaf: identity(index) if isinstance(leaf, Operation) else leaf, made
        )

    return called


_BRANCH_NAMES = {"If": ("cond_true", "cond_false")}


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
    if len(a.outputs) != len(b.outputs):
        raise TypeError(f"the branches of tf.{kind.lower()} return values of other kinds")
    for x, y in zip(a.outputs, b.outputs):
        if x.dtype is not y.dtype:
            raise TypeError(
                f"the branches of tf.{kind.lower()} return {x.dtype.name} and {y.dtype.name}"
            )


def _switch_op(
    node: BranchNode, pick: Any, kind: str, dtypes: Sequence[dt.DType], out_shapes: Sequence[Any]
) -> Op:
    def kernel(xp: Any, index: Any, *values: Any) -> Any:
        chosen = pick(backend.to_host(index))
        feeds = node.captured_of(chosen, values)
        if node.backwards is None:
            branch = node.branches[chosen]
            got = branch.plan().run(feeds)[: len(branch.outputs)]
            return results([*got, Frame(None)])
        outputs, kept = node.backwards[chosen].run_forward(feeds)
        return results([*outputs, Frame((chosen, kept))])

    made = node_op(
        node.kind(kind), kernel, [*dtypes, dt.variant], [*out_shapes, shapes.TensorShape([])],
        node.effects,
    )  # fmt: skip
    made.control = node, {"keys": getattr(pick, "keys", None)}  # type: ignore[attr-defined]

    @made.gradient
    def _(grads: Any, outputs: Any, index: Any, *inputs: Any) -> Any:
        node.want_gradients()
        seeds = seeds_of(grads, outputs)
        return [None, *_switch_gradients(node, pick, kind, outputs[-1], index, seeds, inputs)]

    return made


def _switch_gradients(
    node: BranchNode, pick: Any, kind: str, frame: Any, index: Any, seeds: list[Any],
    inputs: Sequence[Any],
) -> list[Any]:  # fmt: skip
    backwards = node.want_gradients()
    wanted = differentiable(inputs)
    count = len(node.outer)

    of_seeds = len(seeds)

    def kernel(xp: Any, frame: Any, index: Any, *values: Any) -> Any:
        chosen, kept = frame.kept
        backward = backwards[chosen]
        got = backward.run(kept, values[:of_seeds])
        originals = [values[of_seeds + i] for i in wanted]
        places = dict(zip(node.positions[chosen], backward.input_places))
        out = []
        for i, original in zip(wanted, originals):
            if i < count:
                place = places.get(i, -1)
            else:
                place = backward.variable_places.get(node.variables[i - count]._id, -1)
            out.append(got[place] if place >= 0 else zeros_of_input(original))
        return results(out)

    made = node_op(
        f"{kind}Grad", kernel, [value_of(inputs[i]).dtype for i in wanted],
        [value_of(inputs[i]).shape for i in wanted], False,
    )  # fmt: skip

    @made.gradient
    def _(grads: Any, outputs: Any, frame: Any, index: Any, *rest: Any) -> Any:
        def rebuild(given: list[Any]) -> list[Any]:
            known = given[:of_seeds], given[of_seeds:]
            return _gradients_again(node, pick, kind, wanted, frame, index, *known)

        return [None, None, *differentiated(rebuild, grads, rest)]

    got = add_gradient_node(made, f"{kind}Grad", [frame, index, *seeds, *inputs])
    out: list[Any] = [None] * len(inputs)
    for i, g in zip(wanted, got):
        out[i] = g
    return out


def _gradients_again(
    node: BranchNode, pick: Any, kind: str, wanted: Sequence[int], frame: Any, index: Any,
    seeds: list[Any], inputs: list[Any],
) -> list[Any]:  # fmt: skip
    """The gradients of `_switch_gradients`, as a node that has gradients itself."""

    def branch(number: int, backward: DenseBackward) -> Callable[[], list[Any]]:
        positions = node.positions[number]
        places = dict(zip(positions, backward.input_places))
        for k, v in enumerate(node.variables):
            place = backward.variable_places.get(v._id, -1)
            places[len(node.outer) + k] = place

        def run() -> list[Any]:
            captured = [inputs[p] for p in positions]
            replay = Replay(backward, lambda frame, turn: frame.kept[1])
            got = replay.run(backward.plan.fetches, {}, captured, seeds, frame, index)
            return [
                got[place] if (place := places.get(i, -1)) >= 0 else zeros_for(inputs[i])
                for i in wanted
            ]

        return run

    branches = [branch(i, b) for i, b in enumerate(node.want_gradients())]
    return switch(branches, index, pick, kind, f"{kind}Grad")

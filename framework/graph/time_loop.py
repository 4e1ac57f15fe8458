"""A loop over the steps of sequences, as one node of a graph: what recurrent layers run.

Unlike `tf.while_loop` it knows that each turn takes one slice of the sequences and gives one slice
of the outputs, so nothing is copied from turn to turn, and the gradient fills whole sequences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shardtape import dtypes as dt
from shardtape import shapes
from shardtape.context import state
from shardtape.graph import branch_node as nodes
from shardtape.graph.branches import Branch, zeros_of
from shardtape.graph.replay import differentiated
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Op
from shardtape.tensor import Tensor

Step = Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]]


def time_loop(
    step: Step, sequences: Sequence[Any], states: Sequence[Any], backwards: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Runs `step(inputs, states) -> (outputs, new states)` for each step of the sequences.

    Args:
      sequences: tensors [steps, ...]; step `t` gets their slices `[t]`.
      states: what the first step gets.
      backwards: start at the last step; the outputs stay in the order of the turns.

    Returns (outputs, each [steps, ...]; the states after the last turn). It must be called while
    a graph is built.

    Raises:
      TypeError: a new state of another dtype.
      ValueError: a new state of another rank, or another number of states.
    """
    graph = state.graph
    inputs = [convert_to_tensor(s) for s in sequences]
    first = [convert_to_tensor(s) for s in states]
    body, count = _traced(step, inputs, first)
    node = nodes.BranchNode([body], graph)
    steps = inputs[0].shape[0] if inputs[0].shape.rank else None
    made = _loop_op(node, len(inputs), len(first), count, steps, backwards)
    got = nodes.add_node(graph, made, [*inputs, *first], node, "time_loop")
    return list(got[:count]), list(got[count:-1])


def _traced(step: Step, inputs: list[Any], states: list[Any]) -> tuple[Branch, int]:
    """The body, and the number of outputs; sizes that a step does not keep become unknown."""
    known = [t.shape for t in states]
    counts: list[int] = []

    def run(*flat: Any) -> list[Any]:
        outputs, new = step(list(flat[: len(inputs)]), list(flat[len(inputs) :]))
        if len(new) != len(states):
            raise ValueError(f"a step got {len(states)} states and returned {len(new)}")
        counts.append(len(outputs))
        return [convert_to_tensor(t) for t in (*outputs, *new)]

    while True:
        slices = [(t.dtype, t.shape[1:]) for t in inputs]
        given = [(t.dtype, s) for t, s in zip(states, known)]
        body = Branch(run, [*slices, *given], "time_loop_step")
        count = counts[-1]
        for i, (new, t) in enumerate(zip(body.outputs[count:], states)):
            if new.dtype is not t.dtype:
                raise TypeError(f"state {i} is {t.dtype.name}, a step returns {new.dtype.name}")
            if new.shape.rank is not None and t.shape.rank not in (None, new.shape.rank):
                raise ValueError(f"state {i} has shape {t.shape}, a step returns {new.shape}")
        general = [
            s.most_specific_compatible_shape(new.shape)
            for s, new in zip(known, body.outputs[count:])
        ]
        if general == known:
            return body, count
        known = general


def _loop_op(
    node: Any, inputs: int, states: int, count: int, steps: int | None, backwards: bool
) -> Op:
    body = node.branches[0]
    results = body.outputs

    def kernel(xp: Any, *values: Any) -> Any:
        sequences, current = values[:inputs], list(values[inputs : inputs + states])
        used = node.captured_of(0, values[inputs + states :])
        total = sequences[0].shape[0]
        stacks: list[Any] = [None] * count
        frames = []
        for turn in range(total):
            t = total - 1 - turn if backwards else turn
            feeds = [*[s[t] for s in sequences], *current, *used]
            if node.backwards is None:
                got = body.plan().run(feeds)
            else:
                before = tuple(v.shape for v in feeds[: inputs + states])
                got, kept = node.backwards[0].run_forward(feeds)
                frames.append((before, kept))
            for k in range(count):
                if stacks[k] is None:
                    stacks[k] = xp.empty((total, *got[k].shape), got[k].dtype)
                stacks[k][turn] = got[k]
            current = got[count : count + states]
        for k, stack in enumerate(stacks):
            if stack is None:
                sizes = [d or 0 for d in results[k].shape.as_list()]
                stacks[k] = xp.empty((0, *sizes), results[k].dtype.numpy_dtype)
        frame = nodes.Frame((tuple(s.shape for s in sequences), frames))
        return nodes.results([*stacks, *current, frame])

    stacked = [shapes.TensorShape([steps]).concatenate(t.shape) for t in results[:count]]
    # a loop without a turn hands on the states that it was given
    carried = [t.shape for t in body.arguments[inputs:]]
    made = nodes.node_op(
        "TimeLoop", kernel, [*[t.dtype for t in results], dt.variant],
        [*stacked, *carried, shapes.TensorShape([])], node.effects,
    )  # fmt: skip
    made.control = node, {  # type: ignore[attr-defined]
        "sequences": inputs, "states": states, "outputs": count, "backwards": backwards,
    }  # fmt: skip

    @made.gradient
    def _(grads: Any, outputs: Any, *given: Any) -> Any:
        node.want_gradients()
        seeds = nodes.seeds_of(grads, outputs)
        return _gradients(node, inputs, states, count, backwards, outputs[-1], seeds, given)

    return made


def _gradients(
    node: Any, inputs: int, states: int, count: int, backwards: bool, frame: Any,
    seeds: list[Any], given: Sequence[Any],
) -> list[Any]:  # fmt: skip
    backward = node.want_gradients()[0]
    wanted = nodes.differentiable(given)
    own, outer = inputs + states, len(node.outer)
    dtypes = [s.dtype for s in seeds[count:]]
    places = {own + p: backward.input_places[own + k] for k, p in enumerate(node.positions[0])}
    for k, v in enumerate(node.variables):
        places[own + outer + k] = backward.variable_places.get(v._id, -1)
    places = {i: p for i, p in places.items() if p >= 0}

    def kernel(xp: Any, frame: Any, *values: Any) -> Any:
        stacks, current = values[:count], list(values[count : count + states])
        originals = values[count + states :]
        sequence_shapes, frames = frame.kept
        filled: dict[int, Any] = {}
        sums: dict[int, Any] = {}
        for turn in range(len(frames) - 1, -1, -1):
            before, kept = frames[turn]
            got = backward.run(kept, [*[s[turn] for s in stacks], *current])
            for i, place in places.items():
                if i not in sums:
                    sums[i] = xp.array(got[place])
                else:
                    sums[i] += got[place]
            t = len(frames) - 1 - turn if backwards else turn
            for i in range(inputs):
                if backward.input_places[i] >= 0:
                    g = got[backward.input_places[i]]
                    if i not in filled:
                        filled[i] = xp.zeros(sequence_shapes[i], g.dtype)
                    filled[i][t] = g
            current = [
                got[p] if (p := backward.input_places[inputs + k]) >= 0
                else zeros_of(before[inputs + k], dtypes[k])
                for k in range(states)
            ]  # fmt: skip
        out = []
        for i in wanted:
            if inputs <= i < own:
                out.append(current[i - inputs])
            else:
                found = filled.get(i) if i < inputs else sums.get(i)
                out.append(nodes.zeros_of_input(originals[i]) if found is None else found)
        return nodes.results(out)

    made = nodes.node_op(
        "TimeLoopGrad", kernel, [nodes.value_of(given[i]).dtype for i in wanted],
        [nodes.value_of(given[i]).shape for i in wanted], False,
    )  # fmt: skip

    @made.gradient
    def _(grads: Any, outputs: Any, frame: Any, *rest: Any) -> Any:
        from shardtape.graph.loop_gradients import LoopGradient

        captured = [own + p for p in node.positions[0]]
        gradient = LoopGradient(
            backward, lambda frame, turn: frame.kept[1][turn][1],
            lambda frame: len(frame.kept[1]), captured, places,
        )  # fmt: skip

        def rebuild(known: list[Any]) -> list[Any]:
            seeds, values = known[: count + states], known[count + states :]
            return gradient.time_loop(frame, seeds, values, wanted, inputs, backwards)

        return [None, *differentiated(rebuild, grads, rest)]

    got = nodes.add_gradient_node(made, "TimeLoopGrad", [frame, *seeds, *given])
    out: list[Any] = [None] * len(given)
    for i, g in zip(wanted, got):
        out[i] = g
    return out

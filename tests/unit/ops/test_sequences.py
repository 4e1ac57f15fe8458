"""The gradient ops of whole recurrent sequences; the forward ops are tried with all others."""

import numpy as np
import pytest
from parity.op_cases import Case, cases
from unit.backend import strict_device
from unit.ops import op_checks as checks

import shardtape as tf
from shardtape import dtypes as dt
from shardtape.context import building
from shardtape.graph.ir import Graph
from shardtape.graph.placeholders import placeholder
from shardtape.graph.plan import Plan
from shardtape.ops.gru import gru_sequence, gru_sequence_grad
from shardtape.ops.lstm import lstm_sequence, lstm_sequence_grad

PAIRS = [(lstm_sequence, lstm_sequence_grad), (gru_sequence, gru_sequence_grad)]
ALL = [(f, g, c) for f, g in PAIRS for c in cases(g)]
IDS = [c.key for _, _, c in ALL]


def numeric(forward, case: Case) -> list[np.ndarray]:
    """Gradients of the first four inputs by differences of the forward op's reference."""
    inputs = [np.array(x, np.float64) for x in case.inputs[:5]]
    seeds = case.inputs[5 + 3 :]

    def loss(arrays: list[np.ndarray]) -> float:
        got = forward.reference(*arrays)
        return sum(float((np.asarray(a) * s).sum()) for a, s in zip(got, seeds) if s.ndim > 1)

    made = []
    for k in range(4):
        g = np.zeros_like(inputs[k])
        for at in np.ndindex(g.shape):
            moved = [x.copy() for x in inputs]
            moved[k][at] += 1e-6
            up = loss(moved)
            moved[k][at] -= 2e-6
            g[at] = (up - loss(moved)) / 2e-6
        made.append(g)
    return made


@pytest.mark.parametrize(("forward", "gradient", "case"), ALL, ids=IDS)
def test_gradients_are_those_by_differences(forward, gradient, case):
    checks.check_dtypes(gradient, case)
    wide = next(c for c in cases(gradient) if c.key == f"{case.key.rpartition('/')[0]}/float64")
    # halves were rounded before, so that only their own error counts
    slack = 1e4 if case.dtype is dt.float64 else 4
    for i, (got, want) in enumerate(zip(checks.eager(gradient, case), numeric(forward, wide))):
        checks.close(got, want, case.dtype.name, f"{case.key} output {i}", slack)


@pytest.mark.parametrize(("forward", "gradient", "case"), ALL, ids=IDS)
def test_graph_and_device(forward, gradient, case):
    checks.check_graph(gradient, case)
    if case.dtype in dt.HALVES:
        return
    got = strict_device.run(gradient, case.inputs, case.attrs)
    for i, (a, b) in enumerate(zip(got, checks.eager(gradient, case))):
        checks.close(a, b, b.dtype.name, f"{case.key} output {i} on a device", slack=10)


@pytest.mark.parametrize("forward", [lstm_sequence, gru_sequence])
@pytest.mark.parametrize("known", [True, False])
def test_second_derivatives_in_a_graph_equal_eager_ones(forward, known):
    case = next(c for c in cases(forward) if c.key.endswith("1/float64"))  # with a mask

    def second(tensors: list) -> list:
        inner_of = tensors[:4]
        with tf.GradientTape() as outer:
            for t in inner_of:
                outer.watch(t)
            with tf.GradientTape() as inner:
                for t in inner_of:
                    inner.watch(t)
                y = tf.reduce_sum(forward(*tensors)[1] ** 2)
            total = tf.add_n([tf.reduce_sum(g**3) for g in inner.gradient(y, inner_of)])
        return outer.gradient(total, inner_of)

    want = second([tf.constant(x) for x in case.inputs])
    graph = Graph()
    with building(graph):
        feeds = [placeholder(dt.float64, x.shape if known else (None,) * x.ndim)
                 for x in case.inputs]  # fmt: skip
        got = second(feeds)
    for a, b in zip(Plan(graph, feeds, got).run(list(case.inputs)), want):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("forward", [lstm_sequence, gru_sequence])
def test_columns_that_do_not_fit_are_refused(forward):
    inputs = list(cases(forward)[0].inputs)
    inputs[0] = inputs[0][..., :-1]
    with pytest.raises(tf.errors.InvalidArgumentError, match="gates of 2 units need"):
        forward(*inputs)


def test_no_steps_hand_on_the_first_state():
    h, c = np.ones((2, 3), np.float32), np.full((2, 3), 2, np.float32)
    nothing = np.zeros(0, np.float32)
    x, w = np.zeros((0, 2, 12), np.float32), np.zeros((3, 12), np.float32)
    with tf.GradientTape() as tape:
        tensors = [tf.constant(t) for t in (x, w, h, c)]
        for t in tensors:
            tape.watch(t)
        outputs, last, memory, _, _ = lstm_sequence(*tensors, nothing)
        total = tf.reduce_sum(last) + tf.reduce_sum(memory)
    assert outputs.shape == (0, 2, 3)
    np.testing.assert_array_equal(last, h)
    np.testing.assert_array_equal(memory, c)
    grads = tape.gradient(total, tensors)
    np.testing.assert_array_equal(grads[1], np.zeros((3, 12)))
    np.testing.assert_array_equal(grads[2], np.ones((2, 3)))

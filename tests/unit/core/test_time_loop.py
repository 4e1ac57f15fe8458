"""A loop over steps as one node: values, gradients, no steps at all, wrong states."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.graph.time_loop import time_loop


def rows(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def step(inputs, states):
    h = tf.tanh(inputs[0] + states[0])
    return [h * 2.0, inputs[1] + 1], [h, states[1] + 1]


def by_hand(x, k, h, backwards=False):
    outs, numbers, count = [], [], 0
    order = range(len(x) - 1, -1, -1) if backwards else range(len(x))
    for t in order:
        h = np.tanh(x[t] + h)
        outs.append(2 * h)
        numbers.append(k[t] + 1)
        count += 1
    return np.stack(outs), np.stack(numbers), h, count


@pytest.mark.parametrize("backwards", [False, True])
def test_outputs_and_states(backwards):
    x, k, h = rows(5, 2, 3), np.arange(5), rows(2, 3, seed=1)

    @tf.function(input_signature=[tf.TensorSpec((None, 2, 3)), tf.TensorSpec((None,), tf.int64)])
    def run(x, k):
        outputs, states = time_loop(step, [x, k], [tf.constant(h), tf.constant(0)], backwards)
        assert outputs[0].shape.as_list() == [None, 2, 3]
        return [*outputs, *states]

    for got, wanted in zip(run(x, k), by_hand(x, k, h, backwards)):
        np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_no_step_hands_the_states_on():
    h = rows(2, 3)

    @tf.function
    def run(x, k):
        outputs, states = time_loop(step, [x, k], [tf.constant(h), tf.constant(0)])
        return [*outputs, *states]

    outs, numbers, state, count = run(tf.zeros([0, 2, 3]), tf.zeros([0], tf.int64))
    assert outs.shape == (0, 2, 3) and numbers.shape == (0,) and int(count) == 0
    np.testing.assert_array_equal(state, h)


@pytest.mark.parametrize("backwards", [False, True])
def test_gradients_equal_those_of_the_steps_written_out(backwards):
    weight, scale = tf.Variable(rows(3, 3)), tf.Variable(0.5)
    x, h = tf.constant(rows(4, 2, 3, seed=2)), tf.constant(rows(2, 3, seed=3))

    def one(inputs, states):
        new = tf.tanh(tf.matmul(states[0], weight) + inputs[0] * scale)
        return [new * inputs[0]], [new]

    def written_out(x, h):
        outs = []
        for t in range(3, -1, -1) if backwards else range(4):
            out, (h,) = one([x[t]], [h])
            outs.append(out[0])
        return tf.stack(outs), h

    @tf.function
    def looped(x, h):
        outputs, states = time_loop(one, [x], [h], backwards)
        return outputs[0], states[0]

    found = []
    for run in (written_out, looped):
        with tf.GradientTape() as tape:
            tape.watch([x, h])
            outs, last = run(x, h)
            loss = tf.reduce_sum(outs * outs) + 3.0 * tf.reduce_sum(last)
        found.append(tape.gradient(loss, [x, h, weight, scale]))
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_random_steps_keep_what_was_drawn_for_the_gradient():
    x = tf.constant(np.ones((6, 4), np.float32))

    @tf.function
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs, _ = time_loop(
                lambda i, s: ([tf.nn.dropout(i[0], 0.5)], [s[0]]), [x], [tf.constant(0.0)]
            )
            total = tf.reduce_sum(outputs[0])
        return outputs[0], tape.gradient(total, x)

    y, g = run(x)
    np.testing.assert_array_equal(y, g)
    assert 0 < np.count_nonzero(y) < 24


def test_states_must_keep_their_type_and_number():
    def traced(one):
        return tf.function(lambda x: time_loop(one, [x], [tf.constant(0.0)])[1][0])

    with pytest.raises(TypeError, match="state 0 is float32, a step returns int32"):
        traced(lambda i, s: ([i[0]], [tf.constant(1)]))(tf.zeros([3]))
    with pytest.raises(ValueError, match="got 1 states and returned 2"):
        traced(lambda i, s: ([i[0]], [s[0], s[0]]))(tf.zeros([3]))


def test_gradients_of_unknown_batches_run_after_run():
    """States that broadcast against each other: sizes are known at run time only."""

    def step(inputs, states):
        h, c = states
        c = c * tf.sigmoid(inputs[0]) + tf.tanh(inputs[0])
        return [h], [tf.tanh(c) * h + c, c]

    def gradients(x, h):
        with tf.GradientTape() as tape:
            tape.watch([x, h])
            outputs, states = time_loop(step, [x], [h, h * 0.5])
            total = tf.reduce_sum(outputs[0] ** 2) + tf.reduce_sum(states[0])
        return tape.gradient(total, [x, h])

    def eagerly(x, h):
        with tf.GradientTape() as tape:
            tape.watch([x, h])
            states, total = [h, h * 0.5], 0.0
            for row in tf.unstack(x):
                outputs, states = step([row], states)
                total += tf.reduce_sum(outputs[0] ** 2)
            total += tf.reduce_sum(states[0])
        return tape.gradient(total, [x, h])

    run = tf.function(
        gradients,
        input_signature=[tf.TensorSpec((None, None, 40)), tf.TensorSpec((None, 40))],
    )
    rng = np.random.default_rng(0)
    for _ in range(4):
        x, h = (tf.constant(rng.normal(size=s).astype(np.float32)) for s in ((5, 16, 40), (16, 40)))
        for got, want in zip(run(x, h), eagerly(x, h)):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)

"""Programs put together at random give the same eagerly and as specialised plans.

They mix views, elementwise chains, products, gradients, branches and several writes to the same
Variables: what decides which memory of a plan may be used again.
"""

import random

import numpy as np
import pytest

import shardtape as tf

ROWS, COLUMNS = 24, 30  # large enough for buffers that a plan owns
RUNS = 6

BINARY = [tf.add, tf.subtract, tf.multiply, tf.maximum, tf.minimum]
UNARY = [tf.sin, tf.tanh, tf.nn.relu, tf.abs, tf.negative, tf.nn.sigmoid, tf.square]
VIEWS = [
    lambda a: tf.reshape(tf.transpose(a), (ROWS, COLUMNS)),
    lambda a: tf.reshape(tf.reshape(a, (COLUMNS, ROWS)), (ROWS, COLUMNS)),
    lambda a: tf.transpose(tf.reshape(a, (COLUMNS, ROWS))),
    lambda a: tf.squeeze(tf.expand_dims(a, 0), 0),
    lambda a: tf.reverse(a, [0]),
    lambda a: a[::-1],
    lambda a: tf.roll(a, 1, 0),
    tf.identity,
]


def branch(choice, a, b, variable):
    writes = choice.random() < 0.5

    def high():
        if writes:
            variable.assign(a)
        return tf.tanh(b)

    def low():
        if writes:
            variable.assign_add(0.1 * tf.tanh(b))
        return tf.sin(b)

    return tf.cond(tf.reduce_sum(a) > 0.37, high, low)  # no sum lies there by construction


def write(choice, a, b, variable):
    how = choice.randrange(4)
    if how == 0:
        variable.assign_add(0.1 * tf.tanh(a))
    elif how == 1:
        variable.assign_sub(0.1 * tf.tanh(a))
    elif how == 2:
        variable.assign(tf.tanh(a))
    else:
        variable.assign(0.9 * variable + 0.1 * tf.tanh(b))
    return variable.read_value() if choice.random() < 0.6 else variable + 0.0


def derivative(a, b):
    with tf.GradientTape() as tape:
        tape.watch(a)
        z = tf.reduce_sum(tf.sin(a) * tf.tanh(b) * a)
    return tape.gradient(z, a)


def step(choice, a, b, variables):
    kind = choice.random()
    if kind < 0.25:
        return choice.choice(BINARY)(a, b)
    if kind < 0.40:
        return choice.choice(UNARY)(a)
    if kind < 0.52:
        return choice.choice(VIEWS)(a)
    if kind < 0.60:
        return tf.concat([a[: ROWS // 2], b[ROWS // 2 :]], 0)
    if kind < 0.66:
        first, second = tf.split(a, 2, 0)
        return tf.concat([second, first * 2.0], 0)
    if kind < 0.72:
        return tf.tanh(tf.matmul(a, b, transpose_b=True)) @ b * 0.01
    if kind < 0.77:
        return a - tf.reduce_mean(a, choice.choice([0, 1]), keepdims=True)
    if kind < 0.91:
        return write(choice, a, b, choice.choice(variables))
    if kind < 0.95:
        return branch(choice, a, b, choice.choice(variables))
    return derivative(a, b)


def program(seed, x, variables):
    choice = random.Random(seed)
    pool = [x, x * 0.5, *[v.read_value() for v in variables]]
    outputs = []
    for _ in range(choice.randint(8, 26)):
        a, b = (choice.choice(pool[-8:] if choice.random() < 0.7 else pool) for _ in range(2))
        y = step(choice, a, b, variables)
        pool.append(tf.tanh(y) if choice.random() < 0.5 else y)
        if choice.random() < 0.25:
            outputs.append(pool[-1])
    return [*outputs, pool[-1]]


def results(seed, compiled):
    """Copies of all outputs and Variables after each run; the outputs themselves."""
    rng = np.random.default_rng(seed)
    variables = [tf.Variable(rng.normal(size=(ROWS, COLUMNS)).astype("f4")) for _ in range(3)]

    def run(x):
        return program(seed, x, variables)

    if compiled:
        run = tf.function(run, autograph=False)
    copies, given = [], []
    for _ in range(RUNS):
        got = run(tf.constant(rng.normal(size=(ROWS, COLUMNS)).astype("f4")))
        given.append(got)
        copies.append([t.numpy().copy() for t in (*got, *variables)])
    return copies, given


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_a_plan_gives_what_eager_execution_gives(first):
    for seed in range(first, first + 20):
        wanted, _ = results(seed, compiled=False)
        found, given = results(seed, compiled=True)
        for run, (a, b) in enumerate(zip(wanted, found)):
            for x, y in zip(a, b):
                np.testing.assert_allclose(y, x, rtol=2e-3, atol=2e-3, err_msg=f"{seed}, run {run}")
        for tensors, copies in zip(given, found):
            for t, copy in zip(tensors, copies):
                np.testing.assert_array_equal(t.numpy(), copy, f"{seed}: an output was changed")

"""Specialised plans compute in memory that they use again: what outlives a run must not lie in it.

Every program runs ten times, eagerly and as a traced function, on arrays that are large enough
for owned buffers; a plan is specialised after the first few runs.
"""

import numpy as np
import pytest

import shardtape as tf

SIZE = 600
RUNS = 10


def ramp(scale):
    return tf.Variable(tf.linspace(0.1 * scale, 1.0 * scale, SIZE))


def gradient(loss, variables):
    with tf.GradientTape() as tape:
        value = loss()
    return value, tape.gradient(value, variables)


def clip_after_update(x, v, w):
    y, d = gradient(lambda: tf.reduce_sum(v * v * x), v)
    v.assign_sub(0.01 * d)
    v.assign(tf.maximum(v, 0.0))
    return y


def assign_from_another(x, v, w):
    v.assign(w)
    w.assign(v + x)
    return v + w


def swap(x, v, w):
    kept = v.read_value()
    v.assign(w)
    w.assign(kept)
    return v - w


def moving_average(x, v, w):
    y, (a, b) = gradient(lambda: tf.reduce_sum(tf.sin(v) * w * x), [v, w])
    v.assign_sub(0.1 * a)
    w.assign(0.9 * w + 0.1 * v + 0.0 * b)
    return y, w


def momentum_and_centre(x, v, w):
    y, d = gradient(lambda: tf.reduce_sum(tf.square(v - x)), v)
    w.assign(0.9 * w + 0.1 * d)
    v.assign_sub(0.01 * w)
    v.assign(v - tf.reduce_mean(v))
    w.assign(w * 0.5)
    return y


def crossed_where(x, v, w):
    v.assign(tf.where(x > 0, v, w))
    w.assign(tf.where(x > 0, w, v))
    return v, w


def through_views(x, v, w):
    v.assign(tf.reshape(tf.transpose(tf.reshape(v * 1.1, (20, 30))), [SIZE]))
    w.assign(tf.reshape(tf.reshape(w + v, (30, 20)), [SIZE]))
    return v - w


def values_of_outside_in_a_branch(x, v, w):
    y = x * 2.0 + v
    if tf.reduce_sum(x) > -1e9:
        v.assign(y)
    z = y * 3.0 - w
    w.assign_add(0.1 * z)
    return v, z


def values_of_outside_in_a_loop(x, v, w):
    y = x * 2.0
    for _ in tf.range(3):
        w.assign(y)
        y = y + v
        v.assign(w * 0.5)
    return y, v * 1.0


def members_of_a_list(x, v, w):
    made = tf.TensorArray(tf.float32, size=4)
    for i in tf.range(4):
        y = x * tf.cast(i + 1, tf.float32) + v
        made = made.write(i, y)
        v.assign(0.9 * v + 0.01 * y)
    return made.stack(), tf.reduce_sum(made.read(1))


def members_without_a_loop(x, v, w):
    made = tf.TensorArray(tf.float32, size=3, clear_after_read=False)
    for i in range(3):
        made = made.write(i, tf.exp(-x * x) + float(i))
        w.assign_add(tf.tanh(x) * 0.1)
    return made.stack(), made.concat(), w + 0.0


def assigned_and_returned(x, v, w):
    y = tf.exp(x) * v
    v.assign(y)
    w.assign_add(y)
    return y, w - v


PROGRAMS = [
    clip_after_update, assign_from_another, swap, moving_average, momentum_and_centre,
    crossed_where, through_views, values_of_outside_in_a_branch, values_of_outside_in_a_loop,
    members_of_a_list, members_without_a_loop, assigned_and_returned,
]  # fmt: skip


def outputs(program, compiled):
    v, w = ramp(1.0), ramp(2.0)
    run = tf.function(program) if compiled else tf.autograph.experimental.do_not_convert(program)
    found = []
    for i in range(RUNS):
        x = tf.constant(np.linspace(-1, 1, SIZE, dtype="float32") * (1 + 0.1 * i))
        got = tf.nest.flatten(run(x, v, w))
        found.append([np.array(t) for t in (*got, v, w)])
    return found


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.__name__)
def test_a_plan_gives_what_eager_execution_gives(program):
    for i, (wanted, got) in enumerate(zip(outputs(program, False), outputs(program, True))):
        for a, b in zip(wanted, got):
            np.testing.assert_allclose(b, a, rtol=2e-5, atol=1e-6, err_msg=f"run {i}")


def test_the_weighted_copy_of_a_network_in_a_train_step():
    """Losses of the same program in TensorFlow 2.15, to six digits."""
    v, w = tf.Variable(tf.ones(SIZE)), tf.Variable(2.0 * tf.ones(SIZE))

    @tf.function
    def step(x):
        v.assign(w)
        w.assign(v + x)
        return tf.reduce_mean(v), tf.reduce_mean(w)

    means = [tuple(float(m) for m in step(tf.ones(SIZE))) for _ in range(8)]
    assert means == [(2.0 + i, 3.0 + i) for i in range(8)]


def test_what_a_python_function_keeps_stays_as_it_was():
    kept = []

    def keep(t):
        kept.append(t)
        return t

    @tf.function
    def run(x):
        y = tf.py_function(keep, [tf.exp(x) * 2.0], tf.float32)
        return tf.reduce_sum(tf.sin(y) + tf.cos(x))

    given = [tf.constant(np.full(SIZE, float(i), "float32")) for i in range(RUNS)]
    for x in given:
        run(x)
    for x, y in zip(given, kept):
        np.testing.assert_allclose(y, 2.0 * np.exp(x.numpy()), rtol=1e-6)


VIEWS = {
    "concat of one": lambda y: tf.concat([y], 0),
    "reshape": lambda y: tf.reshape(y, (20, 30)),
    "expand and squeeze": lambda y: tf.squeeze(tf.expand_dims(y, 0), 0),
    "transpose": lambda y: tf.transpose(tf.reshape(y, (20, 30))),
    "reverse": lambda y: tf.reverse(y, [0]),
    "slice": lambda y: y[::-1][3:],
    "roll": lambda y: tf.roll(y, 0, 0),
    "identity": tf.identity,
    "pad by nothing": lambda y: tf.pad(y, [[0, 0]]),
    "tile once": lambda y: tf.tile(y, [1]),
    "broadcast to itself": lambda y: tf.broadcast_to(y, (SIZE,)),
    "cast to its own type": lambda y: tf.cast(y, tf.float32),
    "stack of one": lambda y: tf.stack([y]),
    "split": lambda y: tf.split(y, 2),
    "unstack": lambda y: tf.unstack(tf.reshape(y, (2, SIZE // 2))),
    "gather": lambda y: tf.gather(y, tf.range(SIZE)),
    "where": lambda y: tf.where(tf.ones(SIZE, tf.bool), y, y),
    "band part": lambda y: tf.linalg.band_part(tf.reshape(y, (20, 30)), -1, -1),
    "diagonal part": lambda y: tf.linalg.diag_part(tf.reshape(y[:576], (24, 24))),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_views_of_what_a_plan_computes_are_given_out_as_copies(view):
    @tf.function
    def run(x):
        y = tf.exp(x) * 2.0
        return tf.nest.flatten(view(y)), tf.nest.flatten(view(y + 1.0))

    x = tf.constant(np.linspace(-1, 1, SIZE, dtype="float32"))
    found = [tf.nest.flatten(run(x * float(i))) for i in range(RUNS)]
    for i, got in enumerate(found):
        y = tf.exp(x * float(i)) * 2.0
        wanted = [*tf.nest.flatten(view(y)), *tf.nest.flatten(view(y + 1.0))]
        for a, b in zip(wanted, got):
            np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-6, err_msg=f"run {i}")


def test_a_tensor_that_was_returned_is_not_written_by_later_runs():
    v = ramp(1.0)

    @tf.function
    def run(x):
        y = x * v
        v.assign(y + 1.0)
        return y, v.read_value()

    x = tf.constant(np.linspace(0, 1, SIZE, dtype="float32"))
    found = [run(x) for _ in range(RUNS)]
    copies = [[t.numpy().copy() for t in pair] for pair in found]
    for _ in range(3):
        run(x)
    for pair, copy in zip(found, copies):
        for t, array in zip(pair, copy):
            np.testing.assert_array_equal(t.numpy(), array)
        np.testing.assert_allclose(pair[1], pair[0] + 1.0)

"""cond and while_loop: Python eagerly, nodes with gradients in functions."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.graph.control_flow import case, cond, switch_case, while_loop


def both(function):
    return [function, tf.function(function)]


def test_cond_takes_one_branch_and_its_gradient():
    v = tf.Variable(3.0)

    def f(x):
        return cond(x > 0.0, lambda: x * x * v, lambda: -x)

    for g in both(f):
        for value, want, dx, dv in ((2.0, 12.0, 12.0, 4.0), (-2.0, 2.0, -1.0, None)):
            x = tf.constant(value)
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(x)
                y = g(x)
            assert y.numpy() == want
            assert tape.gradient(y, x).numpy() == dx
            got = tape.gradient(y, v)
            assert (0.0 if got is None else got.numpy()) == (dv or 0.0)


def test_branches_have_one_structure():
    @tf.function
    def f(x):
        return cond(x > 0.0, lambda: {"a": x}, lambda: x)

    with pytest.raises(TypeError, match="branches"):
        f(tf.constant(1.0))

    @tf.function
    def g(x):
        return cond(x > 0.0, lambda: x, lambda: tf.constant(1))

    with pytest.raises(TypeError, match="float32 and int32"):
        g(tf.constant(1.0))


def test_effects_of_the_branch_that_ran_only():
    v = tf.Variable(0.0)

    @tf.function
    def f(x):
        cond(x > 0.0, lambda: v.assign_add(x), lambda: v.assign_sub(10.0))
        return v.read_value()

    assert f(tf.constant(2.0)).numpy() == 2.0
    assert f(tf.constant(-1.0)).numpy() == -8.0


def test_switch_case_and_case():
    for f in both(lambda i: switch_case(i, [lambda: tf.constant(10), lambda: tf.constant(20)])):
        assert [f(tf.constant(i)).numpy() for i in (0, 1, 7)] == [10, 20, 20]
    for f in both(
        lambda x: case(
            [(x > 2.0, lambda: x * 100.0), (x > 1.0, lambda: x * 10.0)], default=lambda: x
        )
    ):
        assert [f(tf.constant(v)).numpy() for v in (3.0, 1.5, 0.5)] == [300.0, 15.0, 0.5]


def test_while_loop_counts():
    def f(n):
        return while_loop(lambda i, s: i < n, lambda i, s: (i + 1, s + i), (0, 0))

    for g in both(f):
        i, s = g(tf.constant(5))
        assert (int(i), int(s)) == (5, 10)


def test_gradients_of_a_loop_by_hand():
    w = tf.Variable(1.5)

    def power(x, n):
        _, y = while_loop(lambda i, y: i < n, lambda i, y: (i + 1, y * w + x), (tf.constant(0), x))
        return y

    for f in both(power):
        x = tf.constant(2.0)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x, tf.constant(3))
        # y = x (w^3 + w^2 + w + 1)
        dx, dw = tape.gradient(y, [x, w])
        assert y.numpy() == pytest.approx(2 * (1.5**3 + 1.5**2 + 1.5 + 1))
        assert dx.numpy() == pytest.approx(1.5**3 + 1.5**2 + 1.5 + 1)
        assert dw.numpy() == pytest.approx(2 * (3 * 1.5**2 + 2 * 1.5 + 1))


def test_shapes_may_grow_and_iterations_may_be_limited():
    @tf.function
    def f():
        return while_loop(
            lambda x: tf.shape(x)[0] < 100, lambda x: tf.concat([x, x], 0), [tf.constant([1.0])],
            shape_invariants=[tf.TensorShape([None])], maximum_iterations=3,
        )  # fmt: skip

    assert f()[0].shape == (8,)


def test_a_loop_in_a_branch_in_a_loop():
    def f(x):
        def inner(y):
            return while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, y * y), (0, y))[1]

        def body(i, y):
            return i + 1, cond(y < 10.0, lambda: inner(y), lambda: y + 1.0)

        return while_loop(lambda i, y: i < 2, body, (0, x))[1]

    for g in both(f):
        x = tf.constant(2.0)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = g(x)
        assert y.numpy() == 17.0
        assert tape.gradient(y, x).numpy() == pytest.approx(4 * 2.0**3)


def test_a_loop_over_an_array_in_a_specialised_plan():
    @tf.function
    def f(x):
        return while_loop(
            lambda i, s: i < tf.shape(x)[0], lambda i, s: (i + 1, s + x[i]), (0, tf.zeros([2]))
        )[1]

    for _ in range(5):
        got = f(tf.constant(np.arange(6.0, dtype=np.float32).reshape(3, 2)))
        np.testing.assert_array_equal(got.numpy(), [6.0, 9.0])


def test_branches_may_give_none():
    @tf.function
    def f(x):
        return cond(x > 0.0, lambda: (x, None), lambda: (-x, None))

    value, nothing = f(tf.constant(-2.0))
    assert value.numpy() == 2.0 and nothing is None


def test_branches_of_operations_give_the_predicate(capsys):
    total = tf.Variable(0.0)

    @tf.function
    def chosen(x):
        first = tf.cond(x > 0.0, tf.no_op, lambda: tf.group(total.assign(3.0)))
        second = tf.case([(x > 0.0, lambda: tf.print("up"))], default=tf.no_op)
        third = tf.switch_case(tf.cast(x > 0.0, tf.int32), [tf.no_op, tf.no_op])
        return first, second, third

    up = chosen(tf.constant(1.0))
    assert [t.numpy() for t in up] == [True, True, 1] and total.numpy() == 0.0
    assert capsys.readouterr().err == "up\n"
    down = chosen(tf.constant(-1.0))
    assert [t.numpy() for t in down] == [False, False, 0] and total.numpy() == 3.0


@pytest.mark.parametrize("graph", [False, True])
def test_a_case_without_a_true_predicate_and_a_default(graph):
    def chosen(x):
        pairs = [(x > 5, lambda: tf.constant(1)), (x > 2, lambda: tf.constant(2))]
        return tf.case(pairs)

    run = tf.function(chosen) if graph else chosen
    assert [int(run(tf.constant(x))) for x in (9, 3)] == [1, 2]
    with pytest.raises(tf.errors.InvalidArgumentError, match="None of the conditions"):
        run(tf.constant(0))

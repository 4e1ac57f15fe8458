"""Handlers that name their exception, nested targets, `return` in loops; results of TensorFlow."""

import pytest

import shardtape as tf


def test_a_handler_may_name_the_exception():
    @tf.function
    def f(x):
        d = {}
        try:
            d["k"], (a, *b) = x, (x, x + 1, x + 2)
            if x > 0:
                a = a + 1
        except (KeyError, ValueError) as e:
            print(e)
            a, b = x, [x]
        (p, q), [r, s] = (1, 2), [3, 4]
        return a + b[0] + p + q + r + s

    assert int(f(tf.constant(1))) == 14
    assert int(f(tf.constant(-1))) == 9  # -1, then b[0] == 0: the branch is one of the graph


def test_a_named_exception_can_be_read_and_raised():
    @tf.function
    def f(x):
        try:
            raise KeyError("kk")
        except KeyError as error:
            if x > 0:
                x = x + len(str(error))
        return x

    assert int(f(tf.constant(1))) == 5
    assert int(f(tf.constant(0))) == 0

    @tf.function
    def g(x):
        try:
            if x > 0:
                raise KeyError("inner")
        except KeyError as error:
            raise RuntimeError("outer") from error
        return x

    with pytest.raises(RuntimeError, match="outer"):
        g(tf.constant(1))


def test_a_loop_in_a_handler_is_one_of_the_graph():
    @tf.function
    def f(x):
        for (k, (v, w)), z in [((1, (2, 3)), 4)]:
            try:
                (x, (y, u)) = x + 1, (x, x)
                while x < 10:
                    (x, (y, u)) = x + k, (x, x + v)
            except Exception as error:
                raise error
            else:
                x = x + w + z
        return x + y + u

    assert int(f(tf.constant(1))) == 17 + 9 + 11


def test_a_return_in_a_loop_of_the_graph_is_refused():
    @tf.function
    def f(x):
        for i in tf.range(3):
            if x > 0:
                return i
        return -1

    with pytest.raises(NotImplementedError, match="a return statement cannot be placed inside"):
        f(tf.constant(1))

    @tf.function
    def g(x):
        while x < 3:
            x = x + 1
            if x > 2:
                return
        return

    with pytest.raises(NotImplementedError, match="a return statement cannot be placed inside"):
        g(tf.constant(1))

    @tf.function
    def never(x):
        for i in tf.range(3):
            if False:
                return i
        return x

    with pytest.raises(ValueError, match="the return value from a TensorFlow loop may only be"):
        never(tf.constant(1))


def test_a_return_that_each_turn_comes_to_is_one_of_the_first_turn():
    @tf.function
    def f(x):
        for _ in tf.range(3):
            return x
        return x

    assert int(f(tf.constant(7))) == 7

    @tf.function
    def g(x):
        while x < 10:
            x = x + 1
            return x
        return x

    assert int(g(tf.constant(1))) == 2

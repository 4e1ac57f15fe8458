"""tf.custom_gradient, tf.grad_pass_through, tf.recompute_grad; values by hand or TensorFlow's."""

import numpy as np
import pytest

import shardtape as tf


@tf.custom_gradient
def log1pexp(x):
    e = tf.exp(x)

    def grad(upstream):
        return upstream * (1 - 1 / (1 + e))

    return tf.math.log(1 + e), grad


def slopes(function, x):
    """First and second derivative."""
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = function(x)
        first = inner.gradient(y, x)
    return first, outer.gradient(first, x)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_stable_gradient_where_the_chain_rule_has_none():
    x = tf.constant(100.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = log1pexp(x)
    assert tape.gradient(y, x).numpy() == 1.0


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "function"])
def test_second_derivative_goes_through_the_gradient_function(wrap):
    x = tf.constant([1.0, 2.0])
    first, second = slopes(wrap(log1pexp), x)
    s = sigmoid(np.array([1.0, 2.0]))
    np.testing.assert_allclose(first, s, rtol=1e-6)
    np.testing.assert_allclose(second, s * (1 - s), rtol=1e-5)


def test_a_function_in_a_function_keeps_its_gradient():
    inner = tf.function(log1pexp)
    first, second = tf.function(lambda x: slopes(lambda v: inner(v * v), x))(
        tf.constant([1.0, 2.0])
    )
    np.testing.assert_allclose(first, [1.4621172, 3.928055], rtol=1e-6)
    np.testing.assert_allclose(second, [2.248565, 2.246631], rtol=1e-6)


def test_the_upstream_gradient_can_be_clipped():
    @tf.custom_gradient
    def clip(x):
        return tf.identity(x), lambda dy: tf.clip_by_norm(dy, 0.5)

    v = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = clip(v * v)
    assert tape.gradient(y, v).numpy() == 2.0


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "function"])
def test_variables_that_the_function_reads(wrap):
    v, w = tf.Variable(2.0), tf.Variable(3.0)

    @tf.custom_gradient
    def scaled(x):
        def grad(dy, variables=None):
            assert [u.ref() for u in variables] == [w.ref()]
            return dy * 7.0, [dy * 11.0]

        return x * w, grad

    with tf.GradientTape() as tape:
        y = wrap(lambda x: scaled(x))(v)
    assert y.numpy() == 6.0
    assert [g.numpy() for g in tape.gradient(y, [v, w])] == [7.0, 11.0]


def test_a_gradient_function_that_forgets_the_variables():
    w = tf.Variable(3.0)
    forgetful = tf.custom_gradient(lambda x: (x * w, lambda dy: dy))
    with pytest.raises(TypeError, match="must accept keyword argument 'variables'"):
        forgetful(tf.constant(1.0))


def test_several_arguments_and_results():
    v, w = tf.Variable(2.0), tf.Variable(3.0)

    @tf.custom_gradient
    def both(x, y):
        return [x + y, x * y], lambda dx, dy: (dx * 2.0, dy * 3.0)

    with tf.GradientTape(persistent=True) as tape:
        total, product = both(v, w)
    assert (total.numpy(), product.numpy()) == (5.0, 6.0)
    assert [g.numpy() for g in tape.gradient(total, [v, w])] == [2.0, 0.0]
    assert [g.numpy() for g in tape.gradient([total, product], [v, w])] == [2.0, 3.0]


def test_a_wrong_number_of_gradients():
    v = tf.Variable(2.0)
    wrong = tf.custom_gradient(lambda x, y: (x + y, lambda dy: dy))
    with tf.GradientTape() as tape:
        y = wrong(v, v)
    with pytest.raises(ValueError, match="expected to return 2 gradients, but returned 1"):
        tape.gradient(y, v)


def test_a_method():
    class Doubling:
        @tf.custom_gradient
        def twice(self, x):
            return x * 2.0, lambda dy: dy * 100.0

    v = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = Doubling().twice(v)
    assert tape.gradient(y, v).numpy() == 100.0


def test_grad_pass_through():
    v = tf.Variable(2.6)
    rounded = tf.grad_pass_through(tf.round)
    with tf.GradientTape() as tape:
        y = rounded(v) * 5.0
    assert y.numpy() == 15.0
    assert tape.gradient(y, v).numpy() == 5.0


def test_recompute_grad_runs_the_function_again():
    v, w, runs = tf.Variable(2.0), tf.Variable(3.0), []

    @tf.recompute_grad
    def wave(x):
        runs.append(None)
        return tf.sin(x) * w

    with tf.GradientTape() as tape:
        y = wave(v)
    assert len(runs) == 1
    by_v, by_w = tape.gradient(y, [v, w])
    assert len(runs) == 2
    np.testing.assert_allclose([by_v, by_w], [3 * np.cos(2), np.sin(2)], rtol=1e-6)

"""tf.gradients and tf.hessians in functions and graphs."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.graph.plan import Plan

X = tf.constant([3.0, 4.0])


def numbers(structure):
    return tf.nest.map_structure(lambda t: None if t is None else t.numpy().tolist(), structure)


def test_tensors_variables_and_given_gradients():
    v = tf.Variable([1.0, 2.0])

    @tf.function
    def f(z):
        y = z * z * v
        return (
            tf.gradients(y, [z, v]),
            tf.gradients(y, z, grad_ys=tf.constant([1.0, 10.0])),
            tf.gradients([y, z], [z]),
            tf.gradients(v, v),
        )

    assert numbers(f(X)) == (
        [[6.0, 16.0], [9.0, 16.0]], [[6.0, 160.0]], [[7.0, 17.0]], [[1.0, 1.0]]
    )  # fmt: skip


def test_total_and_partial_derivatives():
    @tf.function
    def f():
        a = tf.constant(0.0)
        b = 2 * a
        return tf.gradients(a + b, [a, b]), tf.gradients(a + b, [a, b], stop_gradients=[a, b])

    assert numbers(f()) == ([3.0, 1.0], [1.0, 1.0])


def test_a_tensor_from_outside_and_what_is_not_connected():
    @tf.function
    def f(zero):
        a, b = tf.ones([1, 2]), tf.ones([3, 1])
        return tf.gradients(X * X, X), tf.gradients([b], [a], unconnected_gradients=zero)

    assert numbers(f("none")) == ([[6.0, 8.0]], [None])
    assert numbers(f("zero")) == ([[6.0, 8.0]], [[[0.0, 0.0]]])


def test_rows_of_a_variable_are_sparse():
    table = tf.Variable(tf.reshape(tf.range(8.0), [4, 2]))

    @tf.function
    def f():
        y = tf.nn.embedding_lookup(table, [1, 3, 1]) ** 2
        [g] = tf.gradients(y, table)
        assert isinstance(g, tf.IndexedSlices)
        return g

    want = [[0.0, 0.0], [8.0, 12.0], [0.0, 0.0], [12.0, 14.0]]
    got = f()
    assert isinstance(got, tf.IndexedSlices)
    assert tf.convert_to_tensor(got).numpy().tolist() == want

    rows = tf.function(lambda: tf.nn.embedding_lookup(table, [1, 3, 1]) ** 2)
    with tf.GradientTape() as tape:
        y = rows()
    assert tf.convert_to_tensor(tape.gradient(y, table)).numpy().tolist() == want


def test_branches_and_loops():
    v = tf.Variable([1.0, 2.0])

    @tf.function
    def f(n, z):
        y = tf.cond(n > 0, lambda: z * v, lambda: z * z)
        i, w = tf.constant(0), z
        while i < 3:
            w = w * z
            i += 1
        return tf.gradients(y, [z, v]), tf.gradients(w, z)

    assert numbers(f(tf.constant(1), X)) == ([[1.0, 2.0], [3.0, 4.0]], [[108.0, 256.0]])
    assert numbers(f(tf.constant(-1), X)) == ([[6.0, 8.0], [0.0, 0.0]], [[108.0, 256.0]])


def test_derivatives_of_derivatives():
    @tf.function
    def twice(z):
        [g] = tf.gradients(tf.sin(z), z)
        return tf.gradients(g, z)[0]

    np.testing.assert_allclose(twice(X), -np.sin([3.0, 4.0]), rtol=1e-6)

    @tf.function
    def by_tape(z):
        with tf.GradientTape() as tape:
            tape.watch(z)
            [g] = tf.gradients(z**3.0, z)
        return tape.gradient(g, z)

    np.testing.assert_allclose(by_tape(X), [18.0, 24.0])


def test_hessians():
    v = tf.Variable([1.0, 2.0])

    @tf.function
    def f(z):
        y = tf.reduce_sum(z**3.0 * v) + z[0] * z[1]
        return tf.hessians(y, [z, v])

    by_z, by_v = f(X)
    np.testing.assert_allclose(by_z, [[18.0, 1.0], [1.0, 48.0]])
    np.testing.assert_allclose(by_v, np.zeros((2, 2)))

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def unknown_size(z):
        return tf.hessians(tf.reduce_sum(z**3.0), z)[0]

    np.testing.assert_allclose(unknown_size(X), [[18.0, 0.0], [0.0, 24.0]])


def test_in_a_graph():
    graph = tf.Graph()
    with graph.as_default():
        a = tf.constant([1.0, 2.0])
        b = tf.square(a) * 3.0
    [g] = tf.gradients(b, a)  # the graph is that of the tensors
    assert g.graph is graph and g.name.startswith("gradients/")
    assert Plan(graph, [], [g]).run([])[0].tolist() == [6.0, 12.0]


def test_errors():
    with pytest.raises(RuntimeError, match="not supported when eager execution is enabled"):
        tf.gradients(X * X, X)
    with tf.Graph().as_default():
        c = tf.constant(1 + 2j)
        with pytest.raises(TypeError, match="must set grad_ys"):
            tf.gradients(c * c, c)
        a, b = tf.constant([1.0]), tf.constant([1.0])
        with pytest.raises(ValueError, match="grad_ys has shape"):
            tf.gradients(a * a, a, grad_ys=[tf.ones([2])])
        with pytest.raises(ValueError, match="has no Hessian"):
            tf.hessians(a, b)

"""Plans: the same results as eager mode, in owned buffers, in several threads."""

import threading

import numpy as np
import pytest

import shardtape as tf
from shardtape.context import building
from shardtape.graph.ir import Graph
from shardtape.graph.placeholders import placeholder
from shardtape.graph.plan import Plan


def mlp(x, w, b, v):
    h = tf.nn.relu(tf.matmul(x, w) + b)
    h = tf.nn.relu(h * 2.0 + h)
    return tf.reduce_mean(tf.square(tf.matmul(h, v)))


def build(rng):
    graph = Graph()
    values = [rng.normal(size=s).astype(np.float32) for s in ((8, 32), (32,), (32, 4))]
    with building(graph), tf.GradientTape() as tape:
        x = placeholder(tf.float32, (None, 8), "x")
        variables = [tf.Variable(v) for v in values]
        loss = mlp(x, *variables)
        grads = tape.gradient(loss, variables)
    return graph, x, loss, grads, values


def eager(values, feed):
    variables = [tf.Variable(v) for v in values]
    with tf.GradientTape() as tape:
        loss = mlp(tf.constant(feed), *variables)
    return [loss.numpy(), *[g.numpy() for g in tape.gradient(loss, variables)]]


def test_interpreted_and_specialised_runs_agree_with_eager_mode():
    rng = np.random.default_rng(0)
    graph, x, loss, grads, values = build(rng)
    plan = Plan(graph, [x], [loss, *grads])
    for batch in [16, 16, 16, 16, 16, 7, 16, 7, 7, 7]:
        feed = rng.normal(size=(batch, 8)).astype(np.float32)
        for got, want in zip(plan.run([feed]), eager(values, feed)):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
    assert len(plan._specialised) == 2


def test_results_are_written_where_asked_and_never_shared_between_runs():
    rng = np.random.default_rng(1)
    graph, x, loss, grads, values = build(rng)
    plan = Plan(graph, [x], [loss, *grads])
    feeds = [rng.normal(size=(16, 8)).astype(np.float32) for _ in range(6)]
    kept = [plan.run([f]) for f in feeds]
    out = [None, *[np.full(v.shape, np.nan, np.float32) for v in values]]
    for f, first in zip(feeds, kept):
        got = plan.run([f], out)
        assert all(g is o for g, o in zip(got[1:], out[1:]))
        for a, b in zip(got, first):
            np.testing.assert_allclose(a, b, rtol=1e-6)
    for f, first in zip(feeds, kept):
        for got, want in zip(first, eager(values, f)):
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_threads_have_buffers_of_their_own():
    rng = np.random.default_rng(2)
    graph, x, loss, grads, values = build(rng)
    plan = Plan(graph, [x], [loss, *grads])
    feeds = [rng.normal(size=(64, 8)).astype(np.float32) for _ in range(4)]
    want = [eager(values, f) for f in feeds]
    for _ in range(4):
        plan.run([feeds[0]])
    wrong = []

    def work(i):
        for _ in range(50):
            for got, expected in zip(plan.run([feeds[i]]), want[i]):
                if not np.allclose(got, expected, rtol=1e-5, atol=1e-6):
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert not wrong


def test_a_fetch_is_a_copy_of_what_it_aliases():
    graph = Graph()
    with building(graph):
        v = tf.Variable(np.zeros((2, 3), np.float32))
        x = placeholder(tf.float32, (2, 3), "x")
        read, flat, kept = v.value(), tf.reshape(x, [6]), tf.identity(x)
    plan = Plan(graph, [x], [read, flat, kept])
    for _ in range(5):
        feed = np.ones((2, 3), np.float32)
        for got in plan.run([feed]):
            got[...] = 9.0
        np.testing.assert_array_equal(feed, 1.0)
        np.testing.assert_array_equal(v._read_array(), 0.0)


def test_errors_name_the_node_and_the_users_line():
    graph = Graph()
    with building(graph):
        x = placeholder(tf.float32, None, "x")
        y = placeholder(tf.float32, None, "y")
        z = tf.add(x, y, name="total")
    plan = Plan(graph, [x, y], [z])
    good = [np.ones(3, np.float32), np.ones(3, np.float32)]
    for _ in range(5):
        plan.run(good)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"(?s)total.*test_plan\.py"):
        plan.run([np.ones(3, np.float32), np.ones(4, np.float32)])
    with pytest.raises(tf.errors.InvalidArgumentError, match="'y'"):
        Plan(graph, [x], [z])


def test_shapes_are_inferred_and_wrong_ones_refused_when_the_graph_is_built():
    graph = Graph()
    with building(graph):
        x = placeholder(tf.float32, (None, 8), "x")
        w = tf.constant(np.ones((7, 3), np.float32))
        with pytest.raises(ValueError, match="MatMul"):
            tf.matmul(x, w)
        y = tf.reshape(x, tf.stack([tf.shape(x)[0], 2, 4]))
    assert y.shape.as_list() == [None, 2, 4]


def test_half_precision_is_computed_in_float32():
    graph = Graph()
    with building(graph):
        x = placeholder(tf.float16, (None,), "x")
        total = tf.reduce_sum(x)
    plan = Plan(graph, [x], [total])
    feed = np.full(4096, 0.1, np.float16)
    for _ in range(5):
        (got,) = plan.run([feed])
        assert got.dtype == np.float16
        assert got == np.float16(np.float32(feed).sum())


def test_results_under_another_name_are_no_buffers_of_the_plan():
    """A sum over no axes, which only sizes at run time tell, is its input under another key."""
    graph = Graph()
    with building(graph), tf.GradientTape() as tape:
        x, y = (placeholder(tf.float32, (None, 40), n) for n in "xy")
        tape.watch([x, y])
        total = tf.reduce_sum(tf.tanh(x * y))
        grads = tape.gradient(total, [x, y])
    plan = Plan(graph, [x, y], grads)
    rng = np.random.default_rng(0)
    feeds = [[rng.normal(size=(16, 40)).astype(np.float32) for _ in "xy"] for _ in range(8)]
    kept = [plan.run(f) for f in feeds]
    for (a, b), got in zip(feeds, kept):  # later runs have not written into earlier results
        slope = 1 - np.tanh(a * b) ** 2
        np.testing.assert_allclose(got[0], slope * b, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(got[1], slope * a, rtol=1e-5, atol=1e-6)

"""Variables as arguments of `tf.function`: inputs of the trace, not captured by identity.

Numbers, counts of traces and classes of errors are those of TensorFlow 2.15 for these programs.
"""

import numpy as np
import pytest
from unit.core.counted_functions import Counted

import shardtape as tf

V = tf.Variable


@pytest.mark.parametrize(
    ("first", "second", "traces"),
    [
        (V(1.0), V(3.0), 1),
        (V([1.0]), V([3.0, 4.0]), 2),
        (V(1.0), V(3), 2),
        (V(1.0), V(3.0, trainable=False), 2),
        (V([1.0, 2.0], shape=[None]), V([1.0, 2.0, 3.0], shape=[None]), 1),
        (V([1.0, 2.0], shape=[None]), V([1.0, 2.0, 3.0]), 1),
        (V("a"), V("b"), 1),
        (V(1.0), tf.constant(3.0), 2),
    ],
)
def test_dtype_shape_and_trainable_decide(first, second, traces):
    f = Counted(lambda v: v + v)
    assert np.all(f(first).numpy() == (first.numpy() + first.numpy()))
    assert np.all(f(second).numpy() == (second.numpy() + second.numpy()))
    assert f.count == traces


def test_the_same_variable_twice_is_another_trace():
    f = Counted(lambda a, b: (a is b, a + b))
    v, w, x = V(1.0), V(2.0), V(5.0)
    got = []
    for a, b in ((v, w), (v, v), (w, w), (x, v)):
        same, total = f(a, b)
        got.append((bool(same), float(total), f.count))
    assert got == [(False, 3.0, 1), (True, 2.0, 2), (True, 4.0, 2), (False, 6.0, 2)]


def test_each_pattern_of_aliases_is_a_trace():
    f = Counted(lambda a, b, c: a + b + c)
    v, w = V(1.0), V(2.0)
    got = [(float(f(*args)), f.count) for args in ((v, w, v), (v, v, w), (w, v, w), (w, v, v))]
    assert got == [(4.0, 1), (4.0, 2), (5.0, 2), (4.0, 3)]


def test_variables_in_nested_arguments_and_keywords():
    f = Counted(lambda d, *, k=None: d["a"][0] * k)
    v = V(3.0)
    assert float(f({"a": [V(2.0)]}, k=v)) == 6.0
    assert float(f({"a": [V(4.0)]}, k=V(5.0))) == 20.0
    assert f.count == 1
    assert float(f({"a": [v]}, k=v)) == 9.0
    assert f.count == 2


def test_variables_of_star_arguments_and_defaults():
    default = V(7.0)
    traces = []

    @tf.function
    def f(*vs, k=default, **rest):
        traces.append(1)
        return sum(v * 1.0 for v in vs) + k + sum(rest.values())

    a, b = V(1.0), V(2.0)
    got = [f(a), f(b), f(a, b), f(b, a, k=V(5.0)), f(a, b, z=V(3.0)), f(b, a, z=V(4.0))]
    assert [float(t) for t in got] == [8.0, 9.0, 10.0, 8.0, 13.0, 14.0]
    assert len(traces) == 3


def test_what_an_assignment_gives_is_the_variable():
    f = Counted(lambda v: v * 2.0)
    v = V(1.0)
    assert [float(f(v)), float(f(v.assign(4.0)))] == [2.0, 8.0]
    assert f.count == 1


def test_the_python_code_gets_the_variable_of_the_call_that_traces():
    seen = []
    outer = V([1.0, 2.0], name="vee")

    @tf.function
    def f(v):
        seen.append((v is outer, isinstance(v, tf.Variable), v.name, v.handle.dtype, repr(v)))
        with pytest.raises(NotImplementedError):
            v.numpy()
        return v

    assert f(outer).numpy().tolist() == [1.0, 2.0]
    text = "<tf.Variable 'vee:0' shape=(2,) dtype=float32>"
    assert seen == [(True, True, "vee:0", tf.resource, text)]


def test_reduce_retracing_widens_shapes():
    f = Counted(tf.reduce_sum, reduce_retracing=True)
    assert [float(f(V([1.0] * n))) for n in (1, 2, 3, 4)] == [1.0, 2.0, 3.0, 4.0]
    assert f.count == 2
    g = Counted(lambda v, w: v + w, reduce_retracing=True)
    v, w = V(1.0), V(2.0)
    assert [float(g(*a)) for a in ((v, w), (v, v), (w, w), (w, v))] == [3.0, 2.0, 4.0, 3.0]
    assert g.count == 2


def test_a_wider_trace_takes_narrower_arguments():
    f = Counted(lambda v: v * 2.0)
    f.traced.get_concrete_function(tf.TensorSpec([None], tf.float32))
    f(tf.ones([3]))
    assert f.count == 1
    f(tf.ones([3, 3]))
    assert f.count == 2


def test_run_eagerly_gives_the_variable_itself():
    seen = []
    v = V(1.0)

    def python(x):
        seen.append(x is v)
        x.assign_add(1.0)
        return x * 2.0

    f = tf.function(python)
    tf.config.run_functions_eagerly(True)
    try:
        assert [float(f(v)), float(f(v))] == [4.0, 6.0]
    finally:
        tf.config.run_functions_eagerly(False)
    assert seen == [True, True]


def test_assignments_reach_the_variable_of_the_call():
    def python(v, d):
        v.assign_add(d)
        v.assign_sub(2.0 * d)
        v.assign(v * 3.0)

    f = Counted(python)
    v, w = V(1.0), V(10.0)
    f(v, tf.constant(1.0))
    f(w, tf.constant(2.0))
    assert (float(v), float(w), f.count) == (0.0, 24.0, 1)


def test_scatters_and_slices():
    def python(v, i):
        v.scatter_add(tf.IndexedSlices(tf.constant([1.0]), i))
        v.scatter_nd_update([[0]], [7.0])
        v[1:2].assign([9.0])
        v.scatter_mul(tf.IndexedSlices(tf.constant([2.0]), i))
        return v.read_value()

    f = Counted(python)
    v, w = V([1.0, 2.0, 3.0]), V([4.0, 5.0, 6.0])
    assert f(v, tf.constant([2])).numpy().tolist() == [7.0, 9.0, 8.0]
    assert f(w, tf.constant([2])).numpy().tolist() == [7.0, 9.0, 14.0]
    assert (v.numpy().tolist(), w.numpy().tolist()) == ([7.0, 9.0, 8.0], [7.0, 9.0, 14.0])
    assert f.count == 1


def test_raw_updates_of_handles_also_in_a_branch():
    @tf.function
    def f(v, p):
        handle = v.handle
        tf.raw_ops.ResourceApplyGradientDescent(var=handle, alpha=0.5, delta=tf.ones([2]))

        def more():
            tf.raw_ops.ResourceApplyGradientDescent(var=handle, alpha=1.0, delta=tf.ones([2]))
            return v.read_value()

        return tf.cond(p, more, lambda: v * 0.0)

    a, b = V([1.0, 2.0]), V([3.0, 4.0])
    assert f(a, tf.constant(True)).numpy().tolist() == [-0.5, 0.5]
    assert f(b, tf.constant(False)).numpy().tolist() == [0.0, 0.0]
    assert (a.numpy().tolist(), b.numpy().tolist()) == ([-0.5, 0.5], [2.5, 3.5])


def test_an_optimizer_updates_what_is_passed():
    optimizer = tf.keras.optimizers.legacy.SGD(0.5)

    @tf.function
    def step(variables, x):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(variables[0] * variables[0] * x)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))
        return loss

    a, b = V([1.0, 2.0]), V([3.0, 4.0])
    assert float(step([a], tf.constant(0.5))) == 2.5
    assert a.numpy().tolist() == [0.5, 1.0]
    assert float(step([b], tf.constant(0.5))) == 12.5
    assert b.numpy().tolist() == [1.5, 2.0]
    assert a.numpy().tolist() == [0.5, 1.0]


def test_control_dependencies():
    @tf.function
    def f(v, w):
        with tf.control_dependencies([v.assign_add(1.0), w.assign(v * 2.0)]):
            return tf.identity(v + w)

    assert [float(f(V(1.0), V(0.0))), float(f(V(5.0), V(0.0)))] == [6.0, 18.0]


def test_reads_and_writes_of_one_that_is_captured_too():
    v = V(3.0)

    @tf.function
    def f(a):
        a.assign(5.0)
        before = v.read_value()
        v.assign(7.0)
        return before, a.read_value()

    assert [float(t) for t in f(v)] == [5.0, 7.0]
    assert float(v) == 7.0


def test_an_argument_is_the_captured_variable_where_it_was_when_traced():
    v, w = V(3.0), V(10.0)
    f = Counted(lambda a: a * v)
    assert float(f(w)) == 30.0  # traced: the other one is captured
    with tf.GradientTape() as tape:
        y = f(v)
    assert (float(y), float(tape.gradient(y, v)), f.count) == (9.0, 6.0, 1)
    g = Counted(lambda a: a * v)
    assert [float(g(v)), float(g(w)), g.count] == [9.0, 100.0, 1]


def test_functions_that_make_variables_take_some_too():
    made = []

    @tf.function
    def f(v):
        if not made:
            made.append(tf.Variable(10.0))
        made[0].assign_add(v)
        return made[0] * v

    a, b = V(1.0), V(2.0)
    assert [float(f(a)), float(f(b))] == [11.0, 26.0]
    assert f.get_concrete_function(a).variables == (made[0],)


def test_many_runs_with_the_arguments_exchanged():
    f = Counted(lambda v, w, x: _swap(v, w, x))
    p = V(np.linspace(0, 1, 400, dtype="float32"))
    q = V(np.linspace(1, 0, 400, dtype="float32") ** 2)
    a, b = p.numpy(), q.numpy()
    for i in range(12):
        got = f(*((p, q) if i % 3 else (q, p)), tf.constant(0.25))
        if i % 3:
            a, b, want = _swap_numpy(a, b)
        else:
            b, a, want = _swap_numpy(b, a)
        np.testing.assert_allclose(got.numpy(), want, rtol=1e-4)
    np.testing.assert_allclose(p.numpy(), a, rtol=1e-4)
    np.testing.assert_allclose(q.numpy(), b, rtol=1e-4)
    assert f.count == 1


def _swap(v, w, x):
    before = v.read_value()
    v.assign(w * x + before * x)
    w.assign_sub(before * x)
    return tf.reduce_sum(before + v * w)


def _swap_numpy(v, w):
    new = w * np.float32(0.25) + v * np.float32(0.25)
    other = w - v * np.float32(0.25)
    return new, other, (v + new * other).sum()


def test_wrong_assignments_name_the_variable():
    with pytest.raises(ValueError, match="Shape mismatch"):
        tf.function(lambda v: v.assign([1.0, 2.0, 3.0]))(V([1.0, 2.0]))
    with pytest.raises(ValueError, match="float32"):
        tf.function(lambda v: v.assign(tf.constant([1, 2])))(V([1.0, 2.0]))


def test_plans_of_variables_whose_shape_changes():
    v = V(np.ones(300, "float32"), shape=[None])
    captured = tf.function(lambda: (v * 2.0 + 1.0) * 3.0 - v)
    given = tf.function(lambda w: (w * 2.0 + 1.0) * 3.0 - w)
    for count in (300, 300, 300, 300, 500, 500, 300, 700):
        v.assign(np.ones(count, "float32"))
        assert captured().numpy().tolist() == [8.0] * count
        assert given(v).numpy().tolist() == [8.0] * count


def test_values_that_were_read_stay_as_they_were():
    @tf.function
    def f(v):
        a = v.read_value()
        v.assign_add(tf.ones([300]))
        b = v.read_value()
        v.scatter_update(tf.IndexedSlices(tf.constant([7.0]), tf.constant([0])))
        return a, b, v.read_value()

    v, w = V(np.zeros(300, "float32")), V(np.full(300, 10.0, "float32"))
    for _ in range(5):
        got = [t.numpy()[:2].tolist() for t in f(v)]
        f(w)
    assert got == [[7.0, 4.0], [8.0, 5.0], [7.0, 5.0]]
    assert w.numpy()[:2].tolist() == [7.0, 15.0]


def test_statistics_that_a_normalization_is_given():
    @tf.function
    def normalized(x, mean, variance, training):
        if training:
            m = tf.reduce_mean(x, 0)
            mean.assign(0.9 * mean + 0.1 * m)
            variance.assign(0.9 * variance + 0.1 * tf.math.reduce_variance(x, 0))
            y = x - m
        else:
            y = x - mean
        return y

    x = tf.constant([[1.0, 2.0], [3.0, 6.0]])
    a, b, c, d = V([0.0, 0.0]), V([1.0, 1.0]), V([1.0, 1.0]), V([2.0, 2.0])
    assert normalized(x, a, b, tf.constant(True)).numpy().tolist() == [[-1.0, -2.0], [1.0, 2.0]]
    assert normalized(x, c, d, tf.constant(False)).numpy().tolist() == [[0.0, 1.0], [2.0, 5.0]]
    np.testing.assert_allclose(a.numpy(), [0.2, 0.4], rtol=1e-6)
    np.testing.assert_allclose(b.numpy(), [1.0, 1.3], rtol=1e-6)
    assert c.numpy().tolist() == [1.0, 1.0]


def test_a_trace_that_failed_leaves_nothing():
    attempts = []

    @tf.function
    def f(v):
        attempts.append(1)
        if len(attempts) == 1:
            raise KeyError("not yet")
        return v * 2.0

    with pytest.raises(KeyError):
        f(V(1.0))
    assert float(f(V(2.0))) == 4.0
    assert len(attempts) == 2

"""Gradients, control flow and nested functions with Variables as arguments of `tf.function`.

Numbers, counts of traces and classes of errors are those of TensorFlow 2.15 for these programs.
"""

import numpy as np
from unit.core.counted_functions import Counted, gradients

import shardtape as tf

V = tf.Variable


def test_gradients_outside_of_the_function():
    f = Counted(lambda v, x: v * v * x)
    for value, want in ((3.0, 12.0), (5.0, 20.0)):
        v = V(value)
        with tf.GradientTape() as tape:
            y = f(v, tf.constant(2.0))
        assert [w is v for w in tape.watched_variables()] == [True]
        assert float(tape.gradient(y, v)) == want
    assert f.count == 1
    assert gradients(tf.function(lambda v: v * v * v), V(3.0)) == [27.0, 27.0, 18.0]


def test_what_tapes_watch():
    unused = tf.function(lambda v: tf.constant(1.0))
    double = tf.function(lambda v: v * 2.0)
    v, fixed = V(3.0), V(3.0, trainable=False)
    with tf.GradientTape() as tape:
        y = unused(v)
    assert len(tape.watched_variables()) == 1
    assert tape.gradient(y, v) is None
    with tf.GradientTape() as tape:
        y = double(fixed)
    assert tape.watched_variables() == ()
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(fixed)
        y = double(fixed)
    assert float(tape.gradient(y, fixed)) == 2.0


def test_a_tape_inside():
    @tf.function
    def f(v):
        with tf.GradientTape() as tape:
            y = v * v
        (watched,) = tape.watched_variables()
        return tape.gradient(y, v), tf.constant(watched is v)

    for value, want in ((3.0, 6.0), (4.0, 8.0)):
        g, same = f(V(value))
        assert (float(g), bool(same)) == (want, True)
    assert float(tf.function(lambda v: tf.gradients(v * v * v, v)[0])(V(2.0))) == 12.0


def test_gradients_of_one_that_is_given_twice():
    f = tf.function(lambda a, b: a * b * b)
    v, w = V(3.0), V(2.0)
    with tf.GradientTape(persistent=True) as tape:
        y, z = f(v, v), f(v, w)
    assert float(tape.gradient(y, v)) == 27.0
    assert [float(g) for g in tape.gradient(z, [v, w])] == [4.0, 12.0]


def test_gradients_of_rows_are_sparse():
    f = tf.function(lambda v, i: tf.gather(v, i))
    v = V([[1.0, 2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        y = f(v, tf.constant([1, 1]))
    g = tape.gradient(y, v)
    assert isinstance(g, tf.IndexedSlices)
    assert tf.convert_to_tensor(g).numpy().tolist() == [[0.0, 0.0], [2.0, 2.0]]


def test_gradients_of_rows_of_an_unknown_number():
    f = Counted(lambda v, i: tf.reduce_sum(tf.gather(v, i) ** 2))
    rows = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    for shape in ([None, 2], tf.TensorShape(None)):
        v = V(rows, shape=shape)
        for function in (f, lambda v, i: tf.reduce_sum(tf.gather(v, i) ** 2)):
            with tf.GradientTape() as tape:
                y = function(v, tf.constant([2, 2]))
            g = tf.convert_to_tensor(tape.gradient(y, v))
            assert float(y) == 122.0
            assert g.numpy().tolist() == [[0.0, 0.0], [0.0, 0.0], [20.0, 24.0]]


def test_jacobians_and_maps():
    square = tf.function(lambda v: v * v)
    for values in ([1.0, 2.0], [3.0, 4.0]):
        v = V(values)
        with tf.GradientTape() as tape:
            y = square(v)
        assert tape.jacobian(y, v).numpy().tolist() == np.diag(2 * np.array(values)).tolist()
    for mapped in (tf.map_fn, tf.vectorized_map):
        f = tf.function(lambda v, x, mapped=mapped: mapped(lambda e: e * v, x))
        for value in (3.0, 4.0):
            assert f(V(value), tf.constant([1.0, 2.0])).numpy().tolist() == [value, 2 * value]


def test_forward_accumulators():
    v = V(3.0)
    f = tf.function(lambda v, x: v * v * x)
    with tf.autodiff.ForwardAccumulator(v, tf.constant(1.0)) as accumulator:
        y = f(v, tf.constant(2.0))
    assert float(accumulator.jvp(y)) == 12.0

    @tf.function
    def inside(v):
        with tf.autodiff.ForwardAccumulator(v, tf.constant(1.0)) as accumulator:
            y = v * v * v
        return accumulator.jvp(y)

    assert [float(inside(V(3.0))), float(inside(V(2.0)))] == [27.0, 12.0]


def test_custom_gradients():
    @tf.custom_gradient
    def g(x):
        return x * x, lambda up: up * 100.0

    f = Counted(lambda v: g(v))
    for value in (3.0, 4.0):
        v = V(value)
        with tf.GradientTape() as tape:
            y = f(v)
        assert (float(y), float(tape.gradient(y, v))) == (value**2, 100.0)
    assert f.count == 1


def test_custom_gradients_that_use_the_argument_also_in_a_calling_function():
    @tf.function
    def f(v, x):
        @tf.custom_gradient
        def g(x):
            def gradient(up, variables=None):
                return up * v * 7.0, [up * x * 11.0 for _ in variables]

            return x * v, gradient

        return g(x)

    outer = tf.function(lambda v, x: f(v, x) * 2.0)
    outermost = tf.function(lambda v, x: outer(v, x) + 0.0)
    f(V(3.0), tf.constant(1.0))
    for function, scale in ((f, 1.0), (outer, 2.0), (outermost, 2.0)):
        for value in (5.0, 6.0):
            v, x = V(value), tf.constant(2.0)
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = function(v, x)
            # by the gradient's own definition: 7 v and 11 x
            got = [float(t) for t in (y, *tape.gradient(y, [x, v]))]
            assert got == [2.0 * value * scale, 7.0 * value * scale, 22.0 * scale]


def test_py_function_of_an_argument():
    f = tf.function(lambda v: tf.py_function(lambda q: q * 2.0, [v], tf.float32))
    for value in (3.0, 4.0):
        v = V(value)
        with tf.GradientTape() as tape:
            y = f(v)
        assert (float(y), float(tape.gradient(y, v))) == (2 * value, 2.0)


def test_branches_read_and_write():
    traces = []

    @tf.function
    def f(v, p):
        traces.append(1)
        if p:
            v.assign_add(1.0)
            r = v * v
        else:
            r = v * 3.0
        return r

    a, b = V(1.0), V(10.0)
    got = []
    for v, p in ((a, True), (b, False), (b, True)):
        with tf.GradientTape() as tape:
            y = f(v, tf.constant(p))
        got.append((float(y), float(v), float(tape.gradient(y, v))))
    assert got == [(4.0, 2.0, 4.0), (30.0, 10.0, 3.0), (121.0, 11.0, 22.0)]
    assert len(traces) == 1


def test_loops_read_and_write():
    @tf.function
    def f(v, k):
        s = tf.constant(1.0)
        for _ in tf.range(k):
            s = s * v
            v.assign_add(1.0)
        return s

    got = []
    for v in (V(1.0), V(10.0)):
        with tf.GradientTape() as tape:
            y = f(v, tf.constant(3))
        got.append((float(y), float(v), float(tape.gradient(y, v))))
    assert got == [(6.0, 4.0, 11.0), (1320.0, 13.0, 362.0)]


def test_second_derivatives_through_nested_control_flow():
    traces = []

    @tf.function
    def f(v, k, x):
        traces.append(1)
        s = x
        for i in tf.range(k):
            if i % 2 == 0:
                j = 0
                while j < 2:
                    s = s * v
                    j += 1
            else:
                s = s + v
        return s

    # v**2 * (x * v**2 + v)
    for value in (1.0, 2.0):
        got = gradients(f, V(value), tf.constant(3), tf.constant(1.5))
        want = [1.5 * value**4 + value**3, 6 * value**3 + 3 * value**2, 18 * value**2 + 6 * value]
        assert got == want
    assert len(traces) == 1


def test_loops_over_a_variable_of_unknown_shape():
    @tf.function
    def f(v, k):
        s = tf.constant(0.0)
        for _ in tf.range(k):
            s += tf.reduce_sum(v * v)
        return s

    for values in ([1.0, 2.0], [1.0, 2.0, 3.0], [4.0]):
        v = V(values, shape=[None])
        with tf.GradientTape() as tape:
            y = f(v, tf.constant(2))
        assert float(y) == 2 * sum(x * x for x in values)
        assert tape.gradient(y, v).numpy().tolist() == [4 * x for x in values]


def test_nested_functions_hand_variables_on():
    traces = [0, 0]

    @tf.function
    def inner(v, x):
        traces[0] += 1
        v.assign_add(x)
        return v * x

    @tf.function
    def outer(v, w, x):
        traces[1] += 1
        return inner(v, x) + inner(w, x)

    a, b = V(1.0), V(10.0)
    got = []
    for v, w, x in ((a, b, 2.0), (b, a, 3.0)):
        with tf.GradientTape() as tape:
            y = outer(v, w, tf.constant(x))
        got.append((float(y), float(a), float(b), float(tape.gradient(y, v))))
    assert got == [(30.0, 3.0, 12.0, 2.0), (63.0, 6.0, 15.0, 3.0)]
    assert traces == [1, 1]


def test_a_function_called_in_a_branch_with_an_argument():
    traces = [0, 0]

    @tf.function
    def inner(v, x):
        traces[0] += 1
        v.assign_add(x)
        return v * v * x

    @tf.function
    def outer(v, x):
        traces[1] += 1
        if x > 0.0:
            y = inner(v, x)
        else:
            y = v * 3.0
        return y

    a, b = V(1.0), V(2.0)
    assert gradients(outer, a, tf.constant(2.0)) == [18.0, 12.0, 4.0]
    assert gradients(outer, b, tf.constant(3.0)) == [75.0, 30.0, 6.0]
    assert (float(a), float(b), traces) == (3.0, 5.0, [1, 1])


def test_an_argument_and_a_captured_variable_in_one_inner_function():
    captured = V(2.0, name="c")
    inner = Counted(lambda v, x: v * v * x)
    outer = tf.function(lambda v, x: inner(v, x) + inner(captured, x), autograph=False)
    a, x = V(1.0), tf.constant(2.0)
    with tf.GradientTape() as tape:
        y = outer(a, x)
    assert float(y) == 10.0
    assert [float(g) for g in tape.gradient(y, [a, captured])] == [4.0, 8.0]
    assert inner.count == 1
    assert outer.get_concrete_function(a, x).variables == (captured,)


def test_datasets_inside_use_the_variable_of_the_call():
    @tf.function
    def f(v):
        total = tf.constant(0.0)
        for e in tf.data.Dataset.range(3).map(lambda e: tf.cast(e, tf.float32) * v):
            total += e
        return total

    assert [float(f(V(2.0))), float(f(V(5.0)))] == [6.0, 15.0]


def test_widened_traces_hand_variables_on_to_nested_functions():
    inner_traces = []

    @tf.function
    def inner(v, x):
        inner_traces.append(v.shape.as_list())
        if tf.reduce_sum(x) > 0.0:
            v.assign_add(x)
            y = tf.reduce_sum(v * v)
        else:
            y = tf.reduce_sum(v)
        return y

    @tf.function(reduce_retracing=True)
    def outer(v, p):
        if p:
            y = inner(v, tf.ones_like(v))
        else:
            y = tf.reduce_sum(v) * 10.0
        return y

    for k in (1, 2, 3, 4, 2):
        v = V(np.arange(k, dtype="float32"))
        with tf.GradientTape() as tape:
            y = outer(v, tf.constant(True))
        assert v.numpy().tolist() == list(range(1, k + 1))
        assert float(y) == sum(i * i for i in range(1, k + 1))
        assert tape.gradient(y, v).numpy().tolist() == [2.0 * i for i in range(1, k + 1)]
        assert float(outer(v, tf.constant(False))) == 5.0 * k * (k + 1)
    assert inner_traces == [[1], [None]]

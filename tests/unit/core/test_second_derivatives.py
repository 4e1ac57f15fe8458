"""Derivatives of derivatives through control flow of functions.

The numbers with three digits are TensorFlow 2.15's for x = 0.7 and a Variable of 1.3.
"""

import numpy as np
import pytest

import shardtape as tf


@pytest.fixture
def w():
    return tf.Variable(1.3)


def loop(x, w):
    return tf.while_loop(
        lambda i, y: i < 3, lambda i, y: (i + 1, y * y * w + tf.sin(x)), (tf.constant(0), x)
    )[1]


def branch(x, w):
    return tf.cond(tf.reduce_sum(x) > 0.0, lambda: x * x * x * w * w, lambda: -x * x)


def converted(x, w):
    y = x
    for i in tf.range(3):
        if i > 1:
            y = y * y * w
        else:
            y = tf.exp(y * 0.1) * x
    return y


def arrays(x, w):
    steps = tf.TensorArray(tf.float32, size=3)
    y = x
    for i in tf.range(3):
        y = y * x * w
        steps = steps.write(i, y)
    s = steps.stack()
    return tf.reduce_sum(s * s, 0)


def reads(x, w):
    steps = tf.TensorArray(tf.float32, size=4, clear_after_read=False)
    steps = steps.write(0, x)
    for i in tf.range(3):
        steps = steps.write(i + 1, steps.read(i) * x * w)
    return steps.read(3)


def nested(x, w):
    y = x
    for _ in tf.range(2):
        z = y
        for j in tf.range(2):
            if j > 0:
                z = z * z * w
            else:
                z = z * x
        y = y + z
    return y


def with_a_tape(x, w):
    y = x
    for _ in tf.range(2):
        with tf.GradientTape() as tape:
            tape.watch(y)
            z = y * y
            for _ in tf.range(2):
                z = z * y * w
        y = y - 0.1 * tape.gradient(z, y)
    return y


def mapped(x, w):
    return tf.reduce_sum(tf.map_fn(lambda a: a * a * a * w, tf.stack([x, x * 2.0, x * 0.5])), 0)


# function: dy/dx, dy/dw, d2y/dx2, d2y/dxdw, d2y/dw2, d3y/dx3
RECORDED = {
    loop: (68.486, 31.366, 395.777, 237.212, 86.895, 1959.811),
    branch: (2.484, 0.892, 7.098, 3.822, 0.686, 10.140),
    converted: (2.285, 0.569, 4.064, 1.757, 0.0, 2.733),
    arrays: (8.379, 2.942, 62.310, 27.106, 7.806, 418.526),
    reads: (3.014, 1.217, 12.918, 6.956, 1.873, 36.910),
    nested: (8.237, 1.052, 50.546, 9.072, 0.550, None),
    with_a_tape: (0.003, -0.305, -1.577, -0.849, 0.012, -2.152),
    mapped: (17.438, 3.130, 49.822, 13.414, 0.0, 71.175),
}
FUNCTIONS = list(RECORDED)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_tapes_around_a_function(function, w):
    x = tf.constant(0.7)
    f = tf.function(function)
    with tf.GradientTape(persistent=True) as third:
        third.watch(x)
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = f(x, w)
            dx, dw = inner.gradient(y, [x, w])
        dxx, dxw = outer.gradient(dx, [x, w])
    dwx, dww = outer.gradient(dw, [x, w])
    first, of_w, second, mixed, of_ww, last = RECORDED[function]
    got = [float(t) for t in (dx, dw, dxx, dxw, dwx)]
    np.testing.assert_allclose(got, [first, of_w, second, mixed, mixed], atol=1e-3, rtol=1e-5)
    assert (0.0 if dww is None else float(dww)) == pytest.approx(of_ww, abs=1e-3)
    if last is not None:
        assert float(third.gradient(dxx, x)) == pytest.approx(last, abs=1e-2)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_tapes_inside_a_function(function, w):
    f = tf.function(function)

    @tf.function
    def derivatives(x):
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = f(x, w)
            dx, dw = inner.gradient(y, [x, w])
        return [dx, dw, *outer.gradient(dx, [x, w]), outer.gradient(dw, x)]

    first, of_w, second, mixed, _, _ = RECORDED[function]
    for _ in range(4):  # the compiled plan gives the same as the interpreted one
        got = [float(t) for t in derivatives(tf.constant(0.7))]
        np.testing.assert_allclose(got, [first, of_w, second, mixed, mixed], atol=1e-3, rtol=1e-5)


@pytest.mark.parametrize("function", [loop, branch, arrays], ids=lambda f: f.__name__)
def test_gradients_of_gradients_of_a_graph(function, w):
    f = tf.function(function)

    @tf.function
    def derivatives(x):
        [dx] = tf.gradients(f(x, w), x)
        [dxx] = tf.gradients(dx, x)
        return dx, dxx, tf.gradients(dxx, x)[0]

    first, _, second, _, _, third = RECORDED[function]
    got = [float(t) for t in derivatives(tf.constant(0.7))]
    np.testing.assert_allclose(got, [first, second, third], atol=1e-2, rtol=1e-5)


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.__name__)
def test_forward_over_reverse_and_jacobians_of_gradients(function, w):
    x = tf.constant([0.7, 0.4])
    f = tf.function(function)
    if function is branch:
        f = tf.function(lambda x, w: tf.cond(x[0] > 0.0, lambda: x**3 * w * w, lambda: -x))
    with tf.autodiff.ForwardAccumulator(x, tf.constant([1.0, 0.0])) as forward:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f(x, w)
        g = tape.gradient(y, x)
    first, _, second, _, _, _ = RECORDED[function]
    np.testing.assert_allclose(forward.jvp(y), [first, 0.0], atol=1e-3, rtol=1e-5)
    np.testing.assert_allclose(forward.jvp(g), [second, 0.0], atol=1e-3, rtol=1e-5)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = f(x, w)
        g = inner.gradient(y, x)
    matrix = outer.jacobian(g, x).numpy()
    assert matrix[0, 0] == pytest.approx(second, abs=1e-3)
    assert matrix[0, 1] == matrix[1, 0] == 0.0


def test_what_a_loop_drew_is_drawn_once():
    @tf.function
    def f(x):
        total = tf.zeros([])
        for _ in tf.range(3):
            total += x * x * tf.random.normal([])
        return total

    x = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        g = inner.gradient(y, x)
    second = outer.gradient(g, x)
    assert g.numpy() == pytest.approx(float(y), rel=1e-5)  # 2 y / x
    assert second.numpy() == pytest.approx(float(y) / 2, rel=1e-5)  # 2 y / x^2


def test_a_variable_that_changed_since_counts_with_its_old_value():
    v = tf.Variable(3.0)

    @tf.function
    def f(x):
        y = x
        for _ in tf.range(2):
            y = y * y * v
        return y

    x = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        g = inner.gradient(y, x)
    v.assign(100.0)
    # y = v^3 x^4
    assert outer.gradient(g, x).numpy() == pytest.approx(27 * 12 * 4)


def test_a_loop_that_runs_no_turn_and_one_that_changes_shapes():
    @tf.function
    def f(x, n):
        return tf.while_loop(
            lambda i, y: i < n, lambda i, y: (i + 1, tf.concat([y * y, x], 0)), (0, x),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
        )[1]  # fmt: skip

    x = tf.constant([2.0])
    for turns, first, second in ((0, 1.0, 0.0), (1, 5.0, 2.0), (2, 32 + 4 + 1, 48 + 2)):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                y = f(x, tf.constant(turns))
            g = inner.gradient(y, x)
        assert g.numpy() == first
        assert outer.gradient(g, x, unconnected_gradients="zero").numpy() == second


@pytest.mark.parametrize("backwards", [False, True])
def test_a_recurrent_layer_has_the_second_derivatives_of_its_unrolled_steps(backwards):
    layers = [
        tf.keras.layers.LSTM(3, unroll=unroll, go_backwards=backwards, return_sequences=True)
        for unroll in (False, True)
    ]
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 4, 2)).astype("float32"))
    for layer in layers:
        layer.build(x.shape)
    layers[1].set_weights(layers[0].get_weights())
    results = []
    for layer in layers:

        @tf.function
        def penalty(x, layer=layer):
            with tf.GradientTape() as tape:
                tape.watch(x)
                y = layer(x)
            return tf.reduce_sum(tf.square(tape.gradient(y, x)))

        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = penalty(x)
        results.append([loss, *tape.gradient(loss, [x, *layer.trainable_variables])])
    for a, b in zip(*results):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


OUTER = tf.constant([0.5, 1.5])


def by_jacobian(function, at_once):
    with tf.GradientTape() as outer:
        outer.watch(OUTER)
        with tf.GradientTape() as inner:
            inner.watch(OUTER)
            y = tf.reduce_sum(function(OUTER))
        g = inner.gradient(y, OUTER)
    return outer.jacobian(g, OUTER, experimental_use_pfor=at_once)


def by_forward_mode(function):
    columns = []
    for direction in ([1.0, 0.0], [0.0, 1.0]):
        with tf.autodiff.ForwardAccumulator(OUTER, tf.constant(direction)) as first:
            with tf.autodiff.ForwardAccumulator(OUTER, tf.constant(direction)) as second:
                y = function(OUTER)
            tangent = second.jvp(y)
        columns.append(first.jvp(tangent))
    return tf.stack(columns, 1)


def by_hessians(function):
    x = tf.identity(OUTER)
    return tf.hessians(tf.reduce_sum(function(x)), x)[0]


@pytest.mark.parametrize(
    "hessian",
    [lambda f: by_jacobian(f, True), lambda f: by_jacobian(f, False), by_forward_mode, by_hessians],
    ids=["at once", "row by row", "forward over forward", "tf.hessians"],
)
def test_a_constant_that_eager_code_made_is_watched_inside_a_function(hessian):
    def repeated(x):
        return tf.while_loop(
            lambda i, y: i < 3, lambda i, y: (i + 1, y * y * 0.7 + tf.sin(x)), (tf.constant(0), x)
        )[1]

    got = tf.function(lambda: hessian(repeated))()
    np.testing.assert_allclose(got, [[11.273251, 0.0], [0.0, 141.684998]], rtol=1e-5)


def test_a_loop_whose_length_depends_on_its_values():
    @tf.function
    def f():
        with tf.GradientTape() as outer:
            outer.watch(OUTER)
            with tf.GradientTape() as inner:
                inner.watch(OUTER)
                k, y = tf.constant(1), OUTER
                while tf.reduce_sum(y) < 20.0:
                    y = y * OUTER + tf.cast(k, tf.float32)
                    k += 1
            g = inner.gradient(y, OUTER)
        return k, g, outer.gradient(g, OUTER)

    turns, first, second = f()
    assert turns.numpy() == 5
    np.testing.assert_allclose(first, [6.0625, 41.0625])
    np.testing.assert_allclose(second, [9.5, 80.5])


def test_the_largest_number_of_turns_may_be_a_tensor():
    @tf.function
    def f(n):
        with tf.GradientTape() as outer:
            outer.watch(OUTER)
            with tf.GradientTape() as inner:
                inner.watch(OUTER)
                _, y = tf.while_loop(
                    lambda i, y: i < 100, lambda i, y: (i + 1, y * OUTER), [0, OUTER],
                    maximum_iterations=n,
                )  # fmt: skip
            g = inner.gradient(y, OUTER)
        return g, outer.gradient(g, OUTER)

    first, second = f(tf.constant(4))  # x^5
    np.testing.assert_allclose(first, [0.3125, 25.3125])
    np.testing.assert_allclose(second, [2.5, 67.5])

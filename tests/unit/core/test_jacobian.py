"""Jacobians and Hessians: against products worked out in numpy, one by one, and TensorFlow."""

import numpy as np
import pytest

import shardtape as tf

RNG = np.random.default_rng(3)
X = RNG.normal(size=(4, 3))
W = RNG.normal(size=(3, 2))


def tanh_layer():
    """A persistent tape, x, w and y = tanh(x w)."""
    x, w = tf.constant(X), tf.Variable(W)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.tanh(x @ w)
    return tape, x, w, y


def slope():
    return 1 - np.tanh(X @ W) ** 2


@pytest.mark.parametrize("at_once", [True, False])
def test_jacobian_of_a_layer(at_once):
    tape, x, w, y = tanh_layer()
    by_x, by_w = tape.jacobian(y, [x, w], experimental_use_pfor=at_once)
    assert (by_x.shape, by_w.shape) == ((4, 2, 4, 3), (4, 2, 3, 2))
    np.testing.assert_allclose(by_x, np.einsum("bj,ij,bc->bjci", slope(), W, np.eye(4)), rtol=1e-9)
    np.testing.assert_allclose(by_w, np.einsum("bj,bi,jk->bjik", slope(), X, np.eye(2)), rtol=1e-9)


@pytest.mark.parametrize("at_once", [True, False])
def test_batch_jacobian_is_the_diagonal_of_the_jacobian(at_once):
    tape, x, _, y = tanh_layer()
    got = tape.batch_jacobian(y, x, experimental_use_pfor=at_once)
    assert got.shape == (4, 2, 3)
    np.testing.assert_allclose(got, np.einsum("bj,ij->bji", slope(), W), rtol=1e-9)
    whole = tape.jacobian(y, x).numpy()
    np.testing.assert_allclose(got, whole[range(4), :, range(4)], rtol=1e-12)


def test_a_scalar_source_and_a_scalar_target():
    delta = tf.Variable(0.0)
    x = tf.linspace(-10.0, 10.0, 201)
    with tf.GradientTape(persistent=True) as tape:
        y = tf.nn.sigmoid(x + delta)
        total = tf.reduce_sum(y)
    s = 1 / (1 + np.exp(-np.linspace(-10, 10, 201)))
    np.testing.assert_allclose(tape.jacobian(y, delta), s * (1 - s), atol=1e-6)
    assert tape.jacobian(total, delta).shape == ()


def hessian_by_hand(w):
    """Of mean((x w)^2), which is quadratic."""
    return np.einsum("bi,bk,jl->ijkl", X, X, np.eye(2)) * 2 / 8


def test_hessian_by_nested_tapes():
    w = tf.Variable(W)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            loss = tf.reduce_mean((X @ w) ** 2)
        g = inner.gradient(loss, w)
    h = outer.jacobian(g, w)
    assert h.shape == (3, 2, 3, 2)
    np.testing.assert_allclose(h, hessian_by_hand(W), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("shape", [[4, 3], [None, 3], None])
def test_in_a_function_whatever_is_known_of_the_shapes(shape):
    w = tf.Variable(W)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float64)])
    def both(x):
        if x.shape.rank is None:
            x = tf.reshape(x, [-1, 3])
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = tf.tanh(x @ w)
        return tape.jacobian(y, x), tape.batch_jacobian(y, x), tape.jacobian(y, w)

    of_all, of_each, by_w = both(tf.constant(X))
    np.testing.assert_allclose(of_each, np.einsum("bj,ij->bji", slope(), W), rtol=1e-9)
    np.testing.assert_allclose(of_all.numpy()[range(4), :, range(4)], of_each, rtol=1e-12)
    np.testing.assert_allclose(by_w, np.einsum("bj,bi,jk->bjik", slope(), X, np.eye(2)), rtol=1e-9)


def test_derivative_of_a_jacobian_of_a_function():
    layer = tf.function(lambda x: tf.tanh(x @ W))
    x = tf.constant(X)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = layer(x)
        j = inner.batch_jacobian(y, x)
        total = tf.reduce_sum(j)
    t = np.tanh(X @ W)
    want = np.einsum("bj,j,ij->bi", -2 * t * (1 - t**2), W.sum(0), W)
    np.testing.assert_allclose(outer.gradient(total, x), want, rtol=1e-9)


def test_sparse_gradients_become_dense():
    table = tf.Variable(RNG.normal(size=(5, 2)))
    with tf.GradientTape() as tape:
        y = tf.nn.embedding_lookup(table, [1, 3, 1]) ** 2
    j = tape.jacobian(y, table)
    assert j.shape == (3, 2, 5, 2)
    want = np.zeros((3, 2, 5, 2))
    for place, row in enumerate([1, 3, 1]):
        for column in range(2):
            want[place, column, row, column] = 2 * table.numpy()[row, column]
    np.testing.assert_allclose(j, want)


def test_a_convolution():
    image, kernel = (
        tf.constant(RNG.normal(size=(1, 4, 4, 2))),
        tf.Variable(RNG.normal(size=(2, 2, 2, 3))),
    )
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(image)
        y = tf.nn.relu(tf.nn.conv2d(image, kernel, strides=1, padding="SAME"))
        y = tf.nn.max_pool2d(y, 2, 2, "VALID")
    for source in (image, kernel):
        got = tape.jacobian(y, source)
        want = tape.jacobian(y, source, experimental_use_pfor=False)
        np.testing.assert_allclose(got, want, atol=1e-12)


def test_what_is_not_connected():
    tape, x, w, y = tanh_layer()
    other = tf.Variable([1.0, 2.0, 3.0])
    got = tape.jacobian(y, {"w": w, "other": other})
    assert got["other"] is None and got["w"].shape == (4, 2, 3, 2)
    zeros = tape.jacobian(y, other, unconnected_gradients="zero")
    assert zeros.shape == (4, 2, 3) and not zeros.numpy().any()
    unused = tf.ones([4, 2], tf.float64)
    assert not tape.batch_jacobian(y, unused).numpy().any()


def test_errors():
    tape, x, w, y = tanh_layer()
    with pytest.raises(ValueError, match="Need first dimension of target shape"):
        tape.batch_jacobian(y[:3], x)
    with pytest.raises(ValueError, match="to match"):
        tape.batch_jacobian(y[0], x)
    with tf.GradientTape() as once:
        z = w * 2.0
    with pytest.raises(RuntimeError, match="persistent=True to compute the jacobian"):
        once.jacobian(z, w, experimental_use_pfor=False)
    assert once.jacobian(z, w).shape == (3, 2, 3, 2)
    with pytest.raises(RuntimeError, match="non-persistent"):
        once.jacobian(z, w)


@pytest.mark.parametrize(
    "function",
    [
        lambda v: tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.sin(a) * v), [0, v])[1],
        lambda v: tf.cond(tf.reduce_sum(v) > 0, lambda: tf.sin(v), lambda: v * v),
        lambda v: tf.map_fn(tf.sin, v),
    ],
    ids=["loop", "branch", "map"],
)
def test_control_flow_of_a_function(function):
    x = tf.constant(X[:2])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = tf.function(function)(x)
    want = tape.jacobian(y, x, experimental_use_pfor=False)
    np.testing.assert_allclose(tape.jacobian(y, x), want, atol=1e-12)

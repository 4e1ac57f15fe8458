"""Derivatives by tape, a network's parameters, and a straight line fitted to data."""

import re

import numpy as np
import pytest

import shardtape as tf


def test_derivative_of_a_function_of_one_variable(printed):
    x = tf.constant([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    with tf.GradientTape() as grad:
        grad.watch(x)
        y = 3.0 * x**2 - 1.0
    dydx = grad.gradient(y, x)
    print("dy/dx =", dydx.numpy())
    printed("""
        dy/dx = [-18. -12.  -6.   0.   6.  12.  18.]
        """)


def test_first_and_second_derivative_by_nested_tapes(printed):
    x = tf.constant([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    with tf.GradientTape() as grad2:
        grad2.watch(x)
        with tf.GradientTape() as grad1:
            grad1.watch(x)
            y = x**3 + 2 * x
        dydx = grad1.gradient(y, x)
    d2ydx2 = grad2.gradient(dydx, x)
    print("first =", dydx.numpy())
    print("second =", d2ydx2.numpy())
    printed("""
        first = [29. 14.  5.  2.  5. 14. 29.]
        second = [-18. -12.  -6.   0.   6.  12.  18.]
        """)


def test_gradient_with_respect_to_a_matrix_whose_elements_are_picked(printed):
    X = tf.ones((2, 2))
    with tf.GradientTape() as grad:
        grad.watch(X)
        y = X[0, 0] + 2 * X[0, 1] + 3 * X[1, 0] + 4 * X[1, 1]
        z = tf.square(y)
    dzdX = grad.gradient(z, X)
    print("dz/dX:\n", dzdX.numpy())
    printed("""
        dz/dX:
         [[20. 40.]
         [60. 80.]]
        """)


def test_the_parameters_of_a_sequential_network(capsys):
    from shardtape.keras.layers import Dense
    from shardtape.keras.models import Sequential

    net = Sequential()
    net.add(Dense(3, activation="sigmoid", input_shape=(2,)))
    net.add(Dense(1, activation="linear"))
    net.summary()
    table = capsys.readouterr().out
    assert 'Model: "sequential"' in table
    assert re.search(r"Layer \(type\)\W+Output Shape\W+Param #", table)
    assert re.search(r"dense \(Dense\)\W+\(None, 3\)\W+9\W", table)
    assert re.search(r"dense_1 \(Dense\)\W+\(None, 1\)\W+4\W", table)
    assert re.search(r"^ ?Total params: 13 \(52\.00 B", table, re.M)
    assert re.search(r"^ ?Trainable params: 13 \(52\.00 B", table, re.M)
    assert re.search(r"^ ?Non-trainable params: 0 \(0\.00 B", table, re.M)

    shapes = [tuple(v.shape) for v in net.variables]
    assert shapes == [(2, 3), (3,), (3, 1), (1,)]
    kernel, bias = net.variables[:2]
    assert repr(kernel).startswith(
        "<tf.Variable 'dense/kernel:0' shape=(2, 3) dtype=float32, numpy=\narray([["
    )
    assert repr(bias) == (
        "<tf.Variable 'dense/bias:0' shape=(3,) dtype=float32, "
        "numpy=array([0., 0., 0.], dtype=float32)>"
    )
    limit = np.sqrt(6 / (2 + 3))
    assert np.abs(kernel.numpy()).max() <= limit


# ---- regression -------------------------------------------------------------------------------
def wave():
    """100 points of a line with a wave, as columns."""
    X_data = np.arange(100, step=1)
    X_data = np.float32(X_data)
    y_data = X_data + 20 * np.sin(X_data / 10)
    assert X_data.shape == y_data.shape == (100,)
    n_samples = X_data.shape[0]
    return np.reshape(X_data, (n_samples, 1)), np.reshape(y_data, (n_samples, 1))


def parameters():
    b = tf.Variable(tf.zeros(1), name="bias", trainable=True)
    W = tf.Variable(tf.random.uniform((1, 1), seed=1), name="weight", trainable=True)
    return W, b


def train(W, b, epochs, use_optimizer):
    """The program's loop; returns the losses."""
    X_data, y_data = wave()
    lr = 0.001
    optimizer = tf.keras.optimizers.RMSprop()
    losses = []
    for _ in range(epochs):
        with tf.GradientTape(persistent=True) as grad:
            y_pred = W * X_data + b
            loss = tf.reduce_mean(tf.square(y_data - y_pred))
        grad_W = grad.gradient(loss, W)
        grad_b = grad.gradient(loss, b)
        if not use_optimizer:
            W.assign_sub(lr * grad_W)
            b.assign_sub(lr * grad_b)
        else:
            optimizer.apply_gradients(zip([grad_W, grad_b], [W, b]))
        losses.append(loss.numpy())
    return losses


def test_the_first_values_of_a_seeded_uniform_and_how_the_parameters_print(printed):
    values = [float(tf.random.uniform((1, 1), seed=1)) for _ in range(3)]
    assert np.float32(values).tolist() == np.float32([0.2390374, 0.22267115, 0.34304976]).tolist()
    W, b = parameters()
    print("W =", W)
    print("b =", b)
    printed("""
        W = <tf.Variable 'weight:0' shape=(1, 1) dtype=float32, numpy=array([[0.8514762]], dtype=float32)>
        b = <tf.Variable 'bias:0' shape=(1,) dtype=float32, numpy=array([0.], dtype=float32)>
        """)  # noqa: E501


PRINTED_LOSSES = [
    310.92944, 246.67564, 210.43176, 189.46275, 182.11867, 181.69629, 181.57574, 181.45569,
    181.33682, 181.21916, 181.10281, 180.9877, 180.87383, 180.76125, 180.64992, 180.53986,
    180.43108, 180.32358, 180.2173, 180.1123,
]  # fmt: skip


def test_a_line_fitted_with_rmsprop():
    for _ in range(3):  # the cell had been run three times before
        parameters()
    W, b = parameters()
    losses = train(W, b, 1000, use_optimizer=True)
    np.testing.assert_allclose(losses[::50], PRINTED_LOSSES, rtol=2e-6)
    np.testing.assert_allclose(losses[-1], 180.01065, rtol=2e-6)
    assert W[0][0].numpy() == pytest.approx(1.0350403, rel=1e-6)
    assert b[0].numpy() == pytest.approx(0.9866402, rel=1e-6)

    X_data, y_data = wave()
    y_pred = X_data * W + b
    assert isinstance(y_pred, tf.Tensor)
    error = np.sum(np.abs(y_pred - y_data) / 100)
    assert isinstance(error, np.float32)
    assert error == pytest.approx(11.849287, rel=1e-6)
    assert np.asarray(y_pred).shape == (100, 1)  # what a plot draws


def test_a_line_fitted_with_plain_gradient_descent():
    """At the program's rate the loss grows without bound: TensorFlow 2.15's first losses."""
    for _ in range(3):
        parameters()
    W, b = parameters()
    losses = train(W, b, 5, use_optimizer=False)
    recorded = [310.92944, 4171.2544, 123872.84, 3835592.8, 118929040.0]
    np.testing.assert_allclose(losses, recorded, rtol=1e-5)
    np.testing.assert_allclose(W.numpy(), [[1060.581]], rtol=1e-5)
    np.testing.assert_allclose(b.numpy(), [15.989876], rtol=1e-5)

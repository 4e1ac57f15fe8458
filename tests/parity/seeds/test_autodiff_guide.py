"""A guide to gradients: tapes, what they watch, targets and sources of every kind."""

import numpy as np
import pytest

import shardtape as tf


def test_simple_gradient():
    x = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        y = x**2
    dy_dx = tape.gradient(y, x)
    assert dy_dx.numpy() == 6.0
    assert isinstance(dy_dx.numpy(), np.float32)


def test_two_sources_in_a_list_and_then_new_ones_in_a_dict(capsys):
    w = tf.Variable(tf.random.normal((3, 2)), name="w")
    b = tf.Variable(tf.zeros(2, dtype=tf.float32), name="b")
    x = [[1.0, 2.0, 3.0]]
    with tf.GradientTape(persistent=True) as tape:
        y = x @ w + b
        loss = tf.reduce_mean(y**2)

    [dl_dw, dl_db] = tape.gradient(loss, [w, b])
    print(w.shape)
    print(dl_dw.shape)
    assert capsys.readouterr().out == "(3, 2)\n(3, 2)\n"
    np.testing.assert_allclose(dl_db, y[0], rtol=1e-6)  # of the mean of two squares
    np.testing.assert_allclose(dl_dw, np.transpose(x) @ y.numpy(), rtol=1e-6)

    my_vars = {
        "w": tf.Variable(tf.random.normal((3, 2)), name="w"),
        "b": tf.Variable(tf.zeros(2, dtype=tf.float32), name="b"),
    }
    grad = tape.gradient(loss, my_vars)
    assert grad["b"] is None  # the tape has never seen these
    assert sorted(grad) == ["b", "w"]
    assert (tape.gradient(loss, {"w": w, "b": b})["b"].numpy() == dl_db.numpy()).all()


def test_gradients_of_a_layers_variables(capsys):
    layer = tf.keras.layers.Dense(2, activation="relu")
    x = tf.constant([[1.0, 2.0, 3.0]])
    with tf.GradientTape() as tape:
        y = layer(x)
        loss = tf.reduce_mean(y**2)
    grad = tape.gradient(loss, layer.trainable_variables)
    for var, g in zip(layer.trainable_variables, grad):
        print(f"{var.name}, shape: {g.shape}")
    assert capsys.readouterr().out in (
        "dense/kernel:0, shape: (3, 2)\ndense/bias:0, shape: (2,)\n",
        "kernel, shape: (3, 2)\nbias, shape: (2,)\n",  # Keras 3
    )


# ---- what a tape watches ------------------------------------------------------------------------
def test_what_is_watched_without_being_asked_for(printed):
    x0 = tf.Variable(3.0, name="x0")
    x1 = tf.Variable(3.0, name="x1", trainable=False)
    x2 = tf.Variable(2.0, name="x2") + 1.0
    x3 = tf.constant(3.0, name="x3")
    with tf.GradientTape() as tape:
        y = (x0**2) + (x1**2) + (x2**2)
    grad = tape.gradient(y, [x0, x1, x2, x3])
    for g in grad:
        print(g)
    print([var.name for var in tape.watched_variables()])
    printed("""
        tf.Tensor(6.0, shape=(), dtype=float32)
        None
        None
        None
        ['x0:0']
        """)


def test_a_watched_constant():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x**2
    assert tape.gradient(y, x).numpy() == 6.0


def test_a_tape_that_watches_nothing_by_itself(printed):
    x0 = tf.Variable(0.0)
    x1 = tf.Variable(10.0)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(x1)
        y0 = tf.math.sin(x0)
        y1 = tf.nn.softplus(x1)
        y = y0 + y1
        ys = tf.reduce_sum(y)
    grad = tape.gradient(ys, {"x0": x0, "x1": x1})
    print("dy/dx0:", grad["x0"])
    print("dy/dx1:", grad["x1"].numpy())
    printed("""
        dy/dx0: None
        dy/dx1: 0.9999546
        """)


def test_an_intermediate_result_as_the_source():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    assert tape.gradient(z, y).numpy() == 18.0


def test_persistence(printed):
    x = tf.constant([1, 3.0])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = x * x
        z = y * y
    print(tape.gradient(z, x).numpy())
    print(tape.gradient(y, x).numpy())
    del tape
    printed("""
        [  4. 108.]
        [2. 6.]
        """)


# ---- targets that are no scalars ----------------------------------------------------------------
def test_several_targets_one_by_one_and_together(printed):
    x = tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        y0 = x**2
        y1 = 1 / x
    print(tape.gradient(y0, x).numpy())
    print(tape.gradient(y1, x).numpy())

    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y0 = x**2
        y1 = 1 / x
    print(tape.gradient({"y0": y0, "y1": y1}, x).numpy())

    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = x * [3.0, 4.0]
    print(tape.gradient(y, x).numpy())
    printed("""
        4.0
        -0.25
        3.75
        7.0
        """)


def test_derivative_of_a_curve_element_by_element():
    x = tf.linspace(-10.0, 10.0, 200 + 1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.sigmoid(x)
    dy_dx = tape.gradient(y, x)
    assert (x.shape, x.dtype) == ((201,), tf.float32)
    xs, ys, slopes = np.asarray(x), np.asarray(y), np.asarray(dy_dx)  # what a plot draws
    np.testing.assert_allclose(xs, np.linspace(-10, 10, 201), atol=1e-5)
    np.testing.assert_allclose(ys, 1 / (1 + np.exp(-np.linspace(-10, 10, 201))), atol=1e-6)
    np.testing.assert_allclose(slopes, ys * (1 - ys), atol=1e-7)
    assert slopes[100] == 0.25


def test_control_flow(printed):
    x = tf.constant(1.0)
    v0 = tf.Variable(2.0)
    v1 = tf.Variable(2.0)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        if x > 0.0:
            result = v0
        else:
            result = v1**2
    dv0, dv1 = tape.gradient(result, [v0, v1])
    print(dv0)
    print(dv1)
    dx = tape.gradient(result, x)
    print(dx)
    printed("""
        tf.Tensor(1.0, shape=(), dtype=float32)
        None
        None
        """)


# ---- every way to get None ----------------------------------------------------------------------
def test_an_unconnected_source(printed):
    x = tf.Variable(2.0)
    y = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        z = y * y
    print(tape.gradient(z, x))
    printed("""
        None
        """)


def test_a_variable_replaced_by_a_tensor(printed):
    x = tf.Variable(2.0)
    for _ in range(2):
        with tf.GradientTape() as tape:
            y = x + 1
        print(type(x).__name__, ":", tape.gradient(y, x))
        x = x + 1
    printed("""
        ResourceVariable : tf.Tensor(1.0, shape=(), dtype=float32)
        EagerTensor : None
        """)


def test_a_calculation_in_numpy(printed):
    x = tf.Variable([[1.0, 2.0], [3.0, 4.0]], dtype=tf.float32)
    with tf.GradientTape() as tape:
        x2 = x**2
        y = np.mean(x2, axis=0)
        assert isinstance(y, np.ndarray)
        y = tf.reduce_mean(y, axis=0)
    assert y.numpy() == 7.5
    print(tape.gradient(y, x))
    printed("""
        None
        """)


def test_integers_on_the_way(printed, warnings_logged):
    x = tf.Variable([[2, 2], [2, 2]])
    with tf.GradientTape() as tape:
        y = tf.cast(x, tf.float32)
        y = tf.reduce_sum(x)
    print(tape.gradient(y, x))
    printed("""
        None
        """)
    assert warnings_logged() == [
        "The dtype of the target tensor must be floating (e.g. tf.float32) when calling "
        "GradientTape.gradient, got tf.int32",
        "The dtype of the source tensor must be floating (e.g. tf.float32) when calling "
        "GradientTape.gradient, got tf.int32",
    ]


def test_strings_on_the_way(printed, warnings_logged):
    x = tf.constant("a")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.identity(x)
    print(tape.gradient(y, x))
    printed("""
        None
        """)
    assert warnings_logged() == [
        "The dtype of the watched tensor must be floating (e.g. tf.float32), got tf.string",
        "The dtype of the target tensor must be floating (e.g. tf.float32) when calling "
        "GradientTape.gradient, got tf.string",
        "The dtype of the source tensor must be floating (e.g. tf.float32) when calling "
        "GradientTape.gradient, got tf.string",
    ]


def test_state(printed):
    x0 = tf.Variable(3.0)
    x1 = tf.Variable(0.0)
    with tf.GradientTape() as tape:
        x1.assign_add(x0)
        y = x1**2
    assert y.numpy() == 9.0
    print(tape.gradient(y, x0))
    printed("""
        None
        """)


# ---- no gradient registered ---------------------------------------------------------------------
def test_an_op_without_a_registered_gradient(printed):
    image = tf.Variable([[[0.5, 0.0, 0.0]]])
    delta = tf.Variable(0.1)
    with tf.GradientTape() as tape:
        new_image = tf.image.adjust_contrast(image, delta)
    try:
        print(tape.gradient(new_image, [image, delta]))
        pytest.fail("there is no gradient")
    except LookupError as e:
        print(f"{type(e).__name__}: {e}")
    printed("""
        LookupError: gradient registry has no entry for: AdjustContrastv2
        """)


# ---- zeros instead of None ----------------------------------------------------------------------
def test_zeros_for_an_unconnected_source(printed):
    x = tf.Variable([2.0, 2.0])
    y = tf.Variable(3.0)
    with tf.GradientTape() as tape:
        z = y**2
    print(tape.gradient(z, x, unconnected_gradients=tf.UnconnectedGradients.ZERO))
    printed("""
        tf.Tensor([0. 0.], shape=(2,), dtype=float32)
        """)

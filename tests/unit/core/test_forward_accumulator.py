"""Forward-mode derivatives: of every op against differences; nested; with tapes and functions."""

import numpy as np
import pytest
from parity.op_cases import cases
from unit.ops import op_checks as checks

import shardtape as tf
from shardtape import dtypes as dt
from shardtape.ops.registry import PURE, REGISTRY

_STEP = 1e-5
# inputs whose gradient TensorFlow leaves out although the result depends on them, and masks
_LEFT_OUT = {"PadV2": (2,), "OneHot": (2, 3), "Polygamma": (0,), "Zeta": (0,), "Betainc": (0, 1),
             "LSTMSequence": (4,), "GRUSequence": (4,),
             # a number keeps its place in the distribution, not the draws that made it
             "StatelessRandomGammaV2": (2,)}  # fmt: skip
# inputs that hold results of others cannot be moved on their own
_TIED = ("LSTMSequenceGrad", "GRUSequenceGrad")
TRIED = sorted(
    t
    for t, op in REGISTRY.items()
    if op.effects == PURE and op.has_gradient and op.samples is not None
    and t not in ("PreventGradient", "StopGradient", "Cholesky", *_TIED)
    and not t.startswith("QuantizeAndDequantize")  # theirs is that of the identity, not of steps
)  # fmt: skip


def _floats(op, tensors, case):
    return [
        o for o in checks.outputs(op(*tensors, **case.attrs)) if o.dtype is dt.float64
    ]  # fmt: skip


@pytest.mark.parametrize("type_name", TRIED)
def test_tangents_of(type_name):
    op = REGISTRY[type_name]
    rng = np.random.default_rng(0)
    for case in cases(op):
        if not case.smooth or case.dtype is not dt.float64 or type_name in checks.UP_TO_SIGN:
            continue
        count = len(case.inputs)
        at = [
            i for i, x in enumerate(case.inputs)
            if x.dtype == np.float64 and not op.is_host(i, count)
            and i not in _LEFT_OUT.get(type_name, ())
        ]  # fmt: skip
        directions = [rng.normal(size=case.inputs[i].shape) for i in at]
        tensors = [checks.eager_tensor(x) for x in case.inputs]
        with checks.quiet(), tf.autodiff.ForwardAccumulator(
            [tensors[i] for i in at], [tf.constant(d) for d in directions]
        ) as acc:  # fmt: skip
            got = _floats(op, tensors, case)

        def moved(step, at=at, directions=directions, case=case):
            arrays = list(case.inputs)
            for i, d in zip(at, directions):
                arrays[i] = arrays[i] + step * d
            with checks.quiet():
                return _floats(op, [checks.eager_tensor(x) for x in arrays], case)

        for y, there, back in zip(got, moved(_STEP), moved(-_STEP)):
            tangent = acc.jvp(y, unconnected_gradients="zero")
            numeric = (there.numpy() - back.numpy()) / (2 * _STEP)
            assert tangent.shape == y.shape
            np.testing.assert_allclose(tangent, numeric, rtol=1e-5, atol=1e-6, err_msg=case.key)


def test_a_product_of_a_jacobian_and_a_vector():
    x = tf.constant([[2.0, 3.0], [1.0, 4.0]])
    targets = tf.constant([[1.0], [-1.0]])
    weights = tf.Variable([[0.5], [-0.25]])
    with tf.autodiff.ForwardAccumulator(weights, tf.constant([[1.0], [0.0]])) as acc:
        loss = tf.reduce_sum((tf.matmul(x, weights) - targets) ** 2.0)
    assert (loss.numpy(), acc.jvp(loss).numpy()) == (0.8125, -2.0)


def test_forward_over_backward_is_a_product_with_the_hessian():
    v = tf.Variable([1.0, 2.0])
    with tf.autodiff.ForwardAccumulator(v, tf.constant([1.0, 0.0])) as acc:
        with tf.GradientTape() as tape:
            y = tf.reduce_sum(v**3.0)
        backward = tape.gradient(y, v)
    assert backward.numpy().tolist() == [3.0, 12.0]
    assert acc.jvp(backward).numpy().tolist() == [6.0, 0.0]
    assert acc.jvp(y).numpy() == 3.0


def test_backward_over_forward_and_forward_over_forward():
    x = tf.constant(1.1)
    with tf.GradientTape() as tape:
        tape.watch(x)
        with tf.autodiff.ForwardAccumulator(x, tf.constant(1.0)) as acc:
            y = tf.sin(x) * tf.exp(x)
        tangent = acc.jvp(y)
    second = 2 * np.cos(1.1) * np.exp(1.1)
    np.testing.assert_allclose(tape.gradient(tangent, x), second, rtol=1e-6)

    with tf.autodiff.ForwardAccumulator(x, tf.constant(1.0)) as outer:
        with tf.autodiff.ForwardAccumulator(x, tf.constant(1.0)) as inner:
            y = x**3.5
        first = inner.jvp(y)
    np.testing.assert_allclose(first, 3.5 * 1.1**2.5, rtol=1e-6)
    np.testing.assert_allclose(outer.jvp(y), 3.5 * 1.1**2.5, rtol=1e-6)
    np.testing.assert_allclose(outer.jvp(first), 3.5 * 2.5 * 1.1**1.5, rtol=1e-6)


def test_traced_functions():
    double = tf.Variable(2.0)
    squash = tf.function(lambda x: tf.tanh(x) * x * double)
    x = tf.constant([1.0, 2.0])
    with tf.autodiff.ForwardAccumulator([x, double], [tf.constant([1.0, 2.0]), 3.0]) as acc:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = squash(x)
        g = tape.gradient(y, x)
    t = np.tanh([1.0, 2.0])
    slope = t + np.array([1.0, 2.0]) * (1 - t**2)
    np.testing.assert_allclose(
        acc.jvp(y), 2 * slope * [1.0, 2.0] + 3 * t * [1.0, 2.0], rtol=1e-6
    )  # fmt: skip
    bend = 2 * (1 - t**2) * (1 - np.array([1.0, 2.0]) * t)
    np.testing.assert_allclose(acc.jvp(g), 2 * bend * [1.0, 2.0] + 3 * slope, rtol=1e-5)

    @tf.function
    def inside(x, direction):
        with tf.autodiff.ForwardAccumulator(x, direction) as acc:
            y = tf.nn.softmax(x * x)
        return acc.jvp(y)

    got = inside(tf.constant([1.0, 2.0, 3.0]), tf.constant([1.0, 0.0, -1.0]))
    np.testing.assert_allclose(got, [0.00265059, 0.03985732, -0.04250765], rtol=1e-5)


def test_a_function_with_a_gradient_of_its_own():
    @tf.custom_gradient
    def ten_times(x):
        return x * 1.0, lambda dy: dy * 10.0

    x = tf.constant(2.0)
    with tf.autodiff.ForwardAccumulator(x, tf.constant(1.0)) as acc:
        y = ten_times(x)
    assert acc.jvp(y).numpy() == 10.0


def test_layers():
    layer = tf.keras.layers.Dense(2, kernel_initializer="ones", activation="tanh")
    layer.build([None, 2])
    x = tf.constant([[0.2, 0.3], [0.1, 0.4]])
    ones = [tf.ones_like(v) for v in layer.trainable_variables]
    with tf.autodiff.ForwardAccumulator(layer.trainable_variables, ones) as acc:
        y = layer(x)
    np.testing.assert_allclose(acc.jvp(y), (1 - np.tanh(0.5) ** 2) * 1.5 * np.ones((2, 2)), 1e-6)


def test_what_is_not_connected_and_errors():
    x = tf.constant([1.0, 2.0])
    with tf.autodiff.ForwardAccumulator(x, tf.ones([2])) as acc:
        y = tf.constant(3.0) * 2.0
        whole = tf.cast(x, tf.int32)
    assert acc.jvp([y, whole]) == [None, None]
    assert acc.jvp(y, unconnected_gradients=tf.UnconnectedGradients.ZERO).numpy() == 0.0
    with pytest.raises(ValueError, match="specified as a primal multiple times"):
        tf.autodiff.ForwardAccumulator([x, x], [x, x])
    with pytest.raises(ValueError, match="the tangent has shape"):
        tf.autodiff.ForwardAccumulator(x, tf.ones([3]))
    with acc, pytest.raises(ValueError, match="already recording"):
        acc.__enter__()

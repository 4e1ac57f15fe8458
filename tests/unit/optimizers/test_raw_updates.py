"""Update ops by TensorFlow's names, eagerly and in functions."""

import numpy as np
import pytest

import shardtape as tf

GRADIENT = np.linspace(-1, 1, 300 * 300, dtype="float32").reshape(300, 300)


@pytest.mark.parametrize("compiled", [False, True])
def test_gradient_descent(compiled):
    v, s = tf.Variable(np.ones_like(GRADIENT)), tf.Variable(2.0)
    before = v.read_value()

    def step(g):
        tf.raw_ops.ResourceApplyGradientDescent(var=v.handle, alpha=0.1, delta=g)
        tf.raw_ops.ResourceApplyGradientDescent(var=s.handle, alpha=0.5, delta=tf.reduce_max(g))
        return v + 0.0

    run = tf.function(step) if compiled else step
    wanted = np.ones_like(GRADIENT)
    for i in range(6):
        got = run(tf.constant(GRADIENT * (i + 1)))
        wanted = wanted - np.float32(0.1) * (GRADIENT * np.float32(i + 1))
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(s.numpy(), 2.0 - 0.5 * 21)
    np.testing.assert_array_equal(before, np.ones_like(GRADIENT), "what was read stays")


def test_another_shape_is_refused():
    v = tf.Variable([1.0, 2.0])
    with pytest.raises(tf.errors.InvalidArgumentError, match="do not have the same shape"):
        tf.raw_ops.ResourceApplyGradientDescent(var=v.handle, alpha=0.1, delta=[1.0])
    assert v.numpy().tolist() == [1.0, 2.0]

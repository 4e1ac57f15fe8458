"""`LayerNormalization` of rows whose mean is far from 0 keeps their digits, as Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf

Layer = tf.keras.layers.LayerNormalization


def test_rows_of_one_spread_become_the_same():
    rows = tf.reshape(tf.range(10.0), (5, 2)) * 10
    made = Layer()(rows).numpy()
    assert (made == made[0]).all()
    np.testing.assert_allclose(made[0], [-0.99998, 0.99998], rtol=1e-6)


@pytest.mark.parametrize("axis", [1, -1, [1, 2]])
def test_the_exact_result(axis):
    x = np.arange(12.0).reshape(1, 3, 4) * 7 + 1e4
    axes = tuple(np.ravel(axis))
    away = x - x.mean(axes, keepdims=True)
    exact = away / np.sqrt((away**2).mean(axes, keepdims=True) + 1e-3)
    np.testing.assert_allclose(Layer(axis=axis)(tf.constant(x, tf.float32)), exact, rtol=1e-6)


def test_gradients():
    t = tf.Variable([[1.0, 2.0, 4.0], [100.0, 101.0, 104.0]])
    layer = Layer()
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(t) * [[1.0, 2, 3], [3, 1, 2]])
    of_rows, of_gamma, of_beta = tape.gradient(y, [t, layer.gamma, layer.beta])
    np.testing.assert_allclose(
        of_rows.numpy(),
        [[-0.11494511, 0.17164525, -0.05670014], [0.47516337, -0.6334799, 0.15831706]], rtol=3e-6,
    )  # fmt: skip
    np.testing.assert_allclose(of_gamma.numpy(), [-4.00993, -0.92651355, 6.7527847], rtol=1e-6)
    assert of_beta.numpy().tolist() == [4, 3, 5]

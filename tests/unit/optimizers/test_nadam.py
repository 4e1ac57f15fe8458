"""Nadam to the last digits that Keras 2.15 prints: its decays are float32 before they are used."""

import numpy as np

import shardtape as tf


def test_updates_are_those_of_keras_run_eagerly():
    variable = tf.Variable([1.0, 2.0])
    optimizer = tf.keras.optimizers.Nadam(0.1)
    found = []
    for i in range(5):
        optimizer.apply_gradients([(tf.constant([0.1, -0.3]) * (i + 1), variable)])
        found.append(variable.numpy())
    wanted = [
        [0.89372134, 2.1062787], [0.79910773, 2.2008922], [0.7067677, 2.2932322],
        [0.6137723, 2.3862276], [0.5190583, 2.4809415],
    ]  # fmt: skip
    np.testing.assert_allclose(found, wanted, rtol=2.5e-7)  # with other decays it is 6e-6 off
    _, momentum, velocity = optimizer.variables
    np.testing.assert_allclose(momentum, [0.13144103, -0.3943231], rtol=1e-7)
    np.testing.assert_allclose(velocity, [0.00054949, 0.00494544], rtol=6e-6)

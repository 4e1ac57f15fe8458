"""Tensors are freed when nothing refers to them, without waiting for the garbage collector.

Arrays of a training step that live on until it runs make the next steps work in cold memory, and
the process as large as it can be.
"""

import gc

import numpy as np
import pytest

import shardtape as tf
from shardtape.tensor import EagerTensor

X = np.linspace(-1, 1, 32 * 20, dtype="float32").reshape(32, 20)


def model():
    return tf.keras.Sequential(
        [
            tf.keras.layers.Dense(30, activation="relu"),
            tf.keras.layers.BatchNormalization(),
            tf.keras.layers.Dense(3),
        ]
    )


def eager_step():
    net, optimizer = model(), tf.keras.optimizers.Adam()

    def step():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(net(X, training=True) ** 2)
        variables = net.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables))

    return step


def traced_step():
    return tf.function(eager_step())


def fit_step():
    net = model()
    net.compile("adam", "mse")
    targets = np.zeros((32, 3), "float32")
    return lambda: net.train_on_batch(X, targets)


def structures():
    w = tf.Variable(X)

    def step():
        with tf.GradientTape(persistent=True) as tape:
            z = {"a": tf.sin(w) * w, "b": (tf.exp(w), [w + 1.0])}
        tape.gradient(z, {"w": [w]})
        tf.nest.map_structure(lambda t: t * 2.0, z)

    return step


@pytest.mark.parametrize("make", [eager_step, traced_step, fit_step, structures])
def test_a_step_leaves_no_tensor_to_the_collector(make):
    step = make()
    for _ in range(6):
        step()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        step()
        gc.collect()
        left = [o for o in gc.garbage if isinstance(o, (EagerTensor, np.ndarray))]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert left == []

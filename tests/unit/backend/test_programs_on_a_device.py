"""Whole programs on the strict stand-in for a GPU give what they give on the host."""

import copy
import pickle

import numpy as np
import pytest
from unit.backend import strict_device

import shardtape as tf
from shardtape import backend

layers, RNG = tf.keras.layers, np.random.default_rng(0)
X, Y = RNG.normal(size=(32, 8)).astype(np.float32), RNG.integers(0, 3, 32)
IMAGES = RNG.normal(size=(32, 8, 8, 1)).astype(np.float32)
WORDS = RNG.integers(0, 20, (32, 6))
LOSS = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def written():
    v = tf.Variable([1.0, 2.0, 3.0])
    v.assign([2.0, 3.0, 4.0])
    v.assign_add(tf.sqrt([1.0, 4.0, 9.0]))
    v[0].assign(5.0)
    v.scatter_add(tf.IndexedSlices(tf.sqrt([4.0, 9.0]), [1, 1]))
    v.scatter_nd_update([[2]], [7.0])
    return v.numpy()


def copied():
    v = tf.Variable([1.0, 2.0])
    v.assign_add(tf.sqrt([4.0, 9.0]))
    copies = copy.deepcopy(v), pickle.loads(pickle.dumps(v))
    v.assign([0.0, 0.0])
    return np.stack([c.numpy() for c in copies])


def loss_of(w, x=X, y=Y):
    logits = tf.matmul(x, w)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))


def by_hand():
    w = tf.Variable(tf.zeros([8, 3]))
    for _ in range(5):
        with tf.GradientTape() as tape:
            loss = loss_of(w)
        w.assign_sub(0.1 * tape.gradient(loss, w))
    return w.numpy()


def by_optimizer(optimizer):
    def run():
        w, made = tf.Variable(tf.zeros([8, 3])), optimizer()

        @tf.function
        def step(x, y):
            with tf.GradientTape() as tape:
                loss = loss_of(w, x, y)
            made.apply_gradients([(tape.gradient(loss, w), w)])
            return loss

        losses = [step(X, Y).numpy() for _ in range(8)]  # plans are specialised by then
        return np.append(losses, w.numpy())

    return run


def branches_and_loops():
    @tf.function
    def f(x):
        if tf.reduce_sum(x) > 0:
            while tf.reduce_sum(x) < 100:
                x = x * 2
        return x

    x = tf.Variable([1.0, 2.0])
    for _ in range(6):
        with tf.GradientTape() as tape:
            y = f(x)
    return np.stack([y.numpy(), tape.gradient(y, x).numpy()])


def picked():
    def pick(i):
        return tf.switch_case(i, [lambda: X[0] * 2.0, lambda: tf.sqrt(abs(X[0]))])

    doubled = tf.map_fn(lambda x: tf.reduce_sum(x) * 2.0, tf.constant(X))
    return np.concatenate([tf.function(pick)(tf.constant(1)).numpy(), doubled.numpy()])


def fitted(make, x, optimizer):
    def run():
        tf.keras.utils.set_random_seed(1)
        model = tf.keras.Sequential(make())
        model.compile(optimizer, LOSS, metrics=["accuracy"])
        history = model.fit(x, Y, epochs=4, batch_size=8, verbose=0).history
        evaluated = model.evaluate(x, Y, verbose=0)
        return np.concatenate([history["loss"], evaluated, model.predict(x, verbose=0).ravel()])

    return run


def dense():
    return [layers.Dense(16, "relu", input_shape=(8,)), layers.BatchNormalization(),
            layers.Dropout(0.2), layers.LayerNormalization(), layers.Dense(3)]  # fmt: skip


def convolutional():
    return [layers.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 1)),
            layers.MaxPooling2D(), layers.Flatten(), layers.Dense(3)]  # fmt: skip


def recurrent():
    return [layers.Embedding(20, 4), layers.LSTM(5), layers.Dense(3)]


PROGRAMS = {
    "written": written,
    "copied": copied,
    "by hand": by_hand,
    "SGD": by_optimizer(lambda: tf.keras.optimizers.SGD(0.1, momentum=0.9)),
    "Adam": by_optimizer(lambda: tf.keras.optimizers.Adam(0.1)),
    "branches and loops": branches_and_loops,
    "picked": picked,
    "dense layers": fitted(dense, X, "adam"),
    "convolutions": fitted(convolutional, IMAGES, "rmsprop"),
    "recurrent": fitted(recurrent, WORDS, "sgd"),
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_the_device_gives_what_the_host_gives(program):
    expected = program()
    with backend.using_accelerator(strict_device.accelerator()), tf.device("/GPU:0"):
        got = program()
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)


def test_a_variable_goes_to_the_device_with_what_is_added_to_it():
    with backend.using_accelerator(strict_device.accelerator()):
        v = tf.Variable([1.0, 2.0])
        assert v.device.endswith("CPU:0")
        with tf.device("/GPU:0"):
            v.assign_add(tf.sqrt([4.0, 9.0]))
        assert v.value().device.endswith("GPU:0")
        v.assign([1.0, 1.0])
        assert v.value().device.endswith("GPU:0")
        np.testing.assert_array_equal(v.numpy(), [1.0, 1.0])

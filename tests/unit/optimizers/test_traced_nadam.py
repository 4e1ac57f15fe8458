"""Nadam inside traced functions, whose momenta Keras multiplies otherwise; its values."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras


def updates(build):
    optimizer = keras.optimizers.Nadam(0.1)
    v, w = tf.Variable([1.0, 2.0]), tf.Variable(3.0)
    if build:
        optimizer.build([v, w])

    def apply():
        optimizer.apply_gradients([(tf.constant([0.5, -0.1]), v), (tf.constant(1.0), w)])

    return apply, tf.function(apply), lambda: [*v.numpy(), w.numpy()]


def test_a_function_that_makes_the_slots():
    _, traced, values = updates(build=False)
    for expected in (
        [0.8937212, 2.1062787, 2.9264503],
        [0.8171011, 2.1828988, 2.8587842],
        [0.7500501, 2.2499497, 2.7917333],
    ):
        traced()
        np.testing.assert_allclose(values(), expected, rtol=1e-6)


def test_a_function_of_a_built_optimizer_and_eager_updates_between():
    eager, traced, values = updates(build=True)
    for run, expected in (
        (traced, [0.8937212, 2.1062787, 2.8937213]),
        (traced, [0.8163624, 2.1836374, 2.8257802]),
        (traced, [0.7491866, 2.2508132, 2.7603078]),
        (eager, [0.6817887, 2.3182111, 2.693320]),
        (traced, [0.612431, 2.3875687, 2.6240721]),
    ):
        run()
        np.testing.assert_allclose(values(), expected, rtol=1e-6)


def test_eager_updates_alone_multiply_once():
    eager, _, values = updates(build=False)
    for expected in ([0.8937212, 2.1062787, 2.8937213], [0.8163624, 2.1836374, 2.8163626]):
        eager()
        np.testing.assert_allclose(values(), expected, rtol=1e-6)


@pytest.mark.parametrize(
    "eagerly, expected",
    [
        (False, [154.3491211, 144.2626343, 135.0218658, 123.2089081, 109.4701843]),
        (True, [153.5483856, 141.2780151, 131.6644287, 119.9602203, 106.4950638]),
    ],
)
def test_fit(eagerly, expected):
    x = np.random.default_rng(0).random((60, 6)).astype("float32")
    model = keras.Sequential([
        keras.layers.Dense(4, kernel_initializer="ones", input_shape=(6,)),
        keras.layers.Dense(1, kernel_initializer="ones"),
    ])  # fmt: skip
    model.compile(keras.optimizers.Nadam(0.01), "mse", run_eagerly=eagerly)
    losses = model.fit(x, x[:, :1], epochs=3, shuffle=False, verbose=0).history["loss"]
    more = model.fit(x, x[:, :1], epochs=2, batch_size=20, shuffle=False, verbose=0)
    np.testing.assert_allclose([*losses, *more.history["loss"]], expected, rtol=2e-6)


def test_one_variable_stays_finite_where_keras_divides_by_zero():
    optimizer, table = keras.optimizers.Nadam(0.1), tf.Variable([[1.0, 2.0], [3.0, 4.0]])

    @tf.function
    def step():
        rows = tf.IndexedSlices(tf.ones((1, 2)), tf.constant([1]), tf.constant([2, 2]))
        optimizer.apply_gradients([(rows, table)])

    step()
    np.testing.assert_allclose(table, [[1.0, 2.0], [2.8937213, 3.8937213]], rtol=1e-6)
    step()
    assert not optimizer.rule.products and np.isfinite(table).all()


@pytest.mark.parametrize("metrics", [None, ["accuracy"]])
def test_a_step_that_makes_the_slots_and_the_metrics_is_traced_twice_not_thrice(metrics):
    model = keras.Sequential(
        [keras.layers.Dense(3, "softmax", kernel_initializer="ones", input_shape=(2,))]
    )
    model.compile(keras.optimizers.Nadam(0.1), "sparse_categorical_crossentropy", metrics)
    x = np.array([[0.1, 0.8], [0.9, 0.3], [0.5, 0.6]])
    model.fit(np.tile(x, (4, 1)), np.array([0, 1, 2] * 4), batch_size=3, shuffle=False, verbose=0)
    expected = [
        [0.6871886849, 1.3118106127, 0.94323605299], [1.311729908, 0.69147032499, 1.223652959]
    ]  # fmt: skip
    np.testing.assert_allclose(model.get_weights()[0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    "name, metrics, expected",
    [
        ("m.h5", None, 0.9949679), ("m.h5", ["mae"], 0.9949679), ("m.keras", None, 0.9949679),
        ("m.keras", ["mae"], 0.99494237), ("weights", ["mae"], 0.99562484),
    ],
)  # fmt: skip
def test_keras_files_hold_no_product_of_momenta(tmp_path, name, metrics, expected):
    def made():
        model = keras.Sequential([
            keras.layers.Dense(3, "relu", kernel_initializer="ones", input_shape=[6]),
            keras.layers.Dense(1, kernel_initializer="ones"),
        ])  # fmt: skip
        model.compile(keras.optimizers.Nadam(0.001), "mse", metrics)
        return model

    r = np.random.default_rng(0)
    x, y = r.random((64, 6)), r.random((64, 1))
    model = made()
    model.fit(x, y, epochs=2, verbose=0, shuffle=False)
    if name == "weights":
        model.save_weights(str(tmp_path / name))
        model = made()
        model.load_weights(str(tmp_path / name))
    else:
        model.save(str(tmp_path / name))
        model = keras.models.load_model(str(tmp_path / name))
    model.fit(x, y, verbose=0, shuffle=False)
    np.testing.assert_allclose(model.get_weights()[0][0], [expected] * 3, rtol=1e-6)


def test_a_function_that_makes_slots_is_traced_twice():
    optimizer, v, calls = keras.optimizers.Adam(), tf.Variable(1.0), []

    def update(x):
        calls.append(1)
        optimizer.apply_gradients([(x, v)])

    first = tf.function(update)
    first(tf.constant(1.0))
    first(tf.constant(2.0))
    assert len(calls) == 2 and first.experimental_get_tracing_count() == 2
    tf.function(update)(tf.constant(1.0))  # the slots are there
    assert len(calls) == 3


def test_what_a_built_optimizer_makes_when_it_is_used_needs_no_second_trace():
    optimizer, v, calls = keras.optimizers.Adam(), tf.Variable(1.0), []
    optimizer.build([v])

    @tf.function
    def update(x):
        calls.append(1)
        optimizer.apply_gradients([(x * optimizer.learning_rate, v)])

    update(tf.constant(1.0))
    assert len(calls) == 1 and int(optimizer.iterations) == 1

"""Data of a number of batches that nobody knew: the step that meets its end counts, as in Keras."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
optimizers = keras.optimizers


def dataset(batches=5):
    r = np.random.default_rng(0)
    x, y = r.random((5, 8, 4)).astype("float32"), r.random((5, 8, 1)).astype("float32")
    specs = (tf.TensorSpec((8, 4)), tf.TensorSpec((8, 1)))
    return tf.data.Dataset.from_generator(
        lambda: iter(list(zip(x, y))[:batches]), output_signature=specs
    )


def model_with(optimizer, **options):
    model = keras.Sequential([
        keras.layers.Dense(2, input_shape=(4,), kernel_initializer="ones"),
        keras.layers.Dense(1, kernel_initializer="ones"),
    ])  # fmt: skip
    model.compile(optimizer, "mse", metrics=["mae"], **options)
    return model


@pytest.mark.parametrize(
    "make, count, expected",
    [
        (lambda: optimizers.Adam(0.1), 16, [5.42897129, 0.70948571, 1.45308352]),
        (lambda: optimizers.Nadam(0.1), 16, [7.19402313, 0.73571098, 0.33459324]),
        (lambda: optimizers.AdamW(0.1, 0.1), 16, [5.19104862, 0.74162465, 1.32652748]),
        (lambda: optimizers.SGD(optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)), 16,
         [4.4276166, 0.30951294, 0.26488709]),
        (lambda: optimizers.legacy.Adam(0.1), 15, [5.42894697, 0.72536433, 1.47171652]),
    ],
)  # fmt: skip
def test_losses_of_a_dataset_without_a_length(make, count, expected):
    model = model_with(make())
    history = model.fit(dataset(), epochs=3, verbose=0)
    np.testing.assert_allclose(history.history["loss"], expected, rtol=3e-6)
    assert int(model.optimizer.iterations) == count


@pytest.mark.parametrize(
    "given, options, count",
    [
        (dataset, {"epochs": 2}, 11),  # the length is known in the second epoch
        (lambda: iter(list(dataset())), {}, 6),
        (dataset, {"steps_per_epoch": 5}, 5),
        (lambda: dataset().repeat(), {"steps_per_epoch": 7, "epochs": 2}, 14),
        (dataset, {"steps_per_epoch": 7, "epochs": 2}, 6),
        (lambda: dataset().apply(tf.data.experimental.assert_cardinality(5)), {"epochs": 2}, 10),
    ],
)
def test_which_ends_count(given, options, count):
    model = model_with("sgd")
    model.fit(given(), verbose=0, **options)
    assert int(model.optimizer.iterations) == count


def test_eager_steps_wait_for_their_batch():
    model = model_with("sgd", run_eagerly=True)
    model.fit(dataset(), epochs=2, verbose=0)
    assert int(model.optimizer.iterations) == 10


@pytest.mark.parametrize(
    "make, expected",
    [
        (lambda: optimizers.Adam(0.1), [5.35350323, 0.29712430, 0.95816249]),
        (lambda: optimizers.Nadam(0.1), [6.61575079, 0.93393344, 0.14687790]),
        (lambda: optimizers.AdamW(0.1, 0.1), [5.07315397, 0.33557683, 0.95392162]),
        (lambda: optimizers.SGD(0.1, 0.9), [6.01628017, 1.21601653, 1.84579563]),
        (lambda: optimizers.RMSprop(0.1, centered=True), [2.85906005, 0.10227726, 0.08263788]),
        (lambda: optimizers.RMSprop(0.1, momentum=0.9), [3.89645958, 1.63906991, 1.87621021]),
        (lambda: optimizers.Adamax(0.1), [5.73091269, 0.36056221, 0.14279146]),
        (lambda: optimizers.Adadelta(1.0), [12.23361874, 11.82542229, 11.42872715]),
        (lambda: optimizers.Lion(0.1), [5.22830677, 0.79446232, 0.60010040]),
    ],
)
def test_slots_of_variables_with_gradients_of_rows_decay_at_the_end(make, expected):
    r = np.random.default_rng(0)
    x, y = r.integers(0, 6, (5, 8, 2)), r.random((5, 8, 1)).astype("float32")
    specs = (tf.TensorSpec((8, 2), tf.int64), tf.TensorSpec((8, 1)))
    data = tf.data.Dataset.from_generator(lambda: zip(x, y), output_signature=specs)
    model = keras.Sequential([
        keras.layers.Embedding(6, 2, input_length=2, embeddings_initializer="ones"),
        keras.layers.Flatten(),
        keras.layers.Dense(1, kernel_initializer="ones"),
    ])  # fmt: skip
    model.compile(make(), "mse", metrics=["mae"])
    history = model.fit(data, epochs=3, verbose=0).history
    np.testing.assert_allclose(history["loss"], expected, rtol=3e-6)

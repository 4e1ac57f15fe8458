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

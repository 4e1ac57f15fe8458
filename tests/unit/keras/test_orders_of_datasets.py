"""Which iteration over a shuffled dataset a call trains on; TensorFlow 2.15's figures."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.backend import random

LAYERS = tf.keras.layers


@pytest.fixture(autouse=True)
def _no_global_seed():
    random.current_seed().set(None)


X = np.linspace(-1, 1, 24).astype("float32")[:, None]
Y = (3 * X + 1 + np.sin(9 * X)).astype("float32")


def shuffled():
    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(24, seed=7).batch(4)


def model():
    made = tf.keras.Sequential([LAYERS.Dense(1, kernel_initializer="ones")])
    made.compile(tf.keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    return made


def order(dataset):
    return [float(np.ravel(x[0] if isinstance(x, tuple) else x)[0]) for x in dataset]


def iterations(use):
    """How many orders of a shuffled dataset a call takes."""
    known = shuffled()
    orders = [order(known) for _ in range(9)]
    dataset = shuffled()
    use(dataset)
    return orders.index(order(dataset))


def adapt(dataset):
    LAYERS.Normalization().adapt(dataset.map(lambda x, y: x))


USES = {
    "one epoch": (2, lambda d: model().fit(d, verbose=0)),
    "two epochs": (3, lambda d: model().fit(d, epochs=2, verbose=0)),
    "steps": (1, lambda d: model().fit(d, epochs=2, steps_per_epoch=3, verbose=0)),
    "whole steps": (3, lambda d: model().fit(d, epochs=2, steps_per_epoch=6, verbose=0)),
    "validation": (7, lambda d: model().fit(d, epochs=2, validation_data=d, verbose=0)),
    "evaluate": (2, lambda d: model().evaluate(d, verbose=0)),
    "predict": (2, lambda d: model().predict(d, verbose=0)),
    "adapt": (2, adapt),
    "repeat": (3, lambda d: list(d.repeat(2))),
    "repeat and stop": (2, lambda d: list(d.repeat(2).take(7))),
    "concatenate": (2, lambda d: list(d.concatenate(d))),
    "reduce": (1, lambda d: d.reduce(0, lambda s, _: s + 1)),
}


@pytest.mark.parametrize("name", USES)
def test_orders_that_a_call_takes(name):
    count, use = USES[name]
    assert iterations(use) == count


def test_training_on_a_shuffled_dataset_gives_the_figures_of_keras():
    dataset, trained = shuffled(), model()
    history = trained.fit(dataset, epochs=3, verbose=0, validation_data=dataset).history
    np.testing.assert_allclose(
        history["loss"], [2.4294729232788086, 1.075631856918335, 0.7241959571838379], rtol=1e-5
    )
    np.testing.assert_allclose(
        history["val_loss"], [1.3386330604553223, 0.7676758766174316, 0.5920966267585754], rtol=1e-5
    )
    history = trained.fit(dataset, epochs=2, steps_per_epoch=6, verbose=0).history
    np.testing.assert_allclose(history["loss"], [0.573022186756134, 0.5208310484886169], rtol=1e-5)
    history = trained.fit(dataset.repeat(), epochs=2, steps_per_epoch=4, verbose=0).history
    np.testing.assert_allclose(
        history["loss"], [0.44840702414512634, 0.6139945983886719], rtol=1e-5
    )
    found = trained.evaluate(dataset, verbose=0)
    np.testing.assert_allclose(found, [0.47754788398742676, 0.6310701966285706], rtol=1e-5)
    predicted = trained.predict(dataset, verbose=0)[:3].ravel()
    np.testing.assert_allclose(predicted, [2.4806752, -1.068513, -1.3415276], rtol=1e-5)


def test_validation_with_steps_begins_anew_and_too_few_batches_end_the_training():
    plain = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    made = model()
    seen = []
    watch = tf.keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(
            (logs["val_loss"], made.evaluate(plain.take(2), verbose=0)[0])
        )
    )
    made.fit(plain, epochs=2, verbose=0, validation_data=plain, validation_steps=2,
             callbacks=[watch])  # fmt: skip
    for in_training, alone in seen:
        np.testing.assert_allclose(in_training, alone, rtol=1e-6)
    history = made.fit(plain, epochs=3, steps_per_epoch=7, verbose=0).history
    assert len(history["loss"]) == 1

"""Which batches share a trace of a model's step, told by the masks of a seeded Dropout.

The losses are TensorFlow 2.15's: each trace has a stream of random numbers of its own.
"""

import numpy as np
import pytest

import shardtape as tf

layers = tf.keras.layers

X = np.arange(32, dtype=np.float32).reshape(8, 4) / 32
Y = np.zeros((8, 8), np.float32)
WEIGHTS = np.ones(8, np.float32)


def fit(model, **options):
    options = {"batch_size": 8, "verbose": 0, "shuffle": False, **options}
    return model.fit(X, Y, **options).history["loss"][0]


STEPS = {
    "fit": fit,
    "weighted fit": lambda model: fit(model, sample_weight=WEIGHTS),
    "fit of threes": lambda model: fit(model, batch_size=3),
    "evaluate": lambda model: model.evaluate(X, Y, verbose=0),
    "batch": lambda model: model.train_on_batch(X, Y),
    "weighted batch": lambda model: model.train_on_batch(X, Y, sample_weight=WEIGHTS),
    "batch of 4": lambda model: model.train_on_batch(X[:4], Y[:4]),
    "batch of 3": lambda model: model.train_on_batch(X[:3], Y[:3]),
}

KNOWN = [
    {"fit": 9.9561, "fit ": 7.5962, "batch": 9.854, "batch ": 10.7383},
    {"fit": 9.9561, "weighted batch": 9.7183, "batch": 7.5962, "fit ": 9.854,
     "weighted batch ": 8.5042},
    {"weighted fit": 9.9561, "weighted fit ": 7.5962, "batch": 9.7183, "weighted batch": 9.854},
    {"fit": 9.9561, "evaluate": 5.0664, "batch": 7.5962, "weighted batch": 9.7183,
     "batch of 4": 2.1431, "batch ": 9.854, "batch of 4 ": 2.1519, "batch of 4  ": 2.7256},
    {"batch": 9.9561, "batch of 4": 1.5537, "batch of 3": 1.8392, "batch ": 7.5962,
     "batch of 3 ": 0.8802},
    {"fit": 9.9561, "fit of threes": 6.6587, "fit ": 7.5962, "fit of threes ": 10.3081,
     "batch of 4": 1.6665},
]  # fmt: skip


@pytest.mark.parametrize("known", KNOWN)
def test_batches_of_the_same_kind_share_a_stream(known):
    tf.keras.utils.set_random_seed(7)
    dense = layers.Dense(8, input_shape=(4,), kernel_initializer="ones")
    model = tf.keras.Sequential([dense, layers.Dropout(0.5, seed=3)])
    model.compile(tf.keras.optimizers.SGD(0.0), "mse")
    found = [STEPS[name.strip()](model) for name in known]
    np.testing.assert_allclose(found, list(known.values()), atol=2e-4)

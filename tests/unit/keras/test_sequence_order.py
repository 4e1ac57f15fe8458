"""When `fit`, `evaluate` and `predict` read a `Sequence`; the logs are those of Keras 2.15."""

import random

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras


class Source(keras.utils.Sequence):
    """Notes what is asked of it, and the next number of Python's generator."""

    def __init__(self, log):
        self._log = log

    def __len__(self):
        return 5

    def __getitem__(self, i):
        self._log.append((i, round(random.random(), 3)))
        return np.ones((2, 3)), np.ones(2)

    def on_epoch_end(self):
        self._log.append("end")


@pytest.fixture
def model():
    made = keras.Sequential([keras.layers.Dense(1, input_shape=(3,))])
    made.compile("sgd", "mse")
    return made


def test_the_first_batch_is_seen_before_the_shuffled_ones(model):
    log = []
    keras.utils.set_random_seed(5)
    model.fit(Source(log), epochs=2, verbose=0)
    assert log == [
        (0, 0.623), (4, 0.649), (3, 0.901), (1, 0.113), (0, 0.469), (2, 0.247), "end",
        (1, 0.013), (3, 0.217), (2, 0.279), (0, 0.916), (4, 0.766), "end",
    ]  # fmt: skip


def test_an_epoch_ends_after_its_validation(model):
    log, told = [], []
    keras.utils.set_random_seed(5)
    say = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: told.append(len(log)))
    model.fit(Source(log), epochs=2, verbose=0, validation_data=Source(log), callbacks=[say])
    order = [entry if entry == "end" else entry[0] for entry in log]
    assert order == [
        0, 4, 3, 1, 0, 2, 0, 0, 1, 2, 3, 4, "end", "end",
        4, 2, 0, 1, 3, 0, 1, 2, 3, 4, "end", "end",
    ]  # fmt: skip
    assert told == [13, 25]  # between the two ends


def test_evaluate_and_predict_go_in_order(model):
    for run in (model.evaluate, model.predict):
        log = []
        run(Source(log), verbose=0)
        order = [entry if entry == "end" else entry[0] for entry in log]
        assert order == [0, 0, 1, 2, 3, 4, "end"]

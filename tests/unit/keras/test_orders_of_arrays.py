"""In which order `fit` goes over arrays, and where epochs of fewer steps go on: Keras 2.15's."""

import numpy as np
import pytest

import shardtape as tf


class Seeing(tf.keras.Model):
    """Keeps the batches that it is given."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def train_step(self, data):
        x = data[0] if isinstance(data, tuple) else data
        self.seen.append(x.numpy().ravel().tolist())
        return {"n": float(len(self.seen))}

    def test_step(self, data):
        return {"n": 0.0}

    def call(self, x):
        return x


def fit(data, seed=3, **options):
    tf.random.set_seed(seed)
    model = Seeing()
    model.compile(run_eagerly=True)
    history = model.fit(data, verbose=0, **options).history
    return model.seen, history["n"]


PASSES = [[3, 5, 2], [4, 0, 6], [1], [4, 6, 2], [3, 0, 1], [5], [0, 6, 3], [4, 1, 2], [5]]


@pytest.mark.parametrize(
    ("options", "count", "history"),
    [
        ({"epochs": 2}, 6, [3.0, 6.0]),
        ({"epochs": 3, "steps_per_epoch": 2}, 6, [2.0, 4.0, 6.0]),
        ({"epochs": 3, "steps_per_epoch": 5}, 9, [5.0, 9.0]),
        ({"epochs": 3, "steps_per_epoch": 3, "initial_epoch": 1}, 6, [3.0, 6.0]),
        ({"epochs": 3, "steps_per_epoch": 4, "initial_epoch": 1}, 6, [4.0, 6.0]),
    ],
)
def test_an_epoch_goes_on_where_the_last_one_stopped(options, count, history):
    seen, found = fit(np.arange(7), batch_size=3, **options)
    assert seen == (PASSES[:count]) and found == history


def test_orders_follow_from_the_global_seed_alone():
    first = [[7, 4], [2, 6], [5, 3], [0, 1], [6, 1], [0, 5], [3, 2], [7, 4]]
    assert fit(np.arange(8), batch_size=2, epochs=2)[0] == first
    tf.random.set_seed(3)
    tf.random.uniform([3])  # what is drawn elsewhere does not matter
    model = Seeing()
    model.compile(run_eagerly=True)
    for _ in range(2):  # each call begins anew
        model.fit(np.arange(8), batch_size=2, epochs=2, verbose=0)
    assert model.seen == first + first
    wanted = {0: [2, 3, 4, 1, 0], -7: [0, 3, 1, 4, 2], 2**40 + 3: [1, 2, 3, 0, 4]}
    for seed, order in wanted.items():
        assert fit(np.arange(5), seed)[0] == [order]


def test_without_a_seed_orders_differ():
    from shardtape.backend import random

    random.current_seed().set(None)
    model = Seeing()
    model.compile(run_eagerly=True)
    model.fit(np.arange(50), batch_size=50, epochs=2, verbose=0)
    first, second = model.seen
    assert first != second and sorted(first) == sorted(second) == list(range(50))


def test_what_is_held_out_leaves_the_limit():
    seen, found = fit(np.arange(7), batch_size=2, epochs=2, steps_per_epoch=2, validation_split=0.3)
    assert seen == [[3, 2], [1, 0], [1, 2], [3, 0]] and found == [2.0, 4.0]


def test_without_shuffling_epochs_go_on_too():
    seen, _ = fit(np.arange(10), batch_size=4, epochs=3, shuffle=False, steps_per_epoch=2)
    assert seen == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_data_that_ends_with_an_epoch_ends_the_training(caplog):
    dataset = tf.data.Dataset.range(8).batch(2)
    seen, found = fit(dataset, epochs=4, steps_per_epoch=2)
    assert seen == [[0, 1], [2, 3], [4, 5], [6, 7]] and found == [2.0, 4.0, 4.0]
    assert "ran out of data" in caplog.text


def test_evaluation_of_too_many_steps_warns(caplog):
    model = Seeing()
    model.compile(run_eagerly=True)
    assert model.evaluate(np.arange(7), batch_size=3, steps=5, verbose=0) == 0.0
    assert "2 more" in caplog.text

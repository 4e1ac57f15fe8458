"""Whole jobs in one process: threads for workers, in-process channels for shards."""

from __future__ import annotations

import threading

import numpy as np

import shardtape as tf
from shardtape import optimizers
from shardtape.workers import data
from shardtape.workers.config import resolve
from shardtape.workers.job import Functions
from shardtape.workers.local import LocalRunner
from shardtape.workers.step import CompiledStep

EXAMPLES = 200
_rng = np.random.default_rng(5)
X = _rng.normal(size=(EXAMPLES, 6)).astype("float32")
Y = (X @ _rng.normal(size=(6, 1)).astype("float32")).astype("float32")
TRAIN = {"x": X, "y": Y}


def linear():
    """Linear regression with a hidden layer; 4 variables."""
    x = tf.placeholder(tf.float32, (None, 6), name="x")
    y = tf.placeholder(tf.float32, (None, 1), name="y")
    w = tf.Variable(tf.random.normal((6, 8), stddev=0.3, seed=1), name="w")
    v = tf.Variable(tf.random.normal((8, 1), stddev=0.3, seed=2), name="v")
    b = tf.Variable(tf.zeros((1,)), name="b")
    error = tf.matmul(tf.tanh(tf.matmul(x, w)), v) + b - y
    return tf.Step(tf.reduce_mean(tf.square(error)), metrics={"bias": tf.reduce_mean(error)})


_building = threading.Lock()


def build(model, seed, feeds):
    """A step that is traced by one thread at a time: several workers in one process, which each
    trace the model, are a matter of these tests only."""
    with _building:
        step = CompiledStep(model, seed, feeds)
        evaluate = step.evaluate

        def one_at_a_time(feed):
            with _building:
                return evaluate(feed)

        step.evaluate = one_at_a_time
        return step


def start(
    model=linear,
    train=TRAIN,
    test=None,
    shards=1,
    workers=1,
    optimizer=None,
    builder=build,
    **options,
):
    """A LocalRunner with small defaults; `workers` threads, whatever the config says."""
    options = {"job": "twin", "epochs": 2, "batch_size": 8, "seed": 3, **options}
    config = resolve(options, environment={})
    if workers > 1:
        config.workers = workers  # the coordinator waits for so many; there are no processes
        config.heartbeat_timeout_s = 1e9  # threads send no heartbeats
    train_spec = data.describe(
        train,
        name="train",
        batch_size=config.batch_size,
        seed=config.seed,
        splits=config.splits,
    )
    test_spec = None
    if test is not None:
        test_spec = data.describe(test, name="test", batch_size=50, shuffle=False)
    functions = Functions(model, train_spec.function, test_spec and test_spec.function, builder)
    optimizer = optimizers.get(optimizer or optimizers.Adam(0.01))
    return LocalRunner(
        config, functions, train_spec, test_spec, optimizer, shards=shards, workers=workers
    )


def finish(runner, deadline_s=60):
    """Waits for a runner; its outcome."""
    try:
        outcome = runner.wait(deadline_s)
        assert outcome is not None, runner.status(0)
        return outcome
    finally:
        runner.close()


def run(**arguments):
    """Runs a job to its end; raises what it failed with."""
    outcome = finish(start(**arguments))
    if outcome.error is not None:
        raise outcome.error
    return outcome

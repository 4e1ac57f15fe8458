"""Whole jobs on the in-process twin: every mode, exactly once, resume, errors of user code."""

import re
import threading
import time

import numpy as np
import pytest
from unit.workers.local_jobs import EXAMPLES, TRAIN, X, Y, finish, linear, run, start

import shardtape as tf
from shardtape import checkpoint, optimizers
from shardtape.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    OpError,
    UnknownError,
)
from shardtape.workers.step import CompiledStep
from shardtape.workers.training import Training

BATCHES = EXAMPLES // 8
MODES = [
    {"mode": "async"},
    {"mode": "ssp", "staleness": 1},
    {"mode": "sync", "round_batches": 4},
]


@pytest.mark.parametrize("options", MODES, ids=lambda o: o["mode"])
@pytest.mark.parametrize(("shards", "workers"), [(1, 1), (3, 2)])
def test_every_batch_is_applied_once_on_every_shard(options, shards, workers):
    outcome = run(shards=shards, workers=workers, test=TRAIN, epochs=3, **options)
    assert outcome.summary["applied_per_shard"] == [3 * BATCHES] * shards
    assert outcome.summary["batches"] == 3 * BATCHES
    assert outcome.summary["duplicates_dropped"] == 0
    assert outcome.tested and outcome.metrics["loss"] < outcome.history[0]["loss"]
    assert len(outcome.history) == 3 and "test_loss" in outcome.history[-1]


def test_with_backups_every_batch_still_counts_once():
    outcome = run(mode="sync", round_batches=2, backup_workers=1, shards=2, workers=3, epochs=3)
    assert outcome.summary["applied_per_shard"] == [3 * BATCHES] * 2


def test_sync_results_depend_neither_on_workers_nor_on_shards():
    digests = {
        run(mode="sync", round_batches=4, shards=shards, workers=workers).digest
        for shards, workers in [(1, 1), (1, 4), (2, 2), (3, 1)]
    }
    assert len(digests) == 1 and digests != {""}


def test_a_sync_round_of_one_batch_is_plain_training():
    a = run(mode="sync", round_batches=1)
    b = run(mode="async")
    assert a.summary["steps"] == b.summary["steps"] == 2 * BATCHES
    assert a.digest == b.digest


def test_data_from_a_function_in_splits_of_unknown_length():
    def numbers(split, of):
        for start_ in range(split * 8, EXAMPLES, of * 8):
            yield {"x": X[start_ : start_ + 8], "y": Y[start_ : start_ + 8]}

    for options in MODES:
        outcome = run(train=numbers, shards=2, workers=2, **options)
        assert outcome.summary["applied_per_shard"] == [2 * BATCHES] * 2, options
        assert outcome.summary["batches"] == 2 * BATCHES


@pytest.mark.parametrize("options", MODES, ids=lambda o: o["mode"])
def test_a_stop_in_mid_epoch_loses_nothing(options, tmp_path):
    gate = threading.Event()

    def slow(split, of):
        for number in range(6):
            if split == 1 and number == 3:
                gate.set()
            time.sleep(0.002)
            yield {"x": X[:8] * (split + 1), "y": Y[:8]}

    common = {"train": slow, "checkpoint_dir": str(tmp_path), "splits": 4, "epochs": 30}
    runner = start(**common, shards=2, **options)
    assert gate.wait(30)
    runner.stop("the test says so")
    outcome = finish(runner)
    assert outcome.error is None and outcome.interrupted and outcome.checkpoint
    done = outcome.summary["applied_per_shard"]
    assert 0 < done[0] < 30 * 24
    resumed = run(**{**common, "epochs": 3}, shards=1, workers=2, resume=True, **options)
    assert resumed.summary["applied_per_shard"] == [3 * 24]
    assert resumed.summary["steps"] == 3 * 24


@pytest.mark.parametrize("options", MODES, ids=lambda o: o["mode"])
def test_a_lost_shard_rolls_the_job_back(options, tmp_path):
    gate = threading.Event()

    def slow(split, of):
        for _ in range(6):
            gate.wait(30)
            yield {"x": X[:8] * (split + 1), "y": Y[:8]}

    common = {"train": slow, "splits": 2, "epochs": 20, "shards": 2, **options}
    calm = common | {"train": lambda split, of: slow(split, of)}
    gate.set()
    expected = run(**calm)
    gate.clear()
    runner = start(
        **common, checkpoint_dir=str(tmp_path), checkpoint_every="40 steps", keep_checkpoints=9
    )
    gate.set()
    while not checkpoint.whole_checkpoints(str(tmp_path)):
        time.sleep(0.001)
    runner.fleet.channels[1].close()  # to the coordinator it is dead now
    outcome = finish(runner)
    assert outcome.error is None, outcome.error
    notes = [note.text for note in runner.status(0).notes]
    if any("rolled back" in text for text in notes):
        assert runner.coordinator.shards.generation == 1
    assert outcome.summary["rollbacks"] == sum("rolled back" in text for text in notes)
    assert outcome.summary["applied_per_shard"] == [20 * 12] * 2
    assert outcome.summary["steps"] == 20 * 12
    if options["mode"] == "sync":  # elsewhere each shard cuts at a place of its own
        assert outcome.digest == expected.digest


@pytest.mark.parametrize("options", MODES, ids=lambda o: o["mode"])
def test_a_shard_that_is_lost_in_the_roll_back_is_rolled_back_again(options, tmp_path):
    gate = threading.Event()

    def slow(split, of):
        for _ in range(6):
            gate.wait(30)
            yield {"x": X[:8] * (split + 1), "y": Y[:8]}

    common = {"train": slow, "splits": 2, "epochs": 20, "shards": 2, **options}
    gate.set()
    expected = run(**common)
    gate.clear()
    runner = start(
        **common, checkpoint_dir=str(tmp_path), checkpoint_every="30 steps", keep_checkpoints=9
    )
    replace_shard, replaced = runner.fleet.replace_shard, []

    def replace_by_a_dying_one(index):
        channel = replace_shard(index)
        replaced.append(index)
        if len(replaced) == 1:
            channel.restore = lambda directory: channel.close() or channel.counters()
        return channel

    runner.fleet.replace_shard = replace_by_a_dying_one
    gate.set()
    while not checkpoint.whole_checkpoints(str(tmp_path)):
        time.sleep(0.001)
    gate.clear()
    runner.fleet.channels[1].close()  # to the coordinator it is dead now
    gate.set()
    outcome = finish(runner)
    assert outcome.error is None, outcome.error
    assert outcome.summary["applied_per_shard"] == [20 * 12] * 2
    assert outcome.summary["steps"] == 20 * 12
    assert len(replaced) > 1 and outcome.summary["rollbacks"] == 1, "the first came to nothing"
    if options["mode"] == "sync":
        assert outcome.digest == expected.digest


@pytest.mark.parametrize("options", MODES, ids=lambda o: o["mode"])
def test_a_shard_that_is_lost_before_the_first_checkpoint(options, tmp_path, monkeypatch):
    gate, begun = threading.Event(), threading.Event()

    def slow(split, of):
        for number in range(6):
            if number == 3:
                begun.set()
                gate.wait(30)
            yield {"x": X[:8] * (split + 1), "y": Y[:8]}

    common = {"train": slow, "splits": 2, "epochs": 3, "shards": 2, **options}
    gate.set()
    expected = run(**common)
    gate.clear(), begun.clear()
    with monkeypatch.context() as patched:
        patched.setattr(Training, "_save", lambda self: None)
        runner = start(**common, checkpoint_dir=str(tmp_path), checkpoint_every="1 epoch")
        assert begun.wait(30)
        runner.fleet.channels[1].close()
        gate.set()
        outcome = finish(runner)
    assert outcome.error is None, outcome.error
    assert any("first values" in note.text for note in runner.status(0).notes)
    assert outcome.summary["applied_per_shard"] == [3 * 12] * 2
    assert outcome.summary["steps"] == 3 * 12
    if options["mode"] == "sync":
        assert outcome.digest == expected.digest


def test_checkpoints_by_steps_while_training_goes_on(tmp_path):
    for number, options in enumerate(MODES):
        folder = str(tmp_path / str(number))
        run(
            checkpoint_dir=folder,
            checkpoint_every="10 steps",
            keep_checkpoints=50,
            shards=2,
            epochs=3,
            **options,
        )
        saved = checkpoint.whole_checkpoints(folder)
        assert len(saved) >= 2, options
        steps = [checkpoint.read_manifest(path).state["position"]["steps"] for path in saved]
        assert steps[0] == 3 * BATCHES and steps == sorted(steps, reverse=True)


# ---- errors of user code ----------------------------------------------------------------------


def test_a_model_that_raises_gives_the_users_line():
    def broken():
        return 1 / 0  # the line that counts

    with pytest.raises(UnknownError) as caught:
        run(model=broken)
    text = str(caught.value)
    assert "ZeroDivisionError in the model or the data: division by zero" in text
    assert "1 / 0  # the line that counts" in text and "test_local_job.py" in text
    assert "workers/worker.py" not in text


@pytest.mark.parametrize(
    ("train", "text"),
    [
        ({"x": X, "z": Y}, "'z'"),
        ({"x": X.astype(str), "y": Y}, "'x', which has type float32"),
        ({"x": X[:, :5], "y": Y}, r"\(8, 5\) for placeholder 'x', which has shape \(None, 6\)"),
        ({"x": X}, "'y'"),
    ],
    ids=["name", "dtype", "shape", "missing"],
)
def test_a_wrong_feed_is_named(train, text):
    with pytest.raises(InvalidArgumentError, match=text):
        run(train=train)


def test_more_parts_than_rows():
    with pytest.raises(InvalidArgumentError, match="fewer than the 9 shards"):
        run(partitioner=9)


def poisoned(bad):
    def batches(split, of):
        for number in range(5):
            if (split, number) == bad:
                raise ValueError(f"bad line in split {split}")
            yield {"x": X[:8], "y": Y[:8]}

    return batches


@pytest.mark.parametrize("workers", [1, 2])
def test_a_batch_that_always_raises_stops_the_job(workers):
    with pytest.raises(UnknownError) as caught:
        run(train=poisoned((1, 3)), splits=2, workers=workers, epochs=1)
    text = str(caught.value)
    assert "ValueError in batch 0/1/3" in text and "bad line in split 1" in text
    assert ("1 other before" in text) == (workers == 2)
    assert "raise ValueError" in text


@pytest.mark.parametrize("options", MODES, ids=lambda o: o["mode"])
def test_a_bad_batch_can_be_skipped(options):
    train = {"x": X.copy(), "y": Y}
    bad = []

    def data(split, of):
        for number in range(5):
            if (split, number) == (1, 3):
                bad.append(number)
                yield {"x": X[:8, :2], "y": Y[:8]}
            else:
                yield {"x": train["x"][:8], "y": train["y"][:8]}

    outcome = run(
        train=data,
        splits=2,
        workers=2,
        shards=2,
        epochs=2,
        on_bad_batch="skip",
        **options,
    )
    assert outcome.skipped == ["batch 0/1/3", "batch 1/1/3"]
    assert outcome.summary["applied_per_shard"] == [18, 18]
    assert outcome.summary["skipped"] == 2
    assert len(bad) >= 4


def test_what_a_shard_refuses_is_told():
    def build(model, seed, feeds):
        step = CompiledStep(model, seed, feeds)
        run_step = step.run

        def wrong(*arguments):
            result = run_step(*arguments)
            result.gradients["w"] = np.zeros((2, 2), np.float32)
            return result

        step.run = wrong
        return step

    with pytest.raises(InvalidArgumentError, match=r"in worker-0: .*'w'.*\(2, 2\)"):
        run(builder=build)


def test_models_that_differ_between_workers_are_refused():
    names = iter("abcdef")

    def model():
        step = linear()
        tf.Variable(tf.zeros((2,)), name=next(names), trainable=False)
        return step

    with pytest.raises(FailedPreconditionError, match=r"worker-\d on .* built other variables"):
        run(model=model, workers=2, epochs=2000)


def test_curves_and_figures_are_written(tmp_path):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    outcome = run(
        logdir=str(tmp_path), test=TRAIN, shards=2, epochs=3, log_every=5, optimizer="adam"
    )
    assert outcome.summary["logdir"] == str(tmp_path)

    def load(run_name):
        found = event_accumulator.EventAccumulator(str(tmp_path / run_name))
        found.Reload()
        return found

    train, test, ps = load("train"), load("test"), load("ps")
    assert {"loss", "bias", "examples_per_s", "learning_rate"} <= set(train.Tags()["tensors"])
    assert {"weights/w", "gradients/w"} <= set(train.Tags()["tensors"])
    assert train.Tags()["graph"]
    assert {"loss", "bias"} <= set(test.Tags()["tensors"])
    assert {"staleness/mean", "shard-0/push_bytes", "shard-1/pull_ms"} <= set(ps.Tags()["tensors"])
    steps = [event.step for event in train.Tensors("loss")]
    assert steps[0] in (5, 10) and steps == sorted(set(steps)) and len(steps) > 5
    values = [np.frombuffer(e.tensor_proto.tensor_content, "f4") for e in train.Tensors("loss")]
    assert len(values) == len(steps)


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("place", ["model", "step", "data", "evaluation"])
def test_whatever_user_code_raises_is_told_with_its_line(kind, place):
    def raising(*_):
        raise kind("no data today")  # the line that counts

    def model():
        x = tf.placeholder(tf.float32, (None, 6), name="x")
        y = tf.placeholder(tf.float32, (None, 1), name="y")
        w = tf.Variable(tf.zeros((6, 1)), name="w")
        loss = tf.reduce_mean(tf.square(tf.matmul(x, w) - y))
        return tf.Step(loss + tf.py_function(raising, [x], tf.float32))

    def batches(split, of):
        yield {"x": X[:8], "y": Y[:8]}
        raising()

    changed = {
        "model": {"model": raising},
        "step": {"model": model},
        "data": {"train": batches},
        "evaluation": {"test": batches},
    }[place]
    started = time.monotonic()
    with pytest.raises(UnknownError) as caught:
        run(**changed)
    assert time.monotonic() - started < 30, "nothing is waited for"
    text = str(caught.value)
    assert kind.__name__ in text and "no data today" in text
    assert "# the line that counts" in text


def test_what_every_batch_raises_is_told_once():
    def broken():
        x = tf.placeholder(tf.float32, (None, 6), name="x")
        y = tf.placeholder(tf.float32, (None, 1), name="y")
        w = tf.Variable(tf.zeros((6, 1)), name="w")

        def inner(v):
            raise ValueError("this cannot be read")  # the line that counts

        extra = tf.py_function(inner, [x], tf.float32)
        return tf.Step(tf.reduce_mean(tf.square(tf.matmul(x, w) - y)) + extra)

    runner = start(model=broken, on_bad_batch="skip")
    outcome = finish(runner)
    assert outcome.error is None and len(outcome.skipped) == 2 * BATCHES
    (note,) = [n.text for n in runner.status(0).notes if "cannot be read" in n.text]
    assert note.startswith("skipped: ") and "# the line that counts" in note


def exploding():
    x = tf.placeholder(tf.float32, (None, 6), name="x")
    y = tf.placeholder(tf.float32, (None, 1), name="y")
    w = tf.Variable(tf.ones((6, 1)), name="w")
    return tf.Step(tf.reduce_mean(tf.square(tf.matmul(x, w) - y)) * 1e38)


def test_a_loss_that_is_not_finite_is_told_once_with_its_batch():
    runner = start(model=exploding, optimizer=optimizers.SGD(1e30))
    outcome = finish(runner)
    assert outcome.error is None
    (note,) = [n.text for n in runner.status(0).notes if "not finite" in n.text]
    assert re.search(r"in batch 0/0/[01] on worker-0", note) and "nan=refuse" in note


def test_gradients_that_are_not_finite_can_be_refused():
    with pytest.raises(InvalidArgumentError, match=r"'w'.* NaN or an infinity"):
        run(model=exploding, optimizer=optimizers.SGD(1e30), nan="refuse")


def function_of_a_batch():
    weights = tf.Variable(tf.zeros((6, 1)), name="w")

    def step(batch):
        return tf.Step(tf.reduce_mean(tf.square(tf.matmul(batch["x"], weights) - batch["y"])))

    return step


@pytest.mark.parametrize("options", MODES, ids=lambda o: o["mode"])
def test_splits_without_a_batch(options):
    lengths = [0, 3, 0, 2]

    def numbers(split, of):
        return ({"x": X[:8], "y": Y[:8]} for _ in range(lengths[split]))

    for model in (linear, function_of_a_batch):
        outcome = run(model=model, train=numbers, splits=4, **options)
        assert outcome.summary["applied_per_shard"] == [10], "the first split has no batch"
    lengths[:] = [0] * 4
    for model, text in (
        (linear, "train gave no batch in epoch 1: its 4 splits are empty"),
        (function_of_a_batch, "gave no batch"),
    ):
        with pytest.raises(OpError, match=text):
            run(model=model, train=numbers, splits=4, **options)
    with pytest.raises(InvalidArgumentError, match="train is a dataset without elements"):
        start(train=tf.data.Dataset.from_tensor_slices(X[:5]).batch(8, drop_remainder=True))


def test_workers_that_no_split_is_left_for_are_told():
    def numbers(split, of):
        return ({"x": X[:8], "y": Y[:8]} for _ in range(2))

    for train, splits, told in ((numbers, 2, True), (numbers, 3, False), (TRAIN, 2, False)):
        runner = start(train=train, splits=splits, workers=3)
        assert finish(runner).error is None
        notes = [note.text for note in runner.status(0).notes]
        text = "train is read in 2 splits, each by one worker at a time: 1 of 3 workers have"
        assert any(text in note for note in notes) is told, notes

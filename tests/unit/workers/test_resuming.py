"""Going on from a checkpoint, and what is in its folder: whole, damaged, another run's."""

import re
import time
from dataclasses import replace

import pytest
from unit.workers.local_jobs import EXAMPLES, TRAIN, build, finish, linear, run, start

import shardtape as tf
from shardtape import checkpoint, optimizers
from shardtape.checkpoint.directory import remove_checkpoint
from shardtape.checkpoint.part import MANIFEST
from shardtape.errors import DataLossError, FailedPreconditionError
from shardtape.workers.shard_group import ShardGroup
from shardtape.workers.training import Training

BATCHES = EXAMPLES // 8
MODES = [
    {"mode": "async"},
    {"mode": "ssp", "staleness": 1},
    {"mode": "sync", "round_batches": 4},
]


def notes_of(runner):
    """Waits for a job that succeeds; its notes and outcome."""
    outcome = finish(runner)
    assert outcome.error is None, outcome.error
    return [note.text for note in runner.status(0).notes], outcome


def test_it_resumes_where_it_stopped(tmp_path):
    options = {"checkpoint_dir": str(tmp_path), "test": TRAIN}
    whole = run(epochs=4, test=TRAIN)
    first = run(epochs=2, **options)
    assert first.checkpoint == checkpoint.latest_checkpoint(str(tmp_path))
    second = run(epochs=4, resume=True, **options)
    assert second.digest == whole.digest
    assert second.summary["applied_per_shard"] == [4 * BATCHES]
    assert [h["loss"] for h in second.history] == [h["loss"] for h in whole.history]
    again = run(epochs=4, resume=True, **options)
    assert again.digest == whole.digest, "nothing is left to do"


def test_another_batch_size_at_resume_begins_the_epoch_anew(tmp_path):
    seen = []

    def model():
        step = linear()
        seen.append(step)
        return step

    run(checkpoint_dir=str(tmp_path), epochs=1)
    outcome = run(model=model, checkpoint_dir=str(tmp_path), epochs=2, batch_size=25, resume=True)
    assert outcome.summary["applied_per_shard"] == [BATCHES + EXAMPLES // 25]


def test_a_corrupt_checkpoint_is_refused_by_name(tmp_path):
    run(checkpoint_dir=str(tmp_path), keep_checkpoints=1)
    (file,) = tmp_path.glob("*/*.safetensors")
    data = bytearray(file.read_bytes())
    data[-8] ^= 1
    file.write_bytes(bytes(data))
    with pytest.raises(DataLossError, match=re.escape(file.name)):
        run(checkpoint_dir=str(tmp_path), resume=True)


def test_an_older_checkpoint_is_used_where_the_newest_is_corrupt(tmp_path):
    run(checkpoint_dir=str(tmp_path), epochs=3)
    newest, older = checkpoint.whole_checkpoints(str(tmp_path))[:2]
    (file,) = (tmp_path / newest).glob("*.safetensors")
    data = bytearray(file.read_bytes())
    data[-8] ^= 1
    file.write_bytes(bytes(data))
    runner = start(checkpoint_dir=str(tmp_path), epochs=3, resume=True)
    outcome = finish(runner)
    assert outcome.error is None and outcome.summary["applied_per_shard"] == [3 * BATCHES]
    texts = [note.text for note in runner.status(0).notes]
    assert any(newest in t and "not used" in t for t in texts)
    assert any(f"resumed from {older}" in t for t in texts)


@pytest.mark.parametrize("options", MODES, ids=lambda o: o["mode"])
def test_a_checkpoint_cut_after_the_last_batch_of_an_epoch(options, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        whole = Training.position
        patched.setattr(ShardGroup, "close_epoch", lambda self, epoch: None)
        patched.setattr(Training, "position", lambda self: replace(whole(self), epoch=0))
        run(checkpoint_dir=str(tmp_path), epochs=1, **options)
    outcome = run(checkpoint_dir=str(tmp_path), epochs=2, resume=True, **options)
    assert outcome.summary["applied_per_shard"] == [2 * BATCHES]


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    def other():
        x = tf.placeholder(tf.float32, (None, 6), name="x")
        y = tf.placeholder(tf.float32, (None, 1), name="y")
        w = tf.Variable(tf.zeros((6, 1)), name="w")
        return tf.Step(tf.reduce_mean(tf.square(tf.matmul(x, w) - y)))

    run(checkpoint_dir=str(tmp_path))
    with pytest.raises(FailedPreconditionError, match=r"for w it has float32\[6, 8\], the model"):
        run(model=other, checkpoint_dir=str(tmp_path), resume=True)


# ---- the folder -------------------------------------------------------------------------------


def test_a_run_that_begins_anew_keeps_what_other_runs_left(tmp_path):
    folder = str(tmp_path)
    first = run(checkpoint_dir=folder, epochs=3, keep_checkpoints=1)
    notes, second = notes_of(start(checkpoint_dir=folder, epochs=3, keep_checkpoints=1, seed=8))
    assert second.checkpoint != first.checkpoint
    assert checkpoint.whole_checkpoints(folder) == [second.checkpoint, first.checkpoint]
    with checkpoint.read(first.checkpoint) as found:
        found.verify()
    (note,) = [text for text in notes if "of other runs" in text]
    assert folder in note and "(1)" in note and "--resume" in note


def test_a_run_that_goes_on_prunes_as_one_run(tmp_path):
    folder = str(tmp_path)
    first = run(checkpoint_dir=folder, epochs=1, keep_checkpoints=1)
    second = run(checkpoint_dir=folder, epochs=2, keep_checkpoints=1, resume=True)
    assert checkpoint.whole_checkpoints(folder) == [second.checkpoint] != [first.checkpoint]
    third = run(checkpoint_dir=folder, epochs=3, keep_checkpoints=1, resume=True)
    assert checkpoint.whole_checkpoints(folder) == [third.checkpoint]


def cut_manifest(folder):
    file = folder / MANIFEST
    file.write_bytes(file.read_bytes()[:100])
    return file


def changed_manifest(folder):
    file = folder / MANIFEST
    file.write_bytes(file.read_bytes().replace(b'"async"', b'"asinc"', 1))
    return file


def cut_file(folder):
    (file,) = folder.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    return file


def missing_file(folder):
    (file,) = folder.glob("*.safetensors")
    file.unlink()
    return file


DAMAGES = [cut_manifest, changed_manifest, cut_file, missing_file]


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_next_older_checkpoint_is_used_and_the_damage_named(damage, tmp_path):
    run(checkpoint_dir=str(tmp_path), epochs=3)
    newest, older = checkpoint.whole_checkpoints(str(tmp_path))[:2]
    file = damage(tmp_path / newest)
    notes, outcome = notes_of(start(checkpoint_dir=str(tmp_path), epochs=3, resume=True))
    assert outcome.summary["applied_per_shard"] == [3 * BATCHES]
    assert any(text.startswith("not used: ") and file.name in text for text in notes), notes
    assert any(f"resumed from {older}" in text for text in notes)
    assert (tmp_path / newest).is_dir(), "what is damaged may still be mended by hand"


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_all_are_damaged_nothing_begins_anew_in_silence(damage, tmp_path):
    run(checkpoint_dir=str(tmp_path), keep_checkpoints=1)
    (newest,) = checkpoint.whole_checkpoints(str(tmp_path))
    file = damage(tmp_path / newest)
    with pytest.raises(DataLossError, match=re.escape(file.name)):
        run(checkpoint_dir=str(tmp_path), resume=True)


# ---- what is otherwise ------------------------------------------------------------------------


def test_another_update_rule_is_refused(tmp_path):
    run(checkpoint_dir=str(tmp_path), optimizer=optimizers.SGD(0.01))
    with pytest.raises(FailedPreconditionError, match=r"trains with SGD, this one has Adam"):
        run(checkpoint_dir=str(tmp_path), epochs=3, resume=True)


def test_other_settings_are_told(tmp_path):
    run(checkpoint_dir=str(tmp_path), epochs=1)
    notes, _ = notes_of(start(checkpoint_dir=str(tmp_path), epochs=2, resume=True))
    assert not [text for text in notes if "otherwise" in text]
    again = start(
        checkpoint_dir=str(tmp_path),
        epochs=3,
        resume=True,
        seed=4,
        mode="ssp",
        optimizer=optimizers.Adam(0.5),
    )
    (text,) = [text for text in notes_of(again)[0] if "otherwise" in text]
    for change in ("mode async -> ssp", "seed 3 -> 4", "learning_rate 0.01 -> 0.5"):
        assert change in text


# ---- the count of steps -----------------------------------------------------------------------


@pytest.mark.parametrize("options", MODES[:2], ids=lambda o: o["mode"])
def test_steps_follow_from_the_ledgers_not_from_what_was_reported(options, tmp_path, monkeypatch):
    """A checkpoint is cut while the workers' reports of its last batches are under way."""

    def slow(*arguments):
        step = build(*arguments)
        compute = step.run

        def run_slowly(*arguments, **named):
            time.sleep(0.004)  # so that checkpoints are finished in mid-epoch
            return compute(*arguments, **named)

        step.run = run_slowly
        return step

    with monkeypatch.context() as patched:
        whole = Training.position

        def behind(self):
            position = whole(self)
            late = min(3, position.epoch_steps)
            steps, epoch_steps = position.steps - late, position.epoch_steps - late
            return replace(position, steps=steps, epoch_steps=epoch_steps)

        patched.setattr(Training, "position", behind)
        run(
            checkpoint_dir=str(tmp_path),
            checkpoint_every="10 steps",
            keep_checkpoints=99,
            builder=slow,
            **options,
        )
    newest, *_ = [
        path
        for path in checkpoint.whole_checkpoints(str(tmp_path))
        if checkpoint.read_manifest(path).state["position"]["epoch_begun"]
    ]
    for path in checkpoint.whole_checkpoints(str(tmp_path)):
        if path > newest:
            remove_checkpoint(path)
    outcome = run(checkpoint_dir=str(tmp_path), epochs=3, resume=True, **options)
    assert outcome.summary["steps"] == 3 * BATCHES
    assert outcome.summary["applied_per_shard"] == [3 * BATCHES]


# ---- data of unknown length -------------------------------------------------------------------


class Interrupted:
    """A function of splits of unequal lengths that notes which batches the step computed, and
    asks for a stop at one of them."""

    lengths = (9, 2, 14, 5, 0)

    def __init__(self, stop_at=None):
        self.computed = []
        self.stop_at = stop_at
        self.runner = None

    def read(self, split, of):
        for number in range(self.lengths[split]):
            yield {"x": TRAIN["x"][:8] + number, "y": TRAIN["y"][:8] * split}

    def build(self, *arguments):
        step = build(*arguments)
        compute = step.run

        def run_noted(feed, key, *rest):
            self.computed.append(tuple(key[1:]))
            if len(self.computed) == self.stop_at:
                self.runner.stop("the test says so")
            return compute(feed, key, *rest)

        step.run = run_noted
        return step

    def start(self, **options):
        self.runner = start(train=self.read, splits=5, builder=self.build, **options)
        return self.runner


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("options", MODES, ids=lambda o: o["mode"])
def test_a_resume_computes_only_what_is_left(options, shards, tmp_path):
    """Stopped twice in mid-epoch: each batch is computed once, and sync gives the same bits."""
    options = {**options, "epochs": 2, "shards": shards}
    whole = finish(Interrupted().start(**options))
    per_epoch = sum(Interrupted.lengths)
    options["checkpoint_dir"] = str(tmp_path)
    computed, steps = [], 0
    for stop_at in (per_epoch + 20, 3, None):
        job = Interrupted(stop_at)
        resume = bool(steps)
        notes, outcome = notes_of(job.start(resume=resume, **options))
        if resume:
            assert any(f"at step {steps}" in text for text in notes), notes
        assert outcome.summary["duplicates_dropped"] == 0
        steps = outcome.summary["steps"]
        computed += job.computed
        assert steps == outcome.summary["applied_per_shard"][0]
        assert outcome.interrupted is (stop_at is not None)
    assert steps == 2 * per_epoch
    expected = {(e, s, i) for e in range(2) for s, n in enumerate(job.lengths) for i in range(n)}
    assert set(computed) == expected
    # in sync what was staged for a round that a stop left undecided is computed again
    again = 2 * 4 if options["mode"] == "sync" else 0
    assert len(computed) <= 2 * per_epoch + again
    if options["mode"] == "sync":
        assert outcome.digest == whole.digest


def test_a_finished_job_of_unknown_length_tells_its_batches(tmp_path):
    """Also where epochs have different lengths."""

    def growing(split, of, epoch):
        for _ in range(3 + 4 * epoch):
            yield {"x": TRAIN["x"][:8], "y": TRAIN["y"][:8]}

    for resume in (False, True, True):
        _, outcome = notes_of(
            start(train=growing, splits=2, checkpoint_dir=str(tmp_path), resume=resume)
        )
        summary = outcome.summary
        assert (summary["steps"], summary["batches"]) == (20, 20)
        assert outcome.nothing_left is resume
        assert (summary["examples_per_s"] is None) is resume, "nothing was trained"

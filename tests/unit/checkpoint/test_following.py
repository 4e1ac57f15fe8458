"""The checkpoints of a folder, one after the other."""

import time

import shardtape as tf


def test_each_new_checkpoint_comes_once(tmp_path):
    checkpoint = tf.train.Checkpoint(v=tf.Variable(1.0))
    options = tf.train.CheckpointOptions(experimental_io_device="/job:localhost")
    paths = [checkpoint.save(tmp_path / "ckpt", options)]
    seen = []
    for found in tf.train.checkpoints_iterator(tmp_path, timeout=0.05):
        seen.append(found)
        if len(paths) < 3:
            paths.append(checkpoint.save(tmp_path / "ckpt"))
    assert seen == paths


def test_the_end_of_the_time_is_asked_about(tmp_path):
    asked = []
    checkpoint = tf.train.Checkpoint(v=tf.Variable(1.0))

    def over():
        asked.append(time.monotonic())
        if len(asked) == 1:
            checkpoint.save(tmp_path / "ckpt")
        return len(asked) > 1

    found = list(tf.train.checkpoints_iterator(tmp_path, timeout=0.02, timeout_fn=over))
    assert len(found) == 1 and len(asked) == 2


def test_an_interval_is_kept(tmp_path):
    checkpoint = tf.train.Checkpoint(v=tf.Variable(1.0))
    checkpoint.save(tmp_path / "ckpt")
    times = []
    for _ in tf.train.checkpoints_iterator(tmp_path, min_interval_secs=0.1, timeout=0.02):
        times.append(time.monotonic())
        if len(times) < 2:
            checkpoint.save(tmp_path / "ckpt")
    assert len(times) == 2 and times[1] - times[0] >= 0.1

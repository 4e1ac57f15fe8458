"""Summaries inside `tf.function`, and sounds: steps, tags and values as TensorFlow 2.15 writes."""

import io
import wave

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
from tensorboard.plugins.audio import metadata as audio_page
from tensorboard.util import tensor_util

import shardtape as tf


def _points(folder):
    (path,) = folder.iterdir()
    return [
        (e.step, v.tag, tensor_util.make_ndarray(v.tensor).tolist())
        for e in EventFileLoader(str(path)).Load()
        for v in e.summary.value
    ]


@pytest.fixture
def writer(tmp_path):
    made = tf.summary.create_file_writer(str(tmp_path))
    yield made
    tf.summary.experimental.set_step(None)
    made.close()


def test_a_traced_function_writes_at_each_run(writer, tmp_path):
    @tf.function
    def step(x, i):
        with tf.name_scope("outer"):
            recorded = tf.summary.scalar("half", x * 0.5, step=i)
        tf.summary.histogram("h", tf.range(10) * 2, step=i, buckets=3)
        tf.summary.text("t", tf.strings.as_string(i), step=i)
        return recorded

    with writer.as_default():
        for i in range(2):
            assert bool(step(tf.constant(float(i)), tf.constant(i, tf.int64)))
    assert step.experimental_get_tracing_count() == 1
    bars = [[0.0, 6.0, 3.0], [6.0, 12.0, 3.0], [12.0, 18.0, 4.0]]
    assert _points(tmp_path) == [
        (0, "outer/half", 0.0), (0, "h", bars), (0, "t", b"0"),
        (1, "outer/half", 0.5), (1, "h", bars), (1, "t", b"1"),
    ]  # fmt: skip


def test_steps_and_conditions_are_read_at_each_run(writer, tmp_path):
    count = tf.Variable(0, dtype=tf.int64)
    tf.summary.experimental.set_step(count)

    @tf.function
    def step(x):
        with writer.as_default(), tf.summary.record_if(tf.equal(count % 2, 0)):
            recorded = tf.summary.scalar("even", x)
        with writer.as_default():
            tf.summary.write("all", lambda: x + 1)
        count.assign_add(1)
        return recorded

    assert [bool(step(1.5 + i)) for i in range(3)] == [True, False, True]
    assert _points(tmp_path) == [
        (0, "even", 1.5), (0, "all", 2.5), (1, "all", 3.5), (2, "even", 3.5), (2, "all", 4.5),
    ]  # fmt: skip


def test_without_a_writer_or_a_step(writer):
    assert not bool(tf.function(lambda: tf.summary.scalar("x", 1.0, step=1))())
    with writer.as_default(), pytest.raises(ValueError, match="No step set"):
        tf.function(lambda: tf.summary.scalar("x", 1.0))()


def test_sounds(writer, tmp_path):
    x = (np.sin(np.arange(40.0)).reshape(4, 5, 2) * 1.1).astype("float32")
    with writer.as_default():
        assert tf.summary.audio("a", x, 8000, step=3, max_outputs=2, description="hello")
        tf.function(lambda z: tf.summary.audio("b", z, 8000, step=4))(x)
        with pytest.raises(tf.errors.InvalidArgumentError, match="sounds, samples, channels"):
            tf.summary.audio("c", x[0], 8000, step=3)
        with pytest.raises(ValueError, match="Unknown encoding: 'mp3'"):
            tf.summary.audio("c", x, 8000, step=3, encoding="mp3")
    (_, first, sounds), (_, second, all_of_them) = _points(tmp_path)
    assert (first, second) == ("a", "b") and len(sounds) == 2 and len(all_of_them) == 3
    with wave.open(io.BytesIO(sounds[1])) as file:
        assert (file.getnchannels(), file.getframerate(), file.getnframes()) == (2, 8000, 5)
    # bytes and their sums of TensorFlow 2.15's files
    assert [(len(s), sum(s)) for s in sounds] == [(64, 4014), (64, 3853)]
    (path,) = tmp_path.iterdir()
    value = next(e for e in EventFileLoader(str(path)).Load() if e.summary.value).summary.value[0]
    said = audio_page.parse_plugin_metadata(value.metadata.plugin_data.content)
    assert said.encoding == audio_page.Encoding.Value("WAV")
    assert value.metadata.summary_description == "hello"

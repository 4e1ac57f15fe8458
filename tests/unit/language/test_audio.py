"""tf.audio against the bytes and values of TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

SOUND = np.array([[0.0, 0.5], [1.0, -1.0], [2.0, -2.0], [0.3, 1e-5]], np.float32)
FILE = bytes.fromhex(
    "524946463400000057415645666d74201000000001000200401f0000007d0000040010006461746110000000"
    "00000040ff7f0080ff7f008066260000"
)


def test_files_have_tensorflows_bytes():
    assert tf.audio.encode_wav(SOUND, 8000).numpy() == FILE


def test_files_are_read():
    audio, rate = tf.audio.decode_wav(FILE)
    high = 0.999969482421875
    assert audio.numpy().tolist() == [[0, 0.5], [high, -1], [high, -1], [0.29998779296875, 0]]
    assert rate.dtype is tf.int32 and rate.numpy() == 8000
    assert tf.audio.decode_wav(FILE).sample_rate.numpy() == 8000


def test_channels_and_samples_are_cut_and_filled_up():
    audio, _ = tf.audio.decode_wav(FILE, desired_channels=3, desired_samples=5)
    assert audio.numpy()[:, 2].tolist() == [0.5, -1, -1, 0, 0]
    audio, _ = tf.audio.decode_wav(FILE, desired_channels=1, desired_samples=2)
    assert audio.numpy().tolist() == [[0], [0.999969482421875]]


def test_functions_know_what_was_asked_for():
    @tf.function
    def read(data):
        audio, rate = tf.audio.decode_wav(data, desired_channels=1)
        assert audio.shape.as_list() == [None, 1]
        return tf.squeeze(audio, -1), rate

    assert read(tf.constant(FILE))[0].shape == [4]


def test_chunks_before_the_data_are_passed_over():
    extra = FILE[:36] + b"LIST\x03\x00\x00\x00abc\x00" + FILE[36:]
    np.testing.assert_array_equal(
        tf.audio.decode_wav(extra).audio.numpy(), tf.audio.decode_wav(FILE).audio.numpy()
    )


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"abc", "no WAV file"),
        (FILE[:30], "cut off"),
        (FILE[:-4], "cut off"),
        (FILE[:20] + b"\x03" + FILE[21:], "only PCM of 16 bits"),
    ],
)
def test_what_cannot_be_read_is_named(data, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        tf.audio.decode_wav(data)


def test_rank_of_sound():
    with pytest.raises(tf.errors.InvalidArgumentError, match="samples, channels"):
        tf.audio.encode_wav([1.0], 8000)

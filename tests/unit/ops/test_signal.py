"""Spectra and frames: what goes there comes back, and what is wrong is told."""

import numpy as np
import pytest

import shardtape as tf

X = np.random.RandomState(1).randn(2, 64)


def test_a_signal_comes_back_from_its_short_time_spectra():
    window = tf.signal.inverse_stft_window_fn(4)
    back = tf.signal.inverse_stft(tf.signal.stft(X, 16, 4), 16, 4, window_fn=window)
    np.testing.assert_allclose(back[:, 16:-16], X[:, 16:-16], atol=1e-12)


def test_a_signal_comes_back_from_its_lapped_transform():
    back = tf.signal.inverse_mdct(tf.signal.mdct(X, 16))
    np.testing.assert_allclose(back[:, 8:-8], X[:, 8:-8], atol=1e-12)


@pytest.mark.parametrize("kind", [2, 3, 4])
def test_orthogonal_cosine_transforms_keep_the_length(kind):
    y = tf.signal.dct(X, kind, norm="ortho")
    np.testing.assert_allclose(np.sum(y.numpy() ** 2), np.sum(X**2))
    np.testing.assert_allclose(tf.signal.idct(y, kind, norm="ortho"), X, atol=1e-12)


def test_the_slope_of_a_cut_transform_is_zero_where_it_was_cut():
    x = tf.constant(X[:, :6])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(tf.abs(tf.signal.rfft(x, [4])) ** 2)
    slope = tape.gradient(y, x).numpy()
    assert (slope[:, 4:] == 0).all() and (slope[:, :4] != 0).all()


def test_sizes_that_are_not_known():
    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.float64), tf.TensorSpec([], tf.int32)]
    )
    def power(x, length):
        return tf.abs(tf.signal.stft(x, length, 4)) ** 2

    for length in (8, 10):
        want = np.abs(tf.signal.stft(X, length, 4).numpy()) ** 2
        np.testing.assert_allclose(power(tf.constant(X), tf.constant(length)), want)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: tf.signal.rfft(tf.constant([1, 2])), "requires tf.float32 or tf.float64"),
        (
            lambda: tf.signal.irfft(tf.constant([1.0, 2.0])),
            "requires tf.complex64 or tf.complex128",
        ),
        (lambda: tf.signal.rfft(3.0), "rank at least 1"),
        (lambda: tf.signal.dct(X, 5), "Types I, II, III and IV"),
        (lambda: tf.signal.dct(X, 1, norm="ortho"), "Type-I DCT"),
        (lambda: tf.signal.dct(X, norm="max"), "Unknown normalization"),
        (lambda: tf.signal.hann_window(4, dtype=tf.int32), "floating"),
        (lambda: tf.signal.frame(X, 4, 2, axis=2), "axis 2 is out of range"),
        (lambda: tf.signal.linear_to_mel_weight_matrix(4, 9, 8000, 5000.0, 3000.0), ">= upper"),
        (lambda: tf.signal.linear_to_mel_weight_matrix(4, 9, 8000, 50.0, 5000.0), "Nyquist"),
        (lambda: tf.signal.overlap_and_add([1.0, 2.0], 1), "rank of at least 2"),
    ],
)
def test_errors(call, said):
    with pytest.raises(ValueError, match=said):
        call()

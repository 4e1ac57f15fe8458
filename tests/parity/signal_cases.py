"""Calls of `tf.signal`; `function_cases` says how they are recorded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

X = np.random.RandomState(0).randn(2, 40).astype(np.float32)
W = X.astype(np.float64)
CUBE = W[:, :12].reshape(2, 3, 2, 2)


def _slope(tf: Any, function: Callable[..., Any], x: np.ndarray) -> Any:
    """The gradient of a smooth number made of all results."""
    at = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(at)
        y = function(at)
        weights = tf.cast(tf.reshape(tf.range(tf.size(y)) % 5 + 1, tf.shape(y)), y.dtype)
        loss = tf.reduce_sum(
            tf.abs(y * weights) ** 2 if y.dtype.is_complex else tf.sin(y) * weights
        )
    return tape.gradient(loss, at)


def _wide(tf: Any, x: np.ndarray) -> Any:
    return tf.complex(tf.constant(x), tf.constant(2.0 * x[..., ::-1] + 1.0))


def _spectra(tf: Any) -> Any:
    return tf.signal.stft(W, 10, 4)


CASES: dict[str, Callable[[Any], Any]] = {
    "hann_odd": lambda tf: tf.signal.hann_window(5),
    "hann_even": lambda tf: tf.signal.hann_window(6),
    "hann_symmetric": lambda tf: tf.signal.hann_window(6, periodic=False),
    "hann_one": lambda tf: tf.signal.hann_window(1),
    "hamming": lambda tf: tf.signal.hamming_window(8, dtype=tf.float64),
    "kaiser": lambda tf: tf.signal.kaiser_window(6, dtype=tf.float64),
    "kaiser_beta": lambda tf: tf.signal.kaiser_window(7, 3.0),
    "kaiser_one": lambda tf: tf.signal.kaiser_window(1),
    "kaiser_bessel": lambda tf: tf.signal.kaiser_bessel_derived_window(8),
    "vorbis": lambda tf: tf.signal.vorbis_window(8, tf.float64),
    "fft": lambda tf: tf.signal.fft(_wide(tf, W[:, :6])),
    "ifft": lambda tf: tf.signal.ifft(_wide(tf, X[:, :5])),
    "fft2d": lambda tf: tf.signal.fft2d(_wide(tf, W[:, :5])),
    "ifft2d": lambda tf: tf.signal.ifft2d(_wide(tf, W[:, :5])),
    "fft3d": lambda tf: tf.signal.fft3d(_wide(tf, CUBE)),
    "ifft3d": lambda tf: tf.signal.ifft3d(_wide(tf, CUBE)),
    "rfft": lambda tf: tf.signal.rfft(W[:, :6]),
    "rfft_longer": lambda tf: tf.signal.rfft(X[:, :6], [9]),
    "rfft_shorter": lambda tf: tf.signal.rfft(W[:, :6], [4]),
    "rfft2d": lambda tf: tf.signal.rfft2d(W[:, :5]),
    "rfft2d_sizes": lambda tf: tf.signal.rfft2d(W[:, :5], [3, 4]),
    "rfft3d": lambda tf: tf.signal.rfft3d(CUBE),
    "irfft": lambda tf: tf.signal.irfft(_wide(tf, W[:, :5])),
    "irfft_odd": lambda tf: tf.signal.irfft(_wide(tf, W[:, :5]), [7]),
    "irfft_shorter": lambda tf: tf.signal.irfft(_wide(tf, W[:, :5]), [5]),
    "irfft_longer": lambda tf: tf.signal.irfft(_wide(tf, W[:, :5]), [12]),
    "irfft2d": lambda tf: tf.signal.irfft2d(_wide(tf, W[:, :5])),
    "irfft2d_sizes": lambda tf: tf.signal.irfft2d(_wide(tf, W[:, :5]), [3, 5]),
    "irfft3d": lambda tf: tf.signal.irfft3d(_wide(tf, CUBE)),
    "fft_slope": lambda tf: _slope(
        tf, lambda x: tf.signal.fft(tf.complex(x, x * x)), W[:, :5]
    ),
    "ifft2d_slope": lambda tf: _slope(
        tf, lambda x: tf.signal.ifft2d(tf.complex(x, x * x)), W[:, :5]
    ),
    "rfft_slope": lambda tf: _slope(tf, tf.signal.rfft, W[:, :6]),
    "rfft_longer_slope": lambda tf: _slope(tf, lambda x: tf.signal.rfft(x, [9]), W[:, :6]),
    "rfft2d_slope": lambda tf: _slope(tf, tf.signal.rfft2d, W[:, :5]),
    "irfft_slope": lambda tf: _slope(
        tf, lambda x: tf.signal.irfft(tf.complex(x, x * x)), W[:, :5]
    ),
    "irfft2d_slope": lambda tf: _slope(
        tf, lambda x: tf.signal.irfft2d(tf.complex(x, x * x)), W[:, :5]
    ),
    "fftshift": lambda tf: [tf.signal.fftshift(X[:, :5]), tf.signal.fftshift(X[:, :5], [1])],
    "ifftshift": lambda tf: [tf.signal.ifftshift(X[:, :5]), tf.signal.ifftshift(X[:, :5], 1)],
    "frame": lambda tf: tf.signal.frame(X, 8, 5),
    "frame_pad": lambda tf: tf.signal.frame(X, 8, 5, pad_end=True, pad_value=9.0),
    "frame_axis": lambda tf: tf.signal.frame(X[:, :3], 2, 1, axis=0),
    "frame_none": lambda tf: tf.signal.frame(X[:, :3], 5, 1),
    "overlap_and_add": lambda tf: tf.signal.overlap_and_add(W[:, :12].reshape(2, 3, 4), 2),
    "overlap_and_add_gap": lambda tf: tf.signal.overlap_and_add(W[:, :12].reshape(2, 3, 4), 5),
    "overlap_and_add_batch": lambda tf: tf.signal.overlap_and_add(
        W[:, :12].reshape(1, 2, 3, 4), 3
    ),
    "stft": _spectra,
    "stft_plain": lambda tf: tf.signal.stft(X, 10, 4, 12, window_fn=None, pad_end=True),
    "stft_hamming": lambda tf: tf.signal.stft(X, 8, 4, window_fn=tf.signal.hamming_window),
    "stft_slope": lambda tf: _slope(tf, lambda x: tf.signal.stft(x, 10, 4), W),
    "inverse_stft": lambda tf: tf.signal.inverse_stft(_spectra(tf), 10, 4),
    "inverse_stft_window": lambda tf: tf.signal.inverse_stft(
        _spectra(tf), 10, 4, window_fn=tf.signal.inverse_stft_window_fn(4)
    ),
    "inverse_window": lambda tf: tf.signal.inverse_stft_window_fn(4)(10, tf.float64),
    "stft_in_a_function": lambda tf: tf.function(
        lambda x: tf.signal.inverse_stft(tf.signal.stft(x, 8, 4), 8, 4),
        input_signature=[tf.TensorSpec([None, None], tf.float64)],
    )(W),
    **{
        f"dct_{t}": lambda tf, t=t: [tf.signal.dct(W[:, :6], t), tf.signal.idct(W[:, :6], t)]
        for t in (1, 2, 3, 4)
    },
    **{
        f"dct_{t}_ortho": lambda tf, t=t: [
            tf.signal.dct(W[:, :6], t, norm="ortho"), tf.signal.idct(W[:, :6], t, norm="ortho")
        ]
        for t in (2, 3, 4)
    },
    "dct_shorter": lambda tf: tf.signal.dct(X[:, :6], n=4),
    "dct_longer": lambda tf: tf.signal.dct(X[:, :6], n=8),
    "dct_slope": lambda tf: _slope(tf, tf.signal.dct, W[:, :5]),
    "mdct": lambda tf: tf.signal.mdct(W, 8),
    "mdct_ortho": lambda tf: tf.signal.mdct(X, 8, norm="ortho", pad_end=True),
    "inverse_mdct": lambda tf: tf.signal.inverse_mdct(W.reshape(2, 10, 4)),
    "inverse_mdct_ortho": lambda tf: tf.signal.inverse_mdct(W.reshape(2, 10, 4), norm="ortho"),
    "mel": lambda tf: tf.signal.linear_to_mel_weight_matrix(4, 9),
    "mel_rate": lambda tf: tf.signal.linear_to_mel_weight_matrix(
        3, 17, 16000, 80.0, 7600.0, tf.float64
    ),
    "mfccs": lambda tf: tf.signal.mfccs_from_log_mel_spectrograms(W[:, :8]),
}  # fmt: skip

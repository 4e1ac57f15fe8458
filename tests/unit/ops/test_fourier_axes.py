"""Transforms over chosen axes against numpy's; TensorFlow 2.15 has no CPU kernel for them."""

import numpy as np
import pytest

import shardtape as tf

PAIRS = [("fftnd", "fftn"), ("ifftnd", "ifftn"), ("rfftnd", "rfftn"), ("irfftnd", "irfftn")]


@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize(
    "axes, lengths",
    [(None, None), (None, [3, 4, 9]), ([1], [6]), ([0, 1], [2, 6]), ([2, 0], [7, 2]), ([-1], None)],
)
def test_values_are_numpys(axes, lengths, norm):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(3, 4, 5)) + 1j * rng.normal(size=(3, 4, 5))
    for ours, theirs in PAIRS:
        value = x.real if ours == "rfftnd" else x
        made = getattr(tf.signal, ours)(tf.constant(value), lengths, axes, norm)
        expected = getattr(np.fft, theirs)(value, lengths, axes or [0, 1, 2], norm)
        assert made.shape == expected.shape
        np.testing.assert_allclose(made, expected, rtol=1e-10, atol=1e-10)


def test_gradients_and_traces():
    x = tf.constant(np.random.default_rng(5).normal(size=(3, 4)))
    with tf.GradientTape() as tape:
        tape.watch(x)
        power = tf.reduce_sum(tf.abs(tf.signal.fftnd(tf.complex(x, 0 * x))) ** 2)
    # Parseval: the sum of squares of the spectrum is 12 times that of the values
    np.testing.assert_allclose(tape.gradient(power, x), 24 * x.numpy(), rtol=1e-9)
    traced = tf.function(lambda v, n: tf.signal.rfftnd(v, n, [0, 1]))
    np.testing.assert_allclose(
        traced(x, tf.constant([2, 6])), np.fft.rfftn(x.numpy(), [2, 6], [0, 1]), atol=1e-12
    )


@pytest.mark.parametrize(
    "function, options, text",
    [("fftnd", {"axes": [3]}, "must lie in"), ("fftnd", {"axes": [0, -2]}, "more than once"),
     ("fftnd", {"norm": "half"}, "Invalid norm"), ("rfftnd", {}, "float32 or float64"),
     ("ifftnd", {"fft_length": [2], "axes": [0, 1]}, "there are 2 axes")],
)  # fmt: skip
def test_what_does_not_fit_is_refused(function, options, text):
    with pytest.raises(ValueError, match=text):
        getattr(tf.signal, function)(tf.ones([2, 2], tf.complex64), **options)

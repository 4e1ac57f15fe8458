"""Functions that RaggedTensors take element by element or row by row; values of TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

X = tf.ragged.constant([[1.0, -2.0], [], [3.0]])
I = tf.ragged.constant([[1, 2], [], [3]])  # noqa: E741 - as in TensorFlow's own examples
DEEP = tf.ragged.constant([[[1, 2], [3]], [[4, 5, 6]]])
TEXTS = tf.ragged.constant([["a", "bc"], [], ["d"]])
NAN = float("nan")


def lists(result):
    return result.to_list() if isinstance(result, tf.RaggedTensor) else result.numpy().tolist()


def close(got, wanted):
    if isinstance(wanted, list):
        assert len(got) == len(wanted), (got, wanted)
        for a, b in zip(got, wanted):
            close(a, b)
    elif isinstance(wanted, (float, complex)):
        np.testing.assert_allclose(got, wanted, rtol=2e-6)
    else:
        assert got == wanted


@pytest.mark.parametrize(
    ("function", "argument", "wanted"),
    [
        (tf.nn.silu, X, [[0.73105860, -0.23840584], [], [2.8577223]]),
        (lambda x: tf.nn.swish(x, 1.5), X, [[0.8175745, -0.09485175], [], [2.9670391]]),
        (lambda x: tf.nn.gelu(features=x), X, [[0.8413447, -0.04550028], [], [2.9959502]]),
        (lambda x: tf.nn.leaky_relu(x, alpha=0.3), X, [[1.0, -0.6], [], [3.0]]),
        (tf.math.log_sigmoid, X, [[-0.31326169, -2.12692809], [], [-0.04858735]]),
        (tf.math.reciprocal_no_nan, X, [[1.0, -0.5], [], [0.33333334]]),
        (lambda x: tf.math.erfcinv(x * 0.1 + 0.5), X, [[0.3708071, 0.7328691], [], [0.1791434]]),
        (lambda x: tf.cumsum(x, axis=1), I, [[1, 3], [], [3]]),
        (tf.cumsum, I, [[1, 2], [], [4]]),
        (lambda x: tf.cumsum(x, axis=-1, exclusive=True), I, [[0, 1], [], [0]]),
        (lambda x: tf.cumsum(x, axis=1, reverse=True), I, [[3, 2], [], [3]]),
        (lambda x: tf.cumsum(x, axis=2), DEEP, [[[1, 3], [3]], [[4, 9, 15]]]),
        (lambda x: tf.cumsum(x, axis=1), DEEP, [[[1, 2], [4]], [[4, 5, 6]]]),
        (lambda x: tf.cumsum(x, axis=0), DEEP, [[[1, 2], [3]], [[5, 7, 6]]]),
        (lambda x: tf.math.real(tf.cast(x, tf.complex64)), X, [[1.0, -2.0], [], [3.0]]),
        (lambda x: tf.math.imag(tf.cast(x, tf.complex64)), X, [[0.0, 0.0], [], [0.0]]),
        (lambda x: tf.math.conj(tf.cast(x, tf.complex64) * 1j), X, [[-1j, 2j], [], [-3j]]),
        (lambda x: tf.math.angle(tf.cast(x, tf.complex64)), X, [[0.0, 3.1415927], [], [0.0]]),
        (tf.math.is_non_decreasing, I, True),
        (tf.math.is_strictly_increasing, X, False),
        (lambda x: tf.bitcast(tf.cast(x, tf.uint8), tf.int8), I, [[1, 2], [], [3]]),
        (tf.strings.as_string, TEXTS, [[b"a", b"bc"], [], [b"d"]]),
        (tf.image.adjust_gamma, X, [[1.0, -2.0], [], [3.0]]),
        (lambda x: tf.image.adjust_brightness(x, 0.5), X, [[1.5, -1.5], [], [3.5]]),
        (lambda x: tf.image.convert_image_dtype(tf.cast(x, tf.uint8), tf.float32), I,
         [[0.00392157, 0.00784314], [], [0.01176471]]),
        (lambda x: tf.saturate_cast(x, tf.uint8), X, [[1, 0], [], [3]]),
        (lambda x: tf.debugging.check_numerics(x, "m"), X, [[1.0, -2.0], [], [3.0]]),
        (lambda x: tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=x), X,
         [[0.31326169, -3.87307192], [], [-5.95141268]]),
        (tf.math.bincount, I, [0, 1, 1, 1]),
        (lambda x: tf.math.bincount(x, axis=-1), I, [[0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 1]]),
        (lambda x: tf.math.bincount(x, axis=-1, maxlength=3), I, [[0, 1, 1], [0, 0, 0], [0, 0, 0]]),
        (lambda x: tf.math.bincount(x, axis=-1, minlength=5, binary_output=True), I,
         [[0, 1, 1, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]]),
        (lambda x: tf.math.bincount(x, weights=X, axis=-1), I,
         [[0.0, 1.0, -2.0, 0.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 3.0]]),
        (lambda x: tf.math.bincount(x, weights=X), I, [0.0, 1.0, -2.0, 3.0]),
        (tf.math.reduce_variance, I, 0.666666666666667),
        (lambda x: tf.math.reduce_variance(x, axis=0), I, [1.0, 0.0]),
        (lambda x: tf.math.reduce_std(x, axis=1), I, [0.5, NAN, 0.0]),
        (tf.reduce_any, I, True),
        (tf.reduce_all, I, True),
        (lambda x: tf.reduce_any(x, axis=1), I, [True, False, True]),
        (lambda x: tf.split(x, 3)[0], I, [[1, 2]]),
        (lambda x: tf.split(x, [1, 2])[1], I, [[], [3]]),
        (lambda x: tf.split(x, 2)[1], DEEP, [[[4, 5, 6]]]),
    ],
)  # fmt: skip
def test_values(function, argument, wanted):
    for run in (function, tf.function(function)):
        close(lists(run(argument)), wanted)


def test_gradients():
    rows = tf.constant([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(rows)
        sums = tf.cumsum(tf.RaggedTensor.from_row_lengths(rows, [2, 0, 1]), axis=1)
        y = tf.reduce_sum(sums * sums)
    assert tape.gradient(y, rows).numpy().tolist() == [8.0, 6.0, 6.0]


def test_pieces():
    whole = tf.RaggedTensor.from_uniform_row_length(tf.range(6), 2)
    assert [p.to_list() for p in tf.split(whole, 2, axis=1)] == [[[0], [2], [4]], [[1], [3], [5]]]
    for sizes in (2, [2, 2], [1, -1]):
        with pytest.raises(tf.errors.InvalidArgumentError):
            tf.split(I, sizes)
    with pytest.raises(ValueError, match="ragged dimension"):
        tf.split(I, 3, axis=1)
    spec = tf.RaggedTensorSpec([None, None], tf.int32)
    halves = tf.function(lambda x: tf.split(x, 2), input_signature=[spec])
    assert [h.to_list() for h in halves(tf.ragged.constant([[1], [2, 3]]))] == [[[1]], [[2, 3]]]


def test_what_numpy_makes_of_them():
    assert np.sum(I).to_list() == np.max(I).to_list() == [[1, 2], [], [3]]
    assert np.add(I, 1).to_list() == [[2, 3], [], [4]]
    # TensorFlow gives an array of objects here
    assert (np.array([[1], [2], [3]]) + I).to_list() == [[2, 3], [], [6]]
    with pytest.raises(TypeError):
        np.exp(X)


def test_complex_variance_is_refused():
    with pytest.raises(ValueError, match="complex"):
        tf.math.reduce_variance(tf.cast(X, tf.complex64))

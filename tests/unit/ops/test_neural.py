"""Neural network functions beyond values: ties, errors, seeds, dtypes, numerical limits."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops.bias import bias_add_op


def gradient(function, *arrays):
    xs = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(xs)
        y = function(*xs)
    return [g.numpy() for g in tape.gradient(y, xs)]


def test_the_first_of_equal_values_gets_the_gradient():
    x = np.zeros((1, 3, 3, 1), np.float32)
    (g,) = gradient(lambda t: tf.nn.max_pool2d(t, 2, 1, "VALID"), x)
    assert g[0, :, :, 0].tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 0]]
    (g,) = gradient(lambda t: tf.nn.max_pool2d(t, 3, 3, "SAME"), x)
    assert g[0, :, :, 0].tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_means_count_what_lies_inside_only():
    y = tf.nn.avg_pool2d(np.ones((1, 3, 3, 1), np.float32), 2, 2, "SAME")
    assert y.numpy().ravel().tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0], np.array([1, 5], np.int64)])
def test_a_label_that_is_no_class_is_named(labels):
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"outside the valid range of \[0, 3\)"
    ):
        tf.nn.sparse_softmax_cross_entropy_with_logits(labels, np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(
    ("labels", "logits", "text"),
    [
        ([0, 1], np.zeros((2, 2, 3), np.float32), "labels.shape.rank"),
        ([0, 1, 2], np.zeros((2, 3), np.float32), "labels.shape` must equal"),
        ([], np.float32(1), "cannot be a scalar"),
    ],
)
def test_labels_that_do_not_fit(labels, logits, text):
    with pytest.raises(ValueError, match=text):
        tf.nn.sparse_softmax_cross_entropy_with_logits(np.asarray(labels, np.int32), logits)


def test_cross_entropies_of_extreme_logits():
    logits = np.float32([[1000, -1000], [-1000, 1000], [0, 0]])
    loss = tf.nn.sparse_softmax_cross_entropy_with_logits([0, 0, 1], logits).numpy()
    np.testing.assert_allclose(loss, [0, 2000, np.log(2)], rtol=1e-6)
    binary = tf.nn.sigmoid_cross_entropy_with_logits(np.float32([1, 0]), np.float32([-500, 500]))
    assert binary.numpy().tolist() == [500, 500]
    (g,) = gradient(
        lambda t: tf.nn.sigmoid_cross_entropy_with_logits(np.float32([1, 0]), t), np.float32([0, 0])
    )
    assert g.tolist() == [-0.5, 0.5]


def test_the_mixed_second_derivative_of_the_cross_entropy():
    """d2 loss / d logits d labels is the derivative of softmax - labels."""
    logits, labels = tf.constant([[0.3, -1.0, 2.0]]), tf.constant([[0.2, 0.5, 0.3]])
    with tf.GradientTape() as outer:
        outer.watch(labels)
        with tf.GradientTape() as inner:
            inner.watch(logits)
            loss = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
        by_logits = inner.gradient(loss, logits)
    assert outer.gradient(by_logits, labels).numpy().tolist() == [[-1, -1, -1]]


def test_softmax_of_no_axis_and_of_nothing():
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        tf.nn.softmax(np.float32(1))
    assert tf.nn.softmax(np.zeros((2, 0), np.float32)).shape == (2, 0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="must be in the range"):
        tf.nn.softmax(np.zeros((2, 3), np.float32), axis=2)


@pytest.mark.parametrize("shape", [(512, 3), (30, 17, 5), (7, 130), (64, 24, 24, 6), (4, 1)])
def test_biases_of_few_channels(shape):
    """Rows of few channels are worked off several at a time."""
    rng = np.random.default_rng(0)
    x, b = rng.normal(size=shape), rng.normal(size=shape[-1])
    np.testing.assert_array_equal(tf.nn.bias_add(x, b).numpy(), x + b)
    out = np.empty(shape)
    bias_add_op.into(np, out, x, b)
    np.testing.assert_array_equal(out, x + b)
    _, g = gradient(lambda t, c: tf.nn.bias_add(t, c) * tf.constant(x), x, b)
    np.testing.assert_allclose(g, x.reshape(-1, shape[-1]).sum(0), atol=1e-9)


def test_bias_of_channels_first():
    x, b = np.zeros((2, 3, 4, 5), np.float32), np.float32([1, 2, 3])
    y = tf.nn.bias_add(x, b, "NCHW").numpy()
    assert (y == b[None, :, None, None]).all()
    _, g = gradient(lambda t, c: tf.nn.bias_add(t, c, "NC..."), x, b)
    assert g.tolist() == [40, 40, 40]
    with pytest.raises(ValueError, match="data_format"):
        tf.nn.bias_add(x, b, "CHWN")
    with pytest.raises(tf.errors.InvalidArgumentError, match="as many biases"):
        tf.nn.bias_add(x, b)


def test_dropout_keeps_the_mean_and_its_seeds():
    tf.random.set_seed(1)
    x = np.ones((100, 100), np.float32)
    first, second = tf.nn.dropout(x, 0.3).numpy(), tf.nn.dropout(x, 0.3).numpy()
    assert set(np.unique(first).tolist()) == {0.0, np.float32(1 / 0.7)}
    assert abs(first.mean() - 1) < 0.02
    assert (first != second).any()
    tf.random.set_seed(1)
    assert (tf.nn.dropout(x, 0.3).numpy() == first).all()
    assert (tf.nn.dropout(x, 0).numpy() == x).all()
    rows = tf.nn.dropout(x, 0.5, noise_shape=[100, 1]).numpy()
    assert ((rows == rows[:, :1]).all(1)).all()


@pytest.mark.parametrize(
    ("x", "rate", "text"),
    [
        ([1.0], 1.0, "range"),
        ([1.0], -0.1, "range"),
        ([1], 0.5, "floating point"),
        ([1.0], "half", "scalar"),
    ],
)
def test_dropout_of_bad_arguments(x, rate, text):
    with pytest.raises(ValueError, match=text):
        tf.nn.dropout(x, rate)


def test_the_gradient_of_dropout_is_its_mask():
    tf.random.set_seed(3)
    x = tf.ones((4, 6))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.dropout(x, 0.5)
    np.testing.assert_array_equal(tape.gradient(y, x).numpy(), y.numpy())


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_are_computed_in_single_precision(dtype):
    x = tf.cast(np.linspace(-3, 3, 12).reshape(3, 4), dtype)
    wide = tf.cast(x, "float32")
    for function in (tf.nn.softmax, tf.nn.log_softmax, tf.nn.elu, tf.nn.gelu, tf.nn.selu):
        got = function(x)
        assert got.dtype == dtype
        np.testing.assert_allclose(
            tf.cast(got, "float32").numpy(), function(wide).numpy(), atol=3e-2
        )
    mean, variance = tf.nn.moments(x, [0])
    assert mean.dtype == variance.dtype == dtype


def test_functions_take_keywords():
    x = np.ones((1, 4, 4, 1), np.float32)
    tf.nn.relu(features=x, name="r")
    tf.nn.bias_add(value=x, bias=[1.0], data_format=None, name=None)
    tf.nn.conv2d(input=x, filters=np.ones((2, 2, 1, 1), np.float32), strides=1, padding="SAME",
                 data_format="NHWC", dilations=None, name=None)  # fmt: skip
    tf.nn.max_pool2d(input=x, ksize=2, strides=2, padding="VALID", name=None)
    tf.nn.softmax(logits=x, axis=-1, name=None)
    tf.nn.moments(x=x, axes=[0], shift=None, keepdims=True, name=None)
    tf.nn.batch_normalization(x=x, mean=0.0, variance=1.0, offset=None, scale=None,
                              variance_epsilon=1e-3, name=None)  # fmt: skip


@pytest.mark.parametrize("largest", [3.0, 63.0, 90.0, 1e4])
@pytest.mark.parametrize("classes", [48, 200, 600])
def test_softmax_of_long_rows_is_that_of_its_definition(largest: float, classes: int) -> None:
    x = np.random.RandomState(0).uniform(-largest, largest, (64, classes)).astype(np.float32)
    x[0], x[1] = -largest, largest
    wide = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    # numbers that have to be shifted are rounded by it
    close = {"rtol": 2e-6 if largest < 64 else 2e-5, "atol": 1e-37}
    expected = wide / wide.sum(-1, keepdims=True)
    np.testing.assert_allclose(tf.nn.softmax(x).numpy(), expected, **close)
    compiled = tf.function(lambda t: tf.nn.softmax(t * 1.0))
    np.testing.assert_allclose(compiled(x).numpy(), expected, **close)


def test_softmax_of_long_rows_with_special_numbers() -> None:
    x = np.zeros((32, 64), np.float32)
    x[0, 0], x[1, 1], x[2, :32] = np.inf, np.nan, -np.inf
    y = tf.nn.softmax(x).numpy()
    assert np.isnan(y[:2]).any(-1).all()
    np.testing.assert_allclose(y[2], [0.0] * 32 + [1 / 32] * 32)
    np.testing.assert_allclose(y[3:], 1 / 64)


@pytest.mark.parametrize("size", [1000, 1 << 18, 600_001])  # few elements, one block, several
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])
def test_relu_of_few_and_of_many_elements(size: int, dtype: type) -> None:
    x = (np.random.RandomState(0).randn(size) * 9).astype(dtype)
    compiled = tf.function(lambda t: tf.nn.relu(t * 1))
    for found in (tf.nn.relu(x), compiled(x)):
        np.testing.assert_array_equal(found, np.where(x > 0, x, 0))
    if np.dtype(dtype).kind == "f":
        x[-1], x[0] = np.nan, -np.inf
        np.testing.assert_array_equal(tf.nn.relu(x), np.where(x < 0, 0, x))

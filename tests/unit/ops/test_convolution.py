"""Convolutions beyond the registry's samples: layouts, groups, blocks, shapes, errors."""

import itertools
import threading

import numpy as np
import pytest

import shardtape as tf
from shardtape.ops import conv, patches
from shardtape.ops.conv_arrays import direct, direct_input_gradient
from shardtape.ops.scratch import scratch
from shardtape.ops.windows import geometry, output_size

rng = np.random.default_rng(0)


def arrays(*shapes: tuple[int, ...], dtype: str = "float64") -> list[np.ndarray]:
    return [rng.normal(size=s).astype(dtype) for s in shapes]


@pytest.mark.parametrize(
    ("x", "w", "stride", "dilation", "padding"),
    [
        ((5, 9, 8, 1), (3, 3, 1, 4), 1, 1, "VALID"),  # planes
        ((5, 9, 8, 3), (3, 3, 3, 4), 1, 1, "SAME"),  # rows
        ((3, 9, 8, 2), (2, 3, 2, 5), 2, 1, "SAME"),
        ((3, 9, 12, 1), (2, 3, 1, 2), 1, 2, "VALID"),
        ((3, 7, 7, 6), (1, 1, 6, 2), 1, 1, "VALID"),
        ((3, 7, 7, 6), (1, 1, 6, 2), 2, 1, "SAME"),
        ((5, 9, 8, 4), (3, 2, 4, 2), 1, 1, "SAME"),  # input gradient as a convolution
        ((3, 9, 12, 4), (2, 3, 4, 3), 1, 2, "VALID"),
    ],
)
def test_blocks_give_what_the_whole_gives(monkeypatch, x, w, stride, dilation, padding):
    a, b = arrays(x, w)
    axes = geometry(x[1:3], w[:2], (stride,) * 2, (dilation,) * 2, padding, ())
    whole = direct(a, b, strides=(1, stride, stride, 1), padding=padding,
                   dilations=(1, dilation, dilation, 1))  # fmt: skip
    g = rng.normal(size=whole.shape)
    by_w = patches.filter_gradient(np, a, g, axes)
    by_x = patches.input_gradient(np, b, g, axes)
    monkeypatch.setattr(patches, "_WINDOWS_BYTES", 1)
    monkeypatch.setattr(patches, "_SUMS_BYTES", 1)
    np.testing.assert_allclose(patches.convolve(np, a, b, axes), whole, atol=1e-12)
    np.testing.assert_allclose(patches.filter_gradient(np, a, g, axes), by_w, atol=1e-12)
    np.testing.assert_allclose(patches.input_gradient(np, b, g, axes), by_x, atol=1e-12)
    # <y, g> is the same as <x, dx> and <w, dw>: the three are each other's transposes
    inner = (whole * g).sum()
    assert inner == pytest.approx((a * by_x).sum()) == pytest.approx((b * by_w).sum())


@pytest.mark.parametrize("pads", [(1, 0, 0, 2), (2, 1, 2, 2), (0, 3, 1, 0)])
@pytest.mark.parametrize("features", [1, 6])
def test_input_gradients_with_paddings_of_their_own(pads, features):
    w, g = arrays(
        (3, 3, 2, features), (2, 5 - 2 + pads[0] + pads[1], 4 - 2 + sum(pads[2:]), features)
    )
    attrs = {"strides": (1, 1, 1, 1), "padding": "EXPLICIT", "dilations": (1, 1, 1, 1),
             "explicit_paddings": (0, 0, *pads, 0, 0)}  # fmt: skip
    got = conv.conv2d_backprop_input([2, 5, 4, 2], w, g, **attrs).numpy()
    np.testing.assert_allclose(got, direct_input_gradient((2, 5, 4, 2), w, g, **attrs), atol=1e-12)


def test_channels_first_is_the_same_transposed():
    x, w = arrays((2, 6, 5, 3), (3, 2, 3, 4), dtype="float32")
    last = tf.nn.conv2d(x, w, [1, 2, 1, 1], "SAME").numpy()
    t, v = tf.constant(x.transpose(0, 3, 1, 2)), tf.constant(w)
    with tf.GradientTape() as tape:
        tape.watch([t, v])
        first = tf.nn.conv2d(t, v, [1, 1, 2, 1], "SAME", "NCHW")
    np.testing.assert_allclose(first.numpy(), last.transpose(0, 3, 1, 2), atol=1e-5)
    by_x, by_w = tape.gradient(first, [t, v])
    assert by_x.shape == t.shape
    assert by_w.shape == v.shape
    pooled = tf.nn.max_pool2d(t, 2, 2, "VALID", "NCHW").numpy()
    expected = tf.nn.max_pool2d(x, 2, 2, "VALID").numpy().transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(pooled, expected)


def test_groups_are_convolutions_side_by_side():
    x, w = arrays((2, 5, 5, 4), (3, 3, 2, 6))
    whole = tf.nn.conv2d(x, w, 1, "SAME").numpy()
    parts = [
        tf.nn.conv2d(x[..., 2 * i : 2 * i + 2], w[..., 3 * i : 3 * i + 3], 1, "SAME").numpy()
        for i in range(2)
    ]
    np.testing.assert_allclose(whole, np.concatenate(parts, -1), atol=1e-12)


@pytest.mark.parametrize("batch", [0, 2])
def test_empty_outputs(batch):
    x = tf.zeros((batch, 3, 3, 2))
    with tf.GradientTape() as tape:
        w = tf.ones((4, 4, 2, 3))
        tape.watch(w)
        y = tf.nn.conv2d(x, w, 1, "VALID")
    assert y.shape == (batch, 0, 0, 3)
    assert not tape.gradient(y, w).numpy().any()
    assert tf.nn.max_pool2d(tf.zeros((0, 4, 4, 1)), 2, 2, "VALID").shape == (0, 2, 2, 1)


def test_static_shapes_with_unknown_sizes():
    @tf.function(input_signature=[tf.TensorSpec((None, None, 9, 3))])
    def f(x):
        y = tf.nn.conv2d(x, tf.ones((3, 3, 3, 5)), 2, "VALID")
        assert y.shape.as_list() == [None, None, 4, 5]
        z = tf.nn.avg_pool2d(x, 2, 2, "SAME")
        assert z.shape.as_list() == [None, None, 5, 3]
        t = tf.nn.conv2d_transpose(y, tf.ones((3, 3, 2, 5)), [1, 7, 9, 2], 2, "VALID")
        assert t.shape.as_list() == [1, 7, 9, 2]
        return y, z

    y, z = f(np.ones((2, 7, 9, 3), np.float32))
    assert y.shape == (2, 3, 4, 5)
    assert z.shape == (2, 4, 5, 3)


def test_gradients_through_unknown_sizes():
    x, w = arrays((2, 6, 6, 2), (3, 3, 2, 3), dtype="float32")

    @tf.function(input_signature=[tf.TensorSpec((None, None, None, 2))])
    def traced(t):
        with tf.GradientTape() as tape:
            tape.watch(t)
            y = tf.nn.max_pool2d(tf.nn.conv2d(t, w, 1, "SAME"), 2, 2, "VALID")
        return tape.gradient(y, t)

    t = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(t)
        y = tf.nn.max_pool2d(tf.nn.conv2d(t, w, 1, "SAME"), 2, 2, "VALID")
    np.testing.assert_allclose(traced(x).numpy(), tape.gradient(y, t).numpy(), atol=1e-6)


def test_only_the_gradient_that_is_needed_is_computed(monkeypatch):
    """An input that nobody watches (the images) costs nothing in the backward pass."""
    calls = []
    for op in (conv.conv2d_backprop_input, conv.conv2d_backprop_filter):
        kernel = op.kernel
        monkeypatch.setattr(
            op, "kernel",
            lambda *a, _k=kernel, _t=op.type, **k: (calls.append(_t), _k(*a, **k))[1],
        )  # fmt: skip
    w = tf.Variable(tf.ones((2, 2, 1, 1)))
    with tf.GradientTape() as tape:
        y = tf.nn.conv2d(tf.ones((1, 3, 3, 1)), w, 1, "VALID")
    tape.gradient(y, w)
    assert calls == ["Conv2DBackpropFilter"]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: tf.nn.conv2d(tf.ones((1, 4, 4, 3)), tf.ones((2, 2, 2, 4)), 1, "SAME"),
         "evenly divisible by filter depth: 3 vs 2"),
        (lambda: tf.nn.conv2d(tf.ones((1, 4, 4, 3)), tf.ones((2, 2, 3, 4)), 1, "same-ish"),
         "padding must be"),
        (lambda: tf.nn.conv2d(tf.ones((1, 4, 4, 3)), tf.ones((2, 2, 3, 4)), [1, 2, 3], "SAME"),
         "strides should be of length 1, 2 or 4"),
        (lambda: tf.nn.conv2d(tf.ones((1, 2, 2, 1)), tf.ones((4, 4, 1, 1)), 1, "VALID"),
         "output size would be negative"),
        (lambda: tf.nn.conv2d(tf.ones((4, 4, 1)), tf.ones((2, 2, 1, 1)), 1, "VALID"),
         "rank 4 or more"),
        (lambda: tf.nn.conv2d_transpose(tf.ones((1, 4, 4, 1)), tf.ones((3, 3, 1, 1)),
                                        [1, 5, 5, 1], 1, "SAME"), "out_backprop has shape"),
        (lambda: tf.nn.max_pool2d(tf.ones((1, 4, 4, 1)), 2, 2, "FULL"), "padding must be"),
        (lambda: tf.nn.max_pool(tf.ones((4, 4)), 2, 2, "VALID"), "rank"),
    ],
)  # fmt: skip
def test_errors_name_the_cause(call, text):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=text):
        call()


def test_output_sizes_are_tensorflows():
    for size, window, stride, dilation in itertools.product(
        range(1, 12), range(1, 5), (1, 2, 3), (1, 2)
    ):
        reach = (window - 1) * dilation + 1
        assert output_size(size, window, stride, dilation, "SAME") == -(-size // stride)
        if size >= reach:
            starts = len(range(0, size - reach + 1, stride))
            assert output_size(size, window, stride, dilation, "VALID") == starts
    assert output_size(None, 3, 1) is None


def test_scratch_memory_is_each_threads_own():
    mine = scratch("a test", (4,), np.float32)
    mine[:] = 1
    seen = []

    def other():
        theirs = scratch("a test", (4,), np.float32)
        theirs[:] = 2
        seen.append(theirs)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join(10)
    assert mine.tolist() == [1, 1, 1, 1]
    assert seen[0].tolist() == [2, 2, 2, 2]
    again = scratch("a test", (2, 2), np.float32)
    assert np.shares_memory(mine, again)


@pytest.mark.parametrize(
    ("run", "sizes", "words"),
    [  # TensorFlow 2.15 says the same of each
        (lambda x: tf.nn.conv2d(x, tf.ones((3, 3, 3, 1)), 1, "VALID"), (2, 2), "3 from 2"),
        (lambda x: tf.nn.conv2d(x, tf.ones((3, 3, 3, 1)), 1, "VALID", dilations=2), (4, 4),
         "5 from 4"),
        (lambda x: tf.nn.depthwise_conv2d(x, tf.ones((3, 3, 3, 1)), [1] * 4, "VALID"), (3, 2),
         "3 from 2"),
        (lambda x: tf.nn.max_pool2d(x, 4, 2, "VALID"), (2, 2), "4 from 2"),
        (lambda x: tf.nn.avg_pool2d(x, 2, 2, "VALID"), (1, 1), "2 from 1"),
        (lambda x: tf.keras.layers.Conv2D(4, 3)(x), (2, 2), "3 from 2"),
    ],
)  # fmt: skip
def test_windows_that_do_not_fit_are_refused_in_graphs(run, sizes, words):
    spec = tf.TensorSpec((None, *sizes, 3), tf.float32)
    with pytest.raises(ValueError, match=f"Negative dimension size caused by subtracting {words}"):
        tf.function(run).get_concrete_function(spec)
    with pytest.raises(ValueError, match=f"caused by subtracting {words}"):
        run(tf.keras.Input((*sizes, 3)))

"""`tf.nn.pool` with dilations and quotients of integers, figures of TensorFlow 2.15."""

from __future__ import annotations

import numpy as np
import pytest

import shardtape as tf

IMAGE = np.arange(30, dtype=np.float32).reshape(1, 5, 6, 1) % 7


def test_the_largest_of_members_that_lie_apart():
    made = tf.nn.pool(IMAGE, [2, 2], "MAX", dilations=[2, 2])[0, ..., 0]
    want = [[5, 6, 4, 5], [6, 5, 6, 4], [5, 6, 5, 6]]
    assert made.numpy().tolist() == want
    unknown = tf.function(
        lambda x: tf.nn.pool(x, [2, 2], "MAX", dilations=[2, 2]),
        input_signature=[tf.TensorSpec([None, None, None, 1])],
    )
    assert unknown(IMAGE)[0, ..., 0].numpy().tolist() == want


def test_the_mean_in_another_layout_and_its_gradient():
    x = tf.constant(IMAGE.transpose(0, 3, 1, 2))
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.nn.pool(x, [2, 2], "AVG", dilations=[1, 3], data_format="NCHW")
    assert y.shape == (1, 1, 4, 3)
    np.testing.assert_allclose(y[0, 0, 0], [2.75, 2.0, 3.0])
    assert tape.gradient(y, x)[0, 0, 0].numpy().tolist() == [0.25] * 6


def test_strides_and_padding_do_not_go_with_dilations():
    with pytest.raises(ValueError, match="strides"):
        tf.nn.pool(IMAGE, [2, 2], "MAX", dilations=[2, 2], strides=[2, 2])
    with pytest.raises(ValueError, match="padding"):
        tf.nn.pool(IMAGE, [2, 2], "MAX", dilations=[2, 2], padding="SAME")


@pytest.mark.parametrize(
    ("kind", "result"),
    [("int8", "float32"), ("uint8", "float32"), ("int16", "float32"), ("int32", "float64"),
     ("int64", "float64"), ("float16", "float16")],
)  # fmt: skip
def test_quotients_without_nan(kind, result):
    made = tf.math.divide_no_nan(tf.constant([3, 5], kind), tf.constant([2, 0], kind))
    assert (made.dtype.name, made.numpy().tolist()) == (result, [1.5, 0.0])


def test_quotients_of_what_does_not_divide():
    for x, y in ((True, False), ("a", "b"), (tf.constant(1), tf.constant(1.0))):
        with pytest.raises((TypeError, tf.errors.InvalidArgumentError)):
            tf.math.divide_no_nan(x, y)

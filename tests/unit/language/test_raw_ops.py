"""tf.raw_ops: ops by their types and keywords."""

import numpy as np
import pytest

import shardtape as tf


@pytest.mark.parametrize(
    ("call", "want"),
    [
        (lambda: tf.raw_ops.AddV2(x=1.0, y=2.0), 3.0),
        (lambda: tf.raw_ops.Relu(features=[-1.0, 2.0]), [0.0, 2.0]),
        (lambda: tf.raw_ops.MatMul(a=[[1.0, 2.0]], b=[[3.0, 4.0]], transpose_b=True), [[11.0]]),
        (lambda: tf.raw_ops.Cast(x=[1.7], DstT=tf.int32), [1]),
        (lambda: tf.raw_ops.ConcatV2(values=[[1, 2], [3]], axis=0), [1, 2, 3]),
        (lambda: tf.raw_ops.Sum(input=[[1.0, 2.0], [3.0, 4.0]], axis=[1]), [3.0, 7.0]),
        (lambda: tf.raw_ops.TensorStridedSliceUpdate(
            input=[1, 2, 3], begin=[0], end=[2], strides=[1], value=[8, 9]), [8, 9, 3]),
        (lambda: tf.raw_ops.AddV2(x=1, y=2, name="sum"), 3),
    ],
)  # fmt: skip
def test_values(call, want):
    np.testing.assert_allclose(call(), want)


def test_in_a_function_and_under_a_tape():
    x = tf.constant([1.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.function(lambda v: tf.raw_ops.Mul(x=v, y=v))(x)
    assert tape.gradient(y, x).numpy().tolist() == [2.0, 4.0]


def test_what_is_refused():
    with pytest.raises(TypeError, match="only takes keyword args"):
        tf.raw_ops.AddV2(1.0, 2.0)
    with pytest.raises(TypeError, match="takes the inputs"):
        tf.raw_ops.AddV2(x=1.0)
    with pytest.raises(TypeError, match="takes the inputs"):
        tf.raw_ops.AddV2(x=1.0, y=2.0, z=3.0)
    with pytest.raises(AttributeError, match="nearest name is 'AddV2'"):
        getattr(tf.raw_ops, "AddV3")  # noqa: B009 - as the name is written
    assert "Softmax" in dir(tf.raw_ops) and not hasattr(tf.raw_ops, "VarHandleOp")

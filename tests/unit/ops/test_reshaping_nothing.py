"""Tensors without elements in another shape with a size left open, figures of TensorFlow 2.15."""

from __future__ import annotations

import pytest

import shardtape as tf

CASES = [
    ((0, 3), [0, -1], (0, 3)),
    ((0,), [0, -1], (0, 1)),
    ((0, 3, 4), [0, -1], (0, 12)),
    ((3, 0), [0, -1], (0, 3)),
    ((0, 3), [-1, 0], (3, 0)),
    ((0, 3), [2, -1, 0], (2, 1, 0)),
    ((0, 5), [-1, 3], (0, 3)),
    ((2, 0, 3), [0, -1, 6], (0, 1, 6)),
    ((0, 4), [0, 2, -1], (0, 2, 2)),
]


@pytest.mark.parametrize(("given", "wanted", "made"), CASES)
def test_the_open_size(given, wanted, made):
    assert tf.reshape(tf.zeros(given), wanted).shape == made
    known = tf.function(lambda x: tf.reshape(x, wanted))
    assert known(tf.zeros(given)).shape == made
    signature = [tf.TensorSpec(None), tf.TensorSpec([None], tf.int32)]
    unknown = tf.function(tf.reshape, input_signature=signature)
    assert unknown(tf.zeros(given), tf.constant(wanted)).shape == made


def test_an_empty_batch_is_flattened():
    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3])])
    def flat(batch):
        return tf.reshape(batch, [tf.shape(batch)[0], -1])

    assert flat(tf.zeros([0, 2, 3])).shape == (0, 6)


def test_its_gradient():
    x = tf.zeros([0, 3])
    with tf.GradientTape() as tape:
        tape.watch(x)
        top = tf.sort(x)
    assert tape.gradient(top, x).shape == (0, 3)


def test_the_gradient_of_gathering_nothing():
    x = tf.ones([3, 4])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.gather(x, tf.zeros([3, 0], tf.int32), axis=1, batch_dims=1)
    assert y.shape == (3, 0)
    assert tape.gradient(y, x).numpy().tolist() == [[0.0] * 4] * 3


def test_batch_axes_that_differ_are_not_spread():
    with pytest.raises(tf.errors.InvalidArgumentError, match="differ"):
        tf.gather(tf.ones([1, 3]), tf.zeros([2, 2], tf.int32), batch_dims=1)

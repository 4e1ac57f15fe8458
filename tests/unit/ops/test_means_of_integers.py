"""Means of integers whose sum their dtype does not hold, figures of TensorFlow 2.15."""

from __future__ import annotations

import numpy as np
import pytest

import shardtape as tf


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32"])
@pytest.mark.parametrize("count", [2, 7, 300, 70000])
def test_the_largest_and_least_number(dtype, count):
    for number in (np.iinfo(dtype).max, np.iinfo(dtype).min):
        mean = tf.reduce_mean(np.full(count, number, dtype))
        assert (mean.dtype.name, int(mean)) == (dtype, number)
        rows = tf.reduce_mean(np.full((count, 3), number, dtype), 0)
        assert rows.numpy().tolist() == [number] * 3


@pytest.mark.parametrize(
    ("values", "mean"),
    [([127, 126, 127, 127], 126), ([-128, -127, -128, -128], -127), ([-3, -4], -3), ([3, 4], 3)],
)
def test_they_are_cut_towards_zero(values, mean):
    assert int(tf.reduce_mean(tf.constant(values, tf.int8))) == mean
    assert int(tf.function(tf.reduce_mean)(tf.constant(values, tf.int8))) == mean


def test_sums_past_64_bits_wrap_around():
    assert int(tf.reduce_mean(np.full(3, 2**63 - 1))) == 3074457345618258601


def test_of_an_image():
    image = tf.fill([100, 100, 3], tf.constant(200, tf.uint8))
    assert int(tf.reduce_mean(image)) == 200
    assert tf.reduce_mean(image, [0, 1]).numpy().tolist() == [200, 200, 200]


def test_of_nothing():
    assert int(tf.reduce_mean(tf.zeros([0], tf.int32))) == 0

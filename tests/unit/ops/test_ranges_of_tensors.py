"""Ranges that go the wrong way, figures of TensorFlow 2.15."""

from __future__ import annotations

import pytest

import shardtape as tf


@pytest.mark.parametrize("numbers", [(5, 2), (5.0, 2.0), (2, 5, -1), (-3,)])
def test_they_are_refused_as_those_of_numbers_are(numbers):
    with pytest.raises(tf.errors.InvalidArgumentError, match="start"):
        tf.range(*[tf.constant(n) for n in numbers])


def test_a_loop_over_them_has_no_turn():
    @tf.function
    def turns(first, last):
        count = 0
        for _ in tf.range(first, last):
            count += 1
        for _ in range(first, last):
            count += 1
        return count

    assert int(turns(tf.constant(5), tf.constant(2))) == 0
    assert int(turns(tf.constant(2), tf.constant(5))) == 6


def test_an_empty_range():
    assert tf.range(tf.constant(5), tf.constant(5)).shape == (0,)

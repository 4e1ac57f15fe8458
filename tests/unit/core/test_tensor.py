"""Tensors as Python values."""

import pytest

import shardtape as tf


def test_one_element_of_any_rank_is_a_python_number():
    assert float(tf.constant([[1.5]])) == 1.5
    assert int(tf.constant([[7]])) == 7
    assert complex(tf.constant([1 + 2j])) == 1 + 2j
    assert float(tf.Variable([2.5])) == 2.5


@pytest.mark.parametrize("values", [[1.0, 2.0], []])
def test_more_or_fewer_elements_are_not(values):
    with pytest.raises(TypeError, match="only length-1 arrays"):
        float(tf.constant(values))
    with pytest.raises(TypeError, match="only length-1 arrays"):
        int(tf.constant(values))

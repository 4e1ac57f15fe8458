"""`tf.AggregationMethod`."""

from __future__ import annotations


class AggregationMethod:
    """How `tf.gradients` adds the gradients of one tensor; the sum is the same by all of them."""

    ADD_N = 0
    DEFAULT = ADD_N
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2

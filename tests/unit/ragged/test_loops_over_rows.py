"""`for` over the rows of a RaggedTensor in a tf.function; the first figure is TensorFlow 2.15's,
the others are those of the same loops run eagerly."""

from __future__ import annotations

import pytest

import shardtape as tf

ROWS = tf.ragged.constant([[1, 2], [], [3]])


def test_sums_of_rows():
    @tf.function
    def total(rows):
        result = 0
        for row in rows:
            result += tf.reduce_sum(row) * tf.size(row)
        return result

    assert int(total(ROWS)) == 9


@pytest.mark.parametrize(("rows", "largest"), [(ROWS, [2]), ([[5], [7, 9]], [5, 9])])
def test_a_number_of_rows_that_calls_decide(rows, largest):
    @tf.function(input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)])
    def until_empty(rows):
        out = tf.TensorArray(tf.int32, 0, dynamic_size=True)
        for row in rows:
            if tf.size(row) == 0:
                break
            out = out.write(out.size(), tf.reduce_max(row))
        return out.stack()

    assert until_empty(tf.ragged.constant(rows) if rows is not ROWS else rows).numpy().tolist() == (
        largest
    )


def test_rows_that_are_ragged_themselves():
    @tf.function
    def total(blocks):
        result = 0
        for block in blocks:
            for row in block:
                result += tf.reduce_sum(row)
        return result

    assert int(total(tf.ragged.constant([[[1], [2, 3]], []]))) == 6


def test_the_gradient_through_the_loop():
    @tf.function
    def squares(rows):
        result = tf.constant(0.0)
        for row in rows:
            result += tf.reduce_sum(row) ** 2
        return result

    rows = tf.ragged.constant([[1.0, 2.0], [4.0]])
    with tf.GradientTape() as tape:
        tape.watch(rows.flat_values)
        y = squares(rows)
    assert tape.gradient(y, rows.flat_values).numpy().tolist() == [6.0, 6.0, 8.0]

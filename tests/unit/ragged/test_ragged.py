"""RaggedTensors: errors, specs, functions, loops, datasets, gradients; values are in parity."""

import numpy as np
import pytest

import shardtape as tf

ROWS = [[1, 2], [], [3]]


@pytest.fixture
def rt():
    return tf.ragged.constant(ROWS)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: tf.RaggedTensor.from_row_splits([1, 2], [0, 1]), "the last split is 1"),
        (lambda: tf.RaggedTensor.from_row_splits([1, 2], [1, 2]), "the first split is"),
        (lambda: tf.RaggedTensor.from_row_splits([1, 2], [0, 2, 1, 2]), "go down"),
        (lambda: tf.RaggedTensor.from_value_rowids([1, 2], [1, 0]), "not sorted"),
        (lambda: tf.RaggedTensor.from_row_lengths([1, 2], [1, 2]), "the last split is 3"),
    ],
)
def test_partitions_that_do_not_fit_are_refused(make, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        make()


def test_more_rows_than_were_announced():
    with pytest.raises(ValueError, match="not below nrows=2"):
        tf.RaggedTensor.from_value_rowids([1, 2], [0, 3], nrows=2)


def test_what_cannot_be_indexed_says_why(rt):
    with pytest.raises(ValueError, match="inner ragged dimension"):
        rt[:, 0]
    with pytest.raises(IndexError, match="out of bounds"):
        rt[5]


def test_it_is_no_tensor_in_silence(rt):
    with pytest.raises(ValueError, match="to_tensor"):
        tf.convert_to_tensor(rt)
    with pytest.raises(TypeError, match="tf.transpose does not take a RaggedTensor"):
        tf.transpose(rt)


def test_rows_of_other_lengths_are_not_added(rt):
    with pytest.raises(tf.errors.InvalidArgumentError, match="Condition x == y did not hold"):
        rt + tf.ragged.constant([[1], [2], [3]])


def test_nested_lists_of_different_depth_are_refused():
    with pytest.raises(ValueError, match="nesting depth"):
        tf.ragged.constant([[1, [2]], [3]])


def test_text(rt):
    assert repr(rt) == "<tf.RaggedTensor [[1, 2], [], [3]]>"
    assert str(rt.shape) == "(3, None)"


def test_spec_takes_it_apart_and_together(rt):
    spec = tf.type_spec_from_value(rt)
    assert spec == tf.RaggedTensorSpec([3, None], tf.int32, 1)
    assert spec.is_compatible_with(rt)
    assert tf.RaggedTensorSpec([None, None], tf.int32).is_compatible_with(rt)
    assert spec._from_components(spec._to_components(rt)).to_list() == ROWS


def test_functions_take_and_give_it(rt):
    @tf.function
    def double(x):
        return x * 2, tf.reduce_sum(x, axis=1)

    twice, sums = double(rt)
    assert twice.to_list() == [[2, 4], [], [6]]
    assert sums.numpy().tolist() == [3, 0, 3]
    signature = tf.function(
        lambda x: x + 1, input_signature=[tf.RaggedTensorSpec([None, None], tf.int32)]
    )
    assert signature(rt).to_list() == [[2, 3], [], [4]]


def test_loops_and_branches_carry_it(rt):
    @tf.function
    def grow(x, n):
        for _ in tf.range(n):
            x = tf.concat([x, x[:, :1]], axis=1)
        if n > 1:
            y = x * 2
        else:
            y = x
        return y

    assert grow(rt, tf.constant(1)).to_list() == [[1, 2, 1], [], [3, 3]]
    assert grow(rt, tf.constant(2)).to_list() == [[2, 4, 2, 2], [], [6, 6, 6]]


def test_gradients_reach_the_flat_values():
    values = tf.Variable([1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        rt = tf.RaggedTensor.from_row_lengths(values, [2, 0, 1])
        loss = tf.reduce_sum(tf.reduce_sum(rt * rt, axis=1) * [1.0, 1.0, 10.0])
    np.testing.assert_allclose(tf.convert_to_tensor(tape.gradient(loss, values)), [2.0, 4.0, 60.0])


def test_datasets_of_rows(rt):
    dataset = tf.data.Dataset.from_tensor_slices(rt)
    assert [row.numpy().tolist() for row in dataset] == ROWS
    batches = list(dataset.batch(2))
    assert batches[0].to_list() == [[1, 2], []] and batches[1].to_list() == [[3]]


def test_flat_values_keep_their_number(rt):
    assert tf.ragged.map_flat_values(tf.square, rt).to_list() == [[1, 4], [], [9]]
    with pytest.raises(ValueError, match="outer-dimension size"):
        tf.ragged.map_flat_values(lambda x: x[:1], rt)


def test_keras_functions_on_words():
    lengths = tf.strings.length(tf.strings.split(["a bc", "def"]))
    assert lengths.to_list() == [[1, 2], [3]]

"""Datasets and iterators inside tf.function."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.data.optional import Optional

D = tf.data.Dataset


def test_a_loop_over_a_dataset():
    @tf.function
    def total(dataset):
        found = tf.constant(0, tf.int64)
        for x in dataset:
            if x == 3:
                continue
            if x > 7:
                break
            found += x
        return found

    assert int(total(D.range(5))) == 7 and int(total(D.range(50))) == 25
    assert total.experimental_get_tracing_count() == 1
    assert int(total(D.range(0))) == 0


def test_a_break_leaves_the_rest_in_the_iterator():
    @tf.function
    def until(iterator, limit):
        seen = tf.constant(-1, tf.int64)
        for x in iterator:
            seen = x
            if x >= limit:
                break
        return seen

    iterator = iter(D.range(10))
    assert int(until(iterator, tf.constant(3, tf.int64))) == 3
    assert int(next(iterator)) == 4
    assert int(until(iterator, tf.constant(99, tf.int64))) == 9


def test_a_dataset_that_is_made_of_tensors():
    @tf.function
    def sums(values, count):
        result = tf.zeros([0], tf.int64)
        made = D.from_tensor_slices(values).repeat(count).map(lambda x: x * count).batch(count + 1)
        for i, batch in enumerate(made):
            result = tf.concat([result, [tf.reduce_sum(batch) + i]], 0)
        return result

    values = tf.constant([1, 2, 3], tf.int64)
    np.testing.assert_array_equal(sums(values, tf.constant(2, tf.int64)), [12, 13])
    np.testing.assert_array_equal(sums(values, tf.constant(1, tf.int64)), [3, 4])


def test_next_of_an_iterator_that_is_an_argument():
    @tf.function
    def step(iterator):
        x, y = next(iterator)
        return x * y

    def pairs():
        return iter(D.zip((D.range(1, 4), D.range(2, 5))))

    iterator = pairs()
    assert [int(step(iterator)) for _ in range(3)] == [2, 6, 12]
    with pytest.raises(tf.errors.OutOfRangeError, match="End of sequence"):
        step(iterator)
    assert int(step(pairs())) == 2
    assert step.experimental_get_tracing_count() == 1


def test_an_iterator_from_outside():
    iterator = iter(D.range(3))

    @tf.function
    def take():
        return iterator.get_next() + iterator.get_next()

    assert int(take()) == 1
    assert int(next(iterator)) == 2


def test_optionals_in_a_function():
    @tf.function
    def or_minus_one(iterator):
        found = iterator.get_next_as_optional()
        return tf.cond(found.has_value(), found.get_value, lambda: tf.constant(-1, tf.int64))

    iterator = iter(D.range(2))
    assert [int(or_minus_one(iterator)) for _ in range(3)] == [0, 1, -1]

    @tf.function
    def wrapped(x):
        return Optional.from_value((x, x + 1)), Optional.empty(tf.TensorSpec([], tf.int32))

    some, none = wrapped(tf.constant(1))
    assert int(some.get_value()[1]) == 2 and not bool(none.has_value())


def test_a_training_loop_with_gradients():
    weight = tf.Variable(0.0)
    x = np.arange(8, dtype=np.float32) / 8

    @tf.function
    def epoch(dataset):
        losses = tf.constant(0.0)
        for a, b in dataset:
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean((weight * a - b) ** 2)
            weight.assign_sub(0.5 * tape.gradient(loss, weight))
            losses += loss
        return losses

    dataset = D.from_tensor_slices((x, 2 * x)).shuffle(8, seed=1).batch(4)
    losses = [float(epoch(dataset)) for _ in range(20)]
    assert losses[-1] < 1e-4 < losses[0] and abs(float(weight) - 2) < 1e-2
    assert epoch.experimental_get_tracing_count() == 1


def test_reduce_and_cardinality_and_single_elements():
    @tf.function
    def reduced(count):
        return D.range(count).reduce(tf.constant(0, tf.int64), lambda s, x: s + x * count)

    assert int(reduced(tf.constant(4, tf.int64))) == 24

    @tf.function
    def size(count):
        return D.range(count).batch(3).cardinality()

    assert int(size(tf.constant(7, tf.int64))) == 3

    @tf.function
    def single(x):
        return D.from_tensors(x).map(lambda v: v * 2).get_single_element()

    assert int(single(tf.constant(4))) == 8


def test_a_dataset_as_a_result():
    @tf.function
    def make(count):
        return D.range(count).shuffle(10, seed=3), tf.constant(1)

    dataset, _ = make(tf.constant(5, tf.int64))
    first, second = ([int(x) for x in dataset] for _ in range(2))
    assert sorted(first) == list(range(5)) and first != second
    assert isinstance(dataset, D)


def test_sparse_tensors_cross_the_border():
    @tf.function(input_signature=[tf.SparseTensorSpec([None, 2], tf.float32)])
    def doubled(sparse):
        return sparse.with_values(sparse.values * 2.0)

    made = doubled(tf.SparseTensor([[0, 1]], [3.0], [2, 2]))
    assert made.values.numpy().tolist() == [6.0] and made.dense_shape.numpy().tolist() == [2, 2]
    with pytest.raises(TypeError, match="input_signature"):
        doubled(tf.SparseTensor([[0]], [3.0], [2]))


def test_a_symbolic_dataset_has_no_elements_outside():
    kept = []

    @tf.function
    def leak(count):
        kept.append(D.range(count))
        return count

    leak(tf.constant(3, tf.int64))
    with pytest.raises(tf.errors.FailedPreconditionError, match="made inside a graph"):
        next(iter(kept[0]))


def test_a_python_loop_over_an_iterator_of_a_graph_is_an_error():
    @tf.function(autograph=False)
    def endless(dataset):
        for x in dataset:
            last = x
        return last

    with pytest.raises(ValueError, match="a Python loop over it has no end"):
        endless(D.range(3))


def test_zip_and_enumerate_are_those_of_datasets():
    @tf.function
    def weighted(a, b):
        found = tf.constant(0, tf.int64)
        for i, (x, y) in enumerate(zip(a, b)):
            found += i * x * y
        return found

    assert int(weighted(D.range(4), D.range(1, 9))) == 1 * 1 * 2 + 2 * 2 * 3 + 3 * 3 * 4

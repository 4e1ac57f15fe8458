"""Iterators: elements, ends, optionals, places that can be saved."""

import json
import threading

import numpy as np
import pytest

import shardtape as tf
from shardtape.data.optional import Optional

D = tf.data.Dataset


def test_an_iterator_ends_once_and_for_all():
    iterator = iter(D.range(2))
    assert [int(next(iterator)), int(iterator.get_next())] == [0, 1]
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(iterator)
        with pytest.raises(tf.errors.OutOfRangeError, match="End of sequence"):
            iterator.get_next()
    assert iter(iterator) is iterator
    assert iterator.element_spec == tf.TensorSpec([], tf.int64)
    assert isinstance(iterator._type_spec, tf.data.IteratorSpec)


def test_optionals():
    iterator = iter(D.range(1).map(lambda x: {"a": x, "b": (x, 1.5)}))
    some, none = iterator.get_next_as_optional(), iterator.get_next_as_optional()
    assert bool(some.has_value()) and not bool(none.has_value())
    assert float(some.get_value()["b"][1]) == 1.5
    with pytest.raises(tf.errors.InvalidArgumentError, match="does not have a value"):
        none.get_value()
    assert int(Optional.from_value((3, "x")).get_value()[0]) == 3
    assert not bool(Optional.empty(tf.TensorSpec([], tf.int32)).has_value())
    of_optionals = D.range(2).map(lambda x: Optional.from_value(x))
    assert [int(o.get_value()) for o in of_optionals] == [0, 1]


def test_several_threads_share_an_iterator():
    iterator = iter(D.range(2000).map(lambda x: x + 1))
    seen = []

    def consume():
        for x in iterator:
            seen.append(int(x))

    threads = [threading.Thread(target=consume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(seen) == list(range(1, 2001))


PIPELINES = {
    "rows": lambda: D.range(40).shuffle(10, seed=1).repeat(2).batch(7),
    "unseeded": lambda: D.range(40).shuffle(40).repeat(2).batch(7),
    "elements": lambda: D.range(40).filter(lambda x: x % 3 > 0).shuffle(9).repeat(2).batch(4),
    "random numbers": lambda: D.range(9).map(lambda x: tf.random.uniform([], seed=3)).batch(2),
    "threads": lambda: D.range(40).map(lambda x: x * 3, num_parallel_calls=2).batch(3).prefetch(2),
    "nested": lambda: D.range(6).interleave(lambda i: D.range(i).shuffle(5, seed=2), 3).batch(2),
    "windows": lambda: D.range(30).window(4, 2).flat_map(lambda w: w.batch(4)),
    "generator": lambda: D.from_generator(lambda: range(30), tf.int64).map(lambda x: x * x),
}


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_place_can_be_saved_and_gone_on_from(name, count):
    dataset = PIPELINES[name]()
    iterator = iter(dataset)
    for _ in range(count):
        next(iterator)
    assert iterator.position == count
    state = json.loads(json.dumps(iterator.save_state()))
    expected = [x.numpy().tolist() for x in iterator]
    other = iter(dataset)
    next(other)
    other.restore_state(state)
    assert other.position == count
    assert [x.numpy().tolist() for x in other] == expected


def test_an_iterator_in_a_checkpoint(tmp_path):
    dataset = D.range(20).shuffle(20).batch(3)
    iterator = iter(dataset)
    step = tf.Variable(0)
    checkpoint = tf.train.Checkpoint(step=step, iterator=iterator)
    next(iterator)
    next(iterator)
    path = checkpoint.save(str(tmp_path / "ckpt"))
    expected = [x.numpy().tolist() for x in iterator]
    checkpoint.restore(path)
    assert [x.numpy().tolist() for x in iterator] == expected


def test_numpy_elements():
    element = next(D.from_tensors({"a": ([1, 2], 3), "b": "text"}).as_numpy_iterator())
    assert element["b"] == b"text" and element["a"][1] == 3
    np.testing.assert_array_equal(element["a"][0], [1, 2])
    assert type(element["a"][1]) is np.int32
    sparse = next(D.from_tensors(tf.SparseTensor([[1]], [5], [3])).as_numpy_iterator())
    assert sparse.tolist() == [0, 5, 0]
    with pytest.raises(TypeError, match="not supported for datasets that produce"):
        D.range(3).window(2).as_numpy_iterator()


def test_datasets_are_true_and_have_lengths():
    assert D.range(0) and len(D.range(0)) == 0 and len(D.range(7).batch(2)) == 4
    with pytest.raises(TypeError, match="infinite"):
        len(D.range(1).repeat())
    with pytest.raises(TypeError, match="unknown"):
        len(D.range(3).filter(lambda x: x > 1))
    assert int(D.range(3).cardinality()) == 3
    assert tf.data.INFINITE_CARDINALITY == -1 and tf.data.UNKNOWN_CARDINALITY == -2


def test_users_may_subclass_datasets():
    class Squares(D):
        @staticmethod
        def _generator(count):
            for i in range(count):
                yield (i * i,)

        def __new__(cls, count=3):
            return D.from_generator(
                cls._generator, output_signature=(tf.TensorSpec([], tf.int64),), args=(count,)
            )

    assert [int(x) for (x,) in Squares(4)] == [0, 1, 4, 9]
    assert isinstance(Squares(), D)


def test_a_generator_is_closed_with_its_iterator():
    closed = []

    def numbers():
        try:
            yield from range(10)
        finally:
            closed.append(True)

    iterator = iter(D.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int32)))
    next(iterator)
    iterator.close()
    assert closed == [True]
    with pytest.raises(StopIteration):
        next(iterator)


def test_a_generator_that_fails():
    def numbers():
        yield 1
        raise KeyError("lost")

    iterator = iter(D.from_generator(numbers, output_signature=tf.TensorSpec([], tf.int32)))
    next(iterator)
    with pytest.raises(tf.errors.UnknownError, match="KeyError: 'lost'") as caught:
        next(iterator)
    assert isinstance(caught.value.__cause__, KeyError)
    with pytest.raises(StopIteration):
        next(iterator)


def test_options():
    options = tf.data.Options()
    options.deterministic = False
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    options.threading.private_threadpool_size = 4
    dataset = D.range(3).with_options(options).map(lambda x: x)
    assert dataset.options().deterministic is False
    assert dataset.options().threading.private_threadpool_size == 4
    assert D.range(3).options().deterministic is None
    with pytest.raises(AttributeError, match="Cannot set the property speed"):
        options.speed = 1

"""TF1's iterators, run as sessions run them."""

import gc

import numpy as np
import pytest

import shardtape as tf
from shardtape.backend import random
from shardtape.data import graph_iterators as v1
from shardtape.graph.plan import Plan

D = tf.data.Dataset


class Session:
    """Runs fetches of a graph with feeds, with streams of its own."""

    def __init__(self, graph):
        self._graph, self._streams = graph, random.Streams(resets=False)

    def run(self, fetches, feeds=()):
        with random.using(self._streams):
            plan = Plan(self._graph, [k for k, _ in feeds], fetches)
            return plan.run([np.asarray(v, k.dtype.as_numpy_dtype) for k, v in feeds])


def test_one_shot_iterators():
    graph = tf.Graph()
    with graph.as_default():
        dataset = D.from_tensor_slices(([1, 2, 3], ["a", "b", "c"])).map(lambda x, s: (x * 2, s))
        x, text = v1.make_one_shot_iterator(dataset).get_next()
        total = x + 1
    first, second = Session(graph), Session(graph)
    assert [first.run([total])[0] for _ in range(3)] == [3, 5, 7]
    with pytest.raises(tf.errors.OutOfRangeError, match="End of sequence"):
        first.run([total])
    value, string = second.run([x, text])  # each session has a place of its own
    assert value == 2 and string[()] == b"a"


def test_initializable_iterators_take_feeds():
    graph = tf.Graph()
    with graph.as_default():
        values = tf.placeholder(tf.int32, [None])
        size = tf.placeholder(tf.int64, [])
        iterator = v1.make_initializable_iterator(D.from_tensor_slices(values).batch(size))
        batch = iterator.get_next()
        with pytest.raises(ValueError, match="make_initializable_iterator"):
            v1.make_one_shot_iterator(D.from_tensor_slices(values))
    session = Session(graph)
    with pytest.raises(tf.errors.FailedPreconditionError, match="has not been initialized"):
        session.run([batch])
    session.run([iterator.initializer], [(values, [1, 2, 3]), (size, 2)])
    assert session.run([batch])[0].tolist() == [1, 2]
    session.run([iterator.initializer], [(values, [7, 8, 9]), (size, 3)])
    assert session.run([batch])[0].tolist() == [7, 8, 9]


def test_iterators_of_a_structure_change_their_dataset():
    graph = tf.Graph()
    with graph.as_default():
        train, test = D.range(3), D.range(10, 12)
        iterator = v1.GraphIterator.from_structure(tf.int64, [])
        element = iterator.get_next()
        begin_train, begin_test = iterator.make_initializer(train), iterator.make_initializer(test)
        with pytest.raises(TypeError, match="Expected elements"):
            iterator.make_initializer(D.from_tensors(1.5))
    session = Session(graph)
    for begin, expected in ((begin_train, [0, 1, 2]), (begin_test, [10, 11])):
        session.run([begin])
        assert [int(session.run([element])[0]) for _ in expected] == expected
        with pytest.raises(tf.errors.OutOfRangeError):
            session.run([element])


def test_string_handles_choose_an_iterator():
    graph = tf.Graph()
    with graph.as_default():
        one = v1.make_one_shot_iterator(D.range(3))
        other = v1.make_one_shot_iterator(D.range(100, 103))
        handle = tf.placeholder(tf.string, [])
        chosen = v1.GraphIterator.from_string_handle(handle, one.output_types, one.output_shapes)
        element, handles = chosen.get_next(), [one.string_handle(), other.string_handle()]
    session = Session(graph)
    first, second = session.run(handles)
    got = [int(session.run([element], [(handle, h)])[0]) for h in (first, second, first, second)]
    assert got == [0, 100, 1, 101]
    with pytest.raises(tf.errors.InvalidArgumentError, match="handle of no iterator"):
        session.run([element], [(handle, np.array(b"none", object))])


def test_places_end_with_their_session():
    graph = tf.Graph()
    with graph.as_default():
        iterator = v1.make_one_shot_iterator(D.range(3))
        element = iterator.get_next()
    resource = iterator._handle.op.attrs["resource"]
    session = Session(graph)
    session.run([element])
    assert len(resource._places) == 1
    del session
    gc.collect()
    assert not resource._places


def test_eager_mode():
    assert int(next(v1.make_one_shot_iterator(D.range(3)))) == 0
    with pytest.raises(RuntimeError, match="eager"):
        v1.make_initializable_iterator(D.range(3))

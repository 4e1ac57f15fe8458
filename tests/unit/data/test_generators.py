"""`from_generator`: what a generator may yield for a signature; TensorFlow 2.15's results."""

import collections

import numpy as np
import pytest

import shardtape as tf
from shardtape.errors import InvalidArgumentError

D = tf.data.Dataset
Pair = collections.namedtuple("Pair", "a b")


def spec(*sizes, dtype=tf.int64):
    return tf.TensorSpec(sizes, dtype)


def of(*values, **signature):
    return D.from_generator(lambda: iter(values), **signature)


def lists(dataset):
    return [tf.nest.map_structure(lambda x: np.array(x).tolist(), e) for e in dataset]


@pytest.mark.parametrize(
    ("value", "signature", "expected"),
    [
        ((1,), spec(1), [1]),
        ((1, 2), spec(2), [1, 2]),
        (Pair(1, 2), spec(2), [1, 2]),
        (((1, 2), (3, 4)), spec(2, 2), [[1, 2], [3, 4]]),
        (((1, 2), 3), (spec(2), spec()), ([1, 2], 3)),
        (((1, 2),), (spec(2),), ([1, 2],)),
        ({"a": (1, 2)}, {"a": spec(2)}, {"a": [1, 2]}),
        (Pair(1, 2), (spec(), spec()), (1, 2)),
        (1.7, spec(), 1),
        (("x", "y"), spec(2, dtype=tf.string), [b"x", b"y"]),
    ],
)
def test_a_tuple_is_a_value_where_a_tensor_is_expected(value, signature, expected):
    assert lists(of(value, output_signature=signature)) == [expected]


@pytest.mark.parametrize(
    ("value", "signature"),
    [
        ([(1, 2), 3], (spec(2), spec())),
        ([1, 2], (spec(), spec())),
        ({"b": 1}, {"a": spec()}),
        ({"a": 1, "b": 2}, {"a": spec()}),
        (1, {"a": spec()}),
        ((1, 2, 3), (spec(), spec())),
        ((1, 2), Pair(spec(), spec())),
        ({"x": [1, 2]}, {"x": (spec(), spec())}),
    ],
)
def test_other_structures_are_refused(value, signature):
    with pytest.raises(InvalidArgumentError, match="did not match the expected structure"):
        lists(of(value, output_signature=signature))


def test_values_that_do_not_fit():
    with pytest.raises(InvalidArgumentError, match="could not be converted to the expected type"):
        lists(of({"a": 1}, output_signature=spec()))
    with pytest.raises(InvalidArgumentError, match=r"an element of shape \(2,\) where .*\(3,\)"):
        lists(of((1, 2), output_signature=spec(3)))


def test_types_without_shapes_convert_as_convert_to_tensor_does():
    assert lists(of((1, 2), output_types=tf.int32)) == [[1, 2]]
    assert lists(of("x", b"y", output_types=tf.string)) == [b"x", b"y"]
    assert lists(of(np.zeros(2), output_types=tf.float32)) == [[0.0, 0.0]]
    for value in (1.7, "x", None, [1, [2]], tf.constant(3.5)):
        with pytest.raises(InvalidArgumentError, match=r"expected structure was TensorSpec\(shape"):
            lists(of(value, output_types=tf.int32))
    assert lists(of(1.7, output_types=tf.int32, output_shapes=[])) == [1]


def test_signatures_exclude_types():
    for other in ({"output_types": tf.int32}, {"output_shapes": []}):
        (name,) = other
        with pytest.raises(TypeError, match=f"`{name}` argument can not be used together"):
            of(1, output_signature=spec(), **other)


def test_a_dataset_class_of_ones_own():
    class Counting(D):
        def _generator(count):
            for i in range(count):
                yield (i,)

        def __new__(cls, count=3):
            return D.from_generator(cls._generator, output_signature=spec(1), args=(count,))

    assert lists(Counting()) == [[0], [1], [2]]
    assert repr(Counting()) == (
        "<_FlatMapDataset element_spec=TensorSpec(shape=(1,), dtype=tf.int64, name=None)>"
    )
    turns = D.range(2).interleave(lambda _: Counting(), num_parallel_calls=tf.data.AUTOTUNE)
    assert sorted(lists(turns)) == [[0], [0], [1], [1], [2], [2]]


def test_truth_values_are_integers_of_features():
    def example(flag):
        held = tf.train.Int64List(value=[flag])
        return tf.train.Example(features=tf.train.Features(
            feature={"f": tf.train.Feature(int64_list=held)})).SerializeToString()  # fmt: skip

    flags = [True, np.bool_(True), 1, np.int64(1), tf.constant(True), tf.constant(1)]
    assert {example(flag) for flag in flags} == {example(1)}
    made = tf.train.Int64List(value=[False, 3])
    assert isinstance(made, tf.train.Int64List) and list(made.value) == [0, 3]
    assert not isinstance(tf.train.FloatList(), tf.train.Int64List)
    assert tf.train.Int64List.FromString(made.SerializeToString()) == made
    rows = D.from_tensor_slices(np.array([True, False, True]))
    written = rows.map(lambda x: tf.reshape(tf.py_function(example, [x], tf.string), []))
    assert [x.numpy() for x in written] == [example(1), example(0), example(1)]
    parsed = written.map(
        lambda x: tf.io.parse_single_example(x, {"f": tf.io.FixedLenFeature([], tf.int64)})
    )
    assert [int(x["f"]) for x in parsed] == [1, 0, 1]


def test_options_have_types():
    options = tf.data.Options()
    with pytest.raises(TypeError, match='"deterministic" must be of type .*bool.*, got: 3 '):
        options.deterministic = 3
    with pytest.raises(TypeError, match='"private_threadpool_size" must be of type .*int'):
        options.threading.private_threadpool_size = "3"
    with pytest.raises(TypeError, match='"auto_shard_policy" must be of type'):
        options.experimental_distribute.auto_shard_policy = 0
    options.deterministic, options.threading.private_threadpool_size = False, 3
    policy = tf.data.experimental.AutoShardPolicy.DATA
    options.experimental_distribute.auto_shard_policy = policy
    found = D.range(3).with_options(options).options()
    assert found.deterministic is False and found.threading.private_threadpool_size == 3
    assert found.experimental_distribute.auto_shard_policy is policy

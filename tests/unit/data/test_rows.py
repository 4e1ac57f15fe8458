"""Pipelines over rows of arrays: fused, they give what they give element by element."""

import sys

import numpy as np
import pytest

import shardtape as tf
from shardtape.data import rows
from shardtape.data.run import Run

D = tf.data.Dataset
N = 23
X = np.arange(N * 3, dtype=np.float32).reshape(N, 3)
Y = np.arange(N) % 4
NAMES = np.array([f"n{i}" for i in range(N)])

PIPELINES = {
    "batch": lambda d: d.batch(4),
    "whole batches": lambda d: d.batch(4, drop_remainder=True),
    "shuffle": lambda d: d.shuffle(5, seed=3).batch(4),
    "shuffle all": lambda d: d.shuffle(100, seed=3).batch(6),
    "shuffle and repeat": lambda d: d.shuffle(7, seed=1).repeat(3).batch(5),
    "the same order again": lambda d: d.shuffle(7, 1, False).repeat(2).batch(5),
    "repeat and shuffle": lambda d: d.repeat(2).shuffle(9, seed=4).batch(5),
    "take and skip": lambda d: d.skip(3).take(11).batch(4),
    "take of a shuffle": lambda d: d.shuffle(9, seed=2).take(10).batch(4),
    "skip of a shuffle": lambda d: d.shuffle(9, seed=2).skip(10).batch(4),
    "shard": lambda d: d.shard(3, 1).batch(4),
    "shard of a shard": lambda d: d.shard(2, 1).shard(3, 2).batch(2),
    "shard of a shuffle": lambda d: d.shuffle(9, seed=2).shard(3, 1).batch(3),
    "endless": lambda d: d.shuffle(30, seed=5).repeat().batch(6).take(13),
    "map": lambda d: d.map(lambda x, y, s: (x / 2.0, tf.cast(y, tf.float32), s)).batch(4),
    "map of a shuffle": lambda d: d.shuffle(6, seed=7).map(lambda x, y, s: (x - 1.0, y)).batch(4),
    "two maps": lambda d: d.map(lambda x, y, s: (x * x, y)).map(lambda x, y: {"b": x, "a": y}),
    "prefetch": lambda d: d.shuffle(6, seed=7).batch(3).prefetch(2),
    "prefetch of rows": lambda d: d.shuffle(6, seed=7).prefetch(2).batch(3),
    "cache": lambda d: d.skip(2).cache().shuffle(5, seed=2).batch(4),
    "enumerate": lambda d: d.enumerate(5).shuffle(4, seed=1).batch(4),
    "options": lambda d: d.with_options(tf.data.Options()).batch(4),
}  # fmt: skip


def elements(dataset):
    flat = []
    for element in dataset:
        for leaf in tf.nest.flatten(element):
            flat.append((leaf.dtype, leaf.numpy().tolist()))
    return flat


@pytest.mark.parametrize("name", PIPELINES)
def test_fused_is_one_by_one(name):
    source = D.from_tensor_slices((X, Y, NAMES))
    one_by_one = source.filter(lambda *row: True)
    fused, plain = PIPELINES[name](source), PIPELINES[name](one_by_one)
    assert one_by_one._stream(Run()) is None
    for _ in range(2):  # the second pass has other seeds
        assert elements(fused) == elements(plain)


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("count", [0, 1, 3, 100])
def test_skipping_is_taking(name, count):
    source = D.from_tensor_slices((X, Y, NAMES))
    for kind in (source, source.filter(lambda *row: True)):
        dataset = PIPELINES[name](kind)
        if count == 100 and "shuffle" in name:
            continue
        taken, skipped = iter(dataset), iter(dataset)
        taken.restore_state(skipped.save_state())  # the seeds of one pass
        total = sum(1 for _, _ in zip(range(count), taken))
        assert skipped.skip(count) == total
        assert elements(skipped) == elements(taken)


def fused(dataset):
    """What makes the batches of a dataset."""
    return type(dataset._cursor(Run()))


def test_which_pipelines_are_fused():
    source = D.from_tensor_slices((X, Y))
    batched = rows.BatchedRowsCursor
    assert fused(source.batch(2)) is batched
    assert fused(source.shuffle(3).repeat().batch(2).prefetch(1)) is batched
    assert fused(D.zip((source, D.range(50))).take(4).batch(2)) is batched
    scaled = source.map(lambda x, y: (tf.cast(x, tf.float64) / 255.0, tf.one_hot(y, 4)))
    assert fused(scaled.cache().shuffle(9).batch(2)) is batched


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: (tf.reduce_sum(x), y),  # looks at a whole row
        lambda x, y: (x + tf.cast(y, tf.float32), y),  # a row of other rank: axes would be mixed
        lambda x, y: (tf.constant(1.0), y),  # nothing of the row
        lambda x, y: (tf.exp(x), y),  # its last bits depend on where an element stands
        lambda x, y: (x + tf.random.uniform([]), y),
        lambda x, y: (tf.reshape(x, [3, 1]), y),
    ],
)
def test_other_functions_run_row_by_row(function):
    source = D.from_tensor_slices((X, Y))
    mapped = source.map(function)
    assert mapped._rows(Run()) is None
    one_by_one = source.filter(lambda *row: True).map(function)
    tf.random.set_seed(1)
    assert len(elements(mapped.batch(4))) == len(elements(one_by_one.batch(4)))


def test_a_constant_of_the_rows_shape_is_added_to_each_row():
    added = np.array([1.0, 2.0, 3.0], np.float32)
    dataset = D.from_tensor_slices(X).map(lambda x: x + added)
    assert dataset._rows(Run()) is not None
    np.testing.assert_array_equal(np.concatenate(list(dataset.batch(4))), X + added)
    wider = D.from_tensor_slices(X).map(lambda x: x + np.ones((2, 3), np.float32))
    assert wider._rows(Run()) is None
    assert next(iter(wider.batch(4))).shape == (4, 2, 3)


def test_large_ranges_are_not_made():
    dataset = D.range(sys.maxsize).skip(10**12).shard(2, 1).batch(3)
    np.testing.assert_array_equal(next(iter(dataset)), [10**12 + 1, 10**12 + 3, 10**12 + 5])


def test_arrays_are_copied_once_and_mapped_files_never(tmp_path):
    array = np.arange(4.0)
    dataset = D.from_tensor_slices(array)
    array[:] = 9
    assert [float(x) for x in dataset] == [0, 1, 2, 3]
    np.save(tmp_path / "x.npy", np.arange(4.0))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    dataset = D.from_tensor_slices(mapped)
    assert np.shares_memory(dataset._values[0]._array, mapped)
    fixed = np.arange(4.0)
    fixed.flags.writeable = False
    assert np.shares_memory(D.from_tensor_slices(fixed)._values[0]._array, fixed)
    view = np.arange(4.0)[:]
    view.flags.writeable = False  # its base may be changed
    assert not np.shares_memory(D.from_tensor_slices(view)._values[0]._array, view)


def test_numpy_elements_cannot_be_written():
    element = next(D.from_tensor_slices(X).as_numpy_iterator())
    with pytest.raises(ValueError, match="read-only"):
        element[0] = 5
    batch = next(iter(D.from_tensor_slices(X).batch(2)))
    batch.numpy()[:] = 0  # a copy
    np.testing.assert_array_equal(next(iter(D.from_tensor_slices(X).batch(2))), X[:2])

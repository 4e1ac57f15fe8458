"""Tables that change, in checkpoints; names and values are TensorFlow 2.15's."""

import numpy as np

import shardtape as tf

lookup = tf.lookup.experimental


def test_a_restore_replaces_the_contents(tmp_path):
    def holding(key, value):
        module = tf.Module()
        module.t = lookup.MutableHashTable(tf.string, tf.int64, -5)
        module.t.insert(tf.constant([key]), tf.constant([value], tf.int64))
        return module

    path = tf.train.Checkpoint(holding("q", 7)).save(tmp_path / "ckpt")
    names = [name for name, _ in tf.train.list_variables(path)]
    assert {"t/.ATTRIBUTES/table-keys", "t/.ATTRIBUTES/table-values"} < set(names)
    other = holding("z", 8)
    tf.train.Checkpoint(other).restore(path).assert_consumed()
    assert other.t.lookup(tf.constant(["q", "z"])).numpy().tolist() == [7, -5]


def test_a_table_of_vectors_by_name(tmp_path):
    table = lookup.MutableHashTable(tf.int64, tf.float32, [0.0, 0.0])
    table.insert(tf.constant([3], tf.int64), [[1.0, 2.0]])
    path = tf.train.Checkpoint(t=table).save(tmp_path / "ckpt")
    other = lookup.MutableHashTable(tf.int64, tf.float32, [0.0, 0.0])
    tf.train.Checkpoint(t=other).restore(path).assert_consumed()
    got = other.lookup(tf.constant([3, 4], tf.int64))
    np.testing.assert_array_equal(got, [[1, 2], [0, 0]])


def test_an_empty_table(tmp_path):
    path = tf.train.Checkpoint(t=lookup.MutableHashTable(tf.string, tf.int64, 0)).save(
        tmp_path / "ckpt"
    )
    other = lookup.MutableHashTable(tf.string, tf.int64, 0)
    other.insert(tf.constant(["a"]), tf.constant([1], tf.int64))
    tf.train.Checkpoint(t=other).restore(path).assert_consumed()
    assert int(other.size()) == 0

"""Tables: files, errors, and tables that change."""

import pytest

import shardtape as tf


def test_text_files(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("x\t1\ny\t2\n")
    lookup = tf.lookup
    columns = lookup.TextFileInitializer(str(path), tf.string, 0, tf.int64, 1)
    table = lookup.StaticHashTable(columns, 0)
    assert table.lookup(tf.constant(["y", "q"])).numpy().tolist() == [2, 0]
    index = lookup.TextFileIndex
    lines = lookup.TextFileInitializer(
        str(path), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
    )
    vocabulary = lookup.StaticVocabularyTable(lines, 1)
    assert vocabulary.lookup(tf.constant(["y\t2", "q"])).numpy().tolist() == [1, 2]
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected 6 got 2"):
        lookup.StaticHashTable(lookup.TextFileInitializer(str(path), tf.string, 0, tf.int64, 5), 0)
    with pytest.raises(tf.errors.NotFoundError):
        lookup.StaticHashTable(
            lookup.TextFileInitializer(str(tmp_path / "no"), tf.string, 0, tf.int64, 1), 0
        )


def test_what_is_refused():
    make = tf.lookup.KeyValueTensorInitializer
    with pytest.raises(tf.errors.FailedPreconditionError, match="different value for same key"):
        tf.lookup.StaticHashTable(make(["a", "a"], [1, 2]), 0)
    with pytest.raises(ValueError, match="num_oov_buckets"):
        tf.lookup.StaticVocabularyTable(None, 0)
    with pytest.raises(TypeError, match="expected"):
        tf.lookup.StaticVocabularyTable(make(["a"], tf.constant([0])), 1)
    table = tf.lookup.StaticHashTable(make(["a"], [1]), 0)
    with pytest.raises(TypeError, match="must be string"):
        table.lookup(tf.constant([1]))


def test_tables_that_change_also_within_functions():
    table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, [0.0, 0.0])

    @tf.function
    def put(keys, values):
        table.insert(keys, values)
        return table.lookup(keys)

    assert put(tf.constant(["k"]), tf.constant([[1.0, 2.0]])).numpy().tolist() == [[1.0, 2.0]]
    assert int(table.size()) == 1
    assert table.lookup(tf.constant(["j", "k"])).numpy().tolist() == [[0.0, 0.0], [1.0, 2.0]]
    table.remove(tf.constant(["k"]))
    assert int(table.size()) == 0
    dense = tf.lookup.experimental.DenseHashTable(tf.int64, tf.int64, -1, 0, -1)
    with pytest.raises(tf.errors.InvalidArgumentError, match="empty_key"):
        dense.insert(tf.constant([0], tf.int64), tf.constant([5], tf.int64))

"""Rows of SQLite, tables out of datasets, filling up to a size; results as TensorFlow 2.15's."""

import sqlite3

import numpy as np
import pytest

import shardtape as tf

E = tf.data.experimental


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    name = str(tmp_path_factory.mktemp("sql") / "x.db")
    with sqlite3.connect(name) as file:
        file.execute("create table t(name text, n integer, f real, b blob)")
        rows = [("a", 1, 1.5, b"x"), ("ä", -2, 2.5, b"\0y"), (None, 3, None, None)]
        file.executemany("insert into t values(?,?,?,?)", rows)
    return name


@pytest.mark.parametrize(
    ("query", "types", "rows"),
    [
        ("select name,n,f from t", (tf.string, tf.int32, tf.float64),
         [(b"a", 1, 1.5), ("ä".encode(), -2, 2.5), (b"", 3, 0.0)]),
        ("select n,f from t", (tf.string, tf.string),
         [(b"1", b"1.5"), (b"-2", b"2.5"), (b"3", b"")]),
        ("select b,n from t", (tf.string, tf.bool), [(b"x", True), (b"\0y", True), (b"", True)]),
        ("select f from t", (tf.int32,), [(1,), (2,), (0,)]),
        ("select n from t", (tf.uint8,), [(1,), (254,), (3,)]),
        ("select n,n from t", (tf.int16, tf.uint16), [(1, 1), (-2, 65534), (3, 3)]),
    ],
)  # fmt: skip
def test_rows_of_sqlite(path, query, types, rows):
    data = E.SqlDataset("sqlite", path, query, types)
    assert [s.dtype for s in data.element_spec] == list(types)
    assert list(data.as_numpy_iterator()) == rows
    assert list(data.as_numpy_iterator()) == rows  # each iterator reads anew
    assert len(list(data.batch(2))) == 2


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (tf.int32, [12, 1, 1, 7, 0, 0, -3, 0, 5, 0, -1, 0, 3]),
        (tf.float64, [12, 1e5, 1, 7, 0, 0, -3.9, 0, 100, 0.5, 1e300, -1e300, 3.99]),
        (tf.bool, [True, True, True, True, False, False, True, False, True, False, True, True,
                   True]),
    ],
)  # fmt: skip
def test_texts_and_large_numbers_become_numbers(tmp_path, kind, numbers):
    given = ["12abc", "1e5", "1_000", " 7 ", "abc", "nan", "-3.9x", "0x10", "+5", ".5"]
    if kind is tf.float64:
        given[8] = "1e2x"
    with sqlite3.connect(tmp_path / "x.db") as file:
        file.execute("create table t(x)")
        values = [(v,) for v in (*given, 1e300, -1e300, 3.99)]
        file.executemany("insert into t values(?)", values)
    data = E.SqlDataset("sqlite", str(tmp_path / "x.db"), "select x from t", (kind,))
    assert [row[0] for row in data.as_numpy_iterator()] == numbers


def test_what_sqlite_refuses(path):
    with pytest.raises(tf.errors.UnknownError, match="no such table"):
        list(E.SqlDataset("sqlite", path, "select n from nope", (tf.int32,)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="number of columns in query"):
        list(E.SqlDataset("sqlite", path, "select n from t", (tf.int32, tf.int32)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="mysql, is not supported"):
        E.SqlDataset("mysql", path, "select n from t", (tf.int32,))
    with pytest.raises(tf.errors.InvalidArgumentError, match="got float32"):
        E.SqlDataset("sqlite", path, "select n from t", (tf.float32,))


KEYS = tf.data.Dataset.range(100, 104)
WORDS = tf.data.Dataset.from_tensor_slices(["a", "b", "c", "d"])


def test_tables():
    table = E.table_from_dataset(
        tf.data.Dataset.zip((KEYS, WORDS)), default_value="n/a", key_dtype=tf.int64
    )
    found = table.lookup(tf.constant([100, 103, 5], tf.int64))
    assert found.numpy().tolist() == [b"a", b"d", b"n/a"] and table.size() == 4
    numbered = tf.data.Dataset.zip((WORDS, tf.data.Dataset.range(4)))
    table = E.table_from_dataset(numbered, num_oov_buckets=2)
    assert table.lookup(tf.constant(["a", "zz", "d", "q"])).numpy().tolist() == [0, 4, 3, 5]
    initializer = E.DatasetInitializer(tf.data.Dataset.zip((KEYS, WORDS)))
    table = tf.lookup.StaticHashTable(initializer, "z")
    assert table.lookup(tf.constant([101, 7], tf.int64)).numpy().tolist() == [b"b", b"z"]


def test_tables_of_places():
    asked = tf.constant(["a", "d", "x"])
    for options, found in (({"num_oov_buckets": 1}, [0, 3, 4]), ({}, [0, 3, -1]),
                           ({"vocab_size": 2}, [0, -1, -1])):  # fmt: skip
        assert E.index_table_from_dataset(WORDS, **options).lookup(asked).numpy().tolist() == found


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: E.table_from_dataset(WORDS), "pairs"),
        (lambda: E.table_from_dataset(tf.data.Dataset.zip((KEYS, WORDS))), "`default_value` must"),
        (lambda: E.table_from_dataset(tf.data.Dataset.zip((WORDS, KEYS.batch(2)))), "scalar"),
        (lambda: E.index_table_from_dataset(WORDS, num_oov_buckets=-1), "greater than or equal"),
        (lambda: E.index_table_from_dataset(WORDS, vocab_size=9), "contain 9 elements"),
    ],
)
def test_tables_that_are_refused(call, text):
    with pytest.raises((ValueError, tf.errors.FailedPreconditionError), match=text):
        call()


def test_filled_up():
    data = tf.data.Dataset.from_tensor_slices({"a": np.int32([1, 2, 3])})
    full = data.apply(E.pad_to_cardinality(5))
    assert full.cardinality() == 5
    rows = list(full.as_numpy_iterator())
    assert [r["a"] for r in rows] == [1, 2, 3, 0, 0]
    assert [r["valid"] for r in rows] == [True] * 3 + [False] * 2
    with pytest.raises(ValueError, match="less than"):
        data.apply(E.pad_to_cardinality(2))
    with pytest.raises(ValueError, match="known cardinality"):
        data.repeat().apply(E.pad_to_cardinality(9))
    with pytest.raises(ValueError, match="dictionary"):
        KEYS.apply(E.pad_to_cardinality(9))

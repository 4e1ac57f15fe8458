"""Files of records, caches, saved datasets."""

import gzip
import threading
import zlib

import numpy as np
import pytest

import shardtape as tf

D = tf.data.Dataset


def texts(dataset):
    return [x.numpy() for x in dataset]


@pytest.fixture
def lines(tmp_path):
    content = b"".join(b"line %d\n" % i for i in range(5000))
    (tmp_path / "plain").write_bytes(content)
    (tmp_path / "gz").write_bytes(gzip.compress(content))
    (tmp_path / "z").write_bytes(zlib.compress(content))
    return tmp_path


@pytest.mark.parametrize(("name", "compression"), [("plain", ""), ("gz", "GZIP"), ("z", "ZLIB")])
@pytest.mark.parametrize("buffer_size", [None, 7, 4096])
def test_lines(lines, name, compression, buffer_size):
    found = texts(tf.data.TextLineDataset(lines / name, compression, buffer_size))
    assert found == [b"line %d" % i for i in range(5000)]


def test_paths_may_be_remote():
    import fsspec

    with fsspec.open("memory://shardtape-data/a.txt", "wb") as file:
        file.write(b"one\ntwo\n")
    assert texts(tf.data.TextLineDataset("memory://shardtape-data/a.txt")) == [b"one", b"two"]
    found = texts(D.list_files("memory://shardtape-data/*.txt"))
    assert len(found) == 1 and found[0].endswith(b"a.txt")


@pytest.mark.parametrize("compression", ["", "GZIP", "ZLIB"])
@pytest.mark.parametrize("buffer_size", [None, 5])
def test_records(tmp_path, compression, buffer_size):
    records = [b"", b"x" * 3, bytes(range(256)) * 30, *[b"%d" % i for i in range(500)]]
    path = str(tmp_path / "records")
    with tf.io.TFRecordWriter(path, compression) as writer:
        for record in records:
            writer.write(record)
    assert texts(tf.data.TFRecordDataset(path, compression, buffer_size)) == records
    twice = tf.data.TFRecordDataset([path, path], compression, num_parallel_reads=2)
    assert sorted(texts(twice)) == sorted(records * 2)


def test_broken_records_are_named(tmp_path):
    path = tmp_path / "records"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for i in range(3):
            writer.write(b"record %d" % i)
    whole = path.read_bytes()
    size = len(whole) // 3
    for place, text in ((12, "corrupted record at 0"), (size + 2, f"corrupted record at {size}")):
        broken = bytearray(whole)
        broken[place] ^= 1
        path.write_bytes(broken)
        with pytest.raises(tf.errors.DataLossError, match=text):
            texts(tf.data.TFRecordDataset(path))
    path.write_bytes(whole[:-3])
    found = []
    with pytest.raises(tf.errors.DataLossError, match=f"truncated record at {2 * size} in"):
        for record in tf.data.TFRecordDataset(path):
            found.append(record.numpy())
    assert found == [b"record 0", b"record 1"]


def test_missing_files_and_wrong_names(tmp_path):
    dataset = tf.data.TextLineDataset([str(tmp_path / "none")])
    with pytest.raises(tf.errors.NotFoundError, match="none"):
        next(iter(dataset))
    for wrong in (5, [1.5], D.range(3), D.from_tensors(["a"])):
        with pytest.raises(TypeError, match="filenames"):
            tf.data.TextLineDataset(wrong)
    with pytest.raises(tf.errors.InvalidArgumentError, match="compression"):
        next(iter(tf.data.TextLineDataset(__file__, "BZIP")))
    with pytest.raises(tf.errors.InvalidArgumentError, match="No files matched"):
        D.list_files(str(tmp_path / "*.none"))


def test_records_of_fixed_length(tmp_path):
    path = tmp_path / "fixed"
    path.write_bytes(b"head" + b"".join(b"%010d" % i for i in range(70000)) + b"foot!")
    found = texts(tf.data.FixedLengthRecordDataset(str(path), 10, 4, 5))
    assert found == [b"%010d" % i for i in range(70000)]
    with pytest.raises(tf.errors.InvalidArgumentError, match="Excess data"):
        texts(tf.data.FixedLengthRecordDataset(str(path), 10, 4, 4))


def test_files_are_read_ahead_by_threads_that_end(lines):
    dataset = tf.data.TextLineDataset([str(lines / "plain")] * 3, num_parallel_reads=3)
    iterator = iter(dataset)
    assert [next(iterator).numpy() for _ in range(3)] == [b"line 0"] * 3
    assert any(t.name == "shardtape-prefetch" for t in threading.enumerate())
    iterator.close()
    assert not any(t.name == "shardtape-prefetch" for t in threading.enumerate())


# ---- csv ----------------------------------------------------------------------------------------
def test_csv_errors_are_per_record(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("1,2\nx,3\n4\n5,6\n")
    dataset = tf.data.experimental.CsvDataset(str(path), [tf.int32, tf.int32])
    iterator = iter(dataset)
    assert [int(v) for v in next(iterator)] == [1, 2]
    with pytest.raises(tf.errors.InvalidArgumentError, match="not a valid int32: x"):
        next(iterator)
    with pytest.raises(tf.errors.InvalidArgumentError, match="Expect 2 fields but have 1"):
        next(iterator)
    assert [int(v) for v in next(iterator)] == [5, 6]
    assert len(list(dataset.ignore_errors())) == 2


def test_quoted_line_ends_across_blocks(tmp_path):
    path = tmp_path / "x.csv"
    rows = [(f'a "{i}"\nb', i) for i in range(300)]
    quoted = [(t.replace('"', '""'), i) for t, i in rows]
    path.write_text("".join(f'"{t}",{i}\r\n' for t, i in quoted))
    dataset = tf.data.experimental.CsvDataset(str(path), ["", 0], buffer_size=16)
    assert [(t.numpy().decode(), int(i)) for t, i in dataset] == rows


def test_a_csv_dataset_learns_names_and_types(tmp_path):
    (tmp_path / "a.csv").write_text("i,l,f,d,s,e\n1,3000000000,1.5,1e300,x,\n,2,3,4,5,\n")
    make = tf.data.experimental.make_csv_dataset
    dataset = make(str(tmp_path / "a.csv"), 2, num_epochs=1, shuffle=False, label_name="s")
    features, label = dataset.element_spec
    assert {k: v.dtype.name for k, v in features.items()} == {
        "i": "int32", "l": "int64", "f": "float32", "d": "float64", "e": "string",
    }  # fmt: skip
    assert label.dtype is tf.string and list(features) == ["i", "l", "f", "d", "e"]
    with pytest.raises(ValueError, match="No files match"):
        make(str(tmp_path / "*.none"), 2)
    with pytest.raises(ValueError, match="`column_names` or `header`"):
        make(str(tmp_path / "a.csv"), 2, header=False)
    (tmp_path / "b.csv").write_text("i,l\n")
    with pytest.raises(ValueError, match="same column names"):
        make(str(tmp_path / "*.csv"), 2)


# ---- caches and saved datasets ------------------------------------------------------------------
def counting(count=6):
    calls = []

    def function(x):
        calls.append(int(x))
        return x

    dataset = D.range(count).map(lambda x: tf.py_function(function, [x], tf.int64))
    return dataset, calls


def test_a_cache_computes_once_and_only_when_whole():
    dataset, calls = counting()
    cached = dataset.cache()
    list(cached.take(3))
    assert calls == [0, 1, 2]
    assert [int(x) for x in cached] == list(range(6))
    assert [int(x) for x in cached.repeat(2)] == list(range(6)) * 2
    assert len(calls) == 9


def test_a_cache_is_whole_when_the_last_of_known_elements_was_read():
    dataset, calls = counting()
    for cached, computed in ((dataset.cache(), 6), (dataset.filter(lambda x: x >= 0).cache(), 12)):
        calls.clear()
        list(cached.take(6))
        list(cached.take(6))
        assert len(calls) == computed


def test_a_cache_keeps_the_order_of_a_shuffle_and_becomes_rows():
    from shardtape.data.rows import BatchedRowsCursor
    from shardtape.data.run import Run

    cached = D.range(20).shuffle(20).map(lambda x: (x, tf.exp(tf.cast(x, tf.float32)))).cache()
    first = [int(x) for x, _ in cached]
    assert [int(x) for x, _ in cached] == first
    assert type(cached.shuffle(5).batch(4)._cursor(Run())) is BatchedRowsCursor
    ragged = D.range(4).map(lambda x: tf.fill([x], x)).cache()
    for _ in range(2):
        assert [x.numpy().tolist() for x in ragged] == [[], [1], [2, 2], [3, 3, 3]]


def test_a_cache_in_a_file(tmp_path):
    path = str(tmp_path / "folder" / "cache")
    dataset, calls = counting()
    cached = dataset.map(lambda x: {"a": x, "s": ("t", tf.fill([2], x))}).cache(path)
    list(cached.take(2))
    assert len(calls) == 2 and not (tmp_path / "folder" / "cache.index").exists()
    whole = [e["s"][1].numpy().tolist() for e in cached]
    assert len(calls) == 8
    assert [e["s"][1].numpy().tolist() for e in cached] == whole
    other, other_calls = counting()
    again = other.map(lambda x: {"a": x, "s": ("t", tf.fill([2], x))}).cache(path)
    assert [e["s"][1].numpy().tolist() for e in again] == whole and not other_calls
    assert not list((tmp_path / "folder").glob("*.partial"))


def test_saved_datasets(tmp_path):
    path = str(tmp_path / "saved")
    sparse = tf.SparseTensor([[1]], [2.5], [3])
    dataset = D.range(6).map(lambda x: {"x": x, "t": (tf.strings.as_string(x), sparse)})
    for compression in (None, "GZIP"):
        dataset.save(path, compression)
        loaded = D.load(path)
        assert loaded.element_spec["x"] == tf.TensorSpec([], tf.int64) and len(loaded) == 6
        assert [e["t"][0].numpy() for e in loaded] == [b"%d" % i for i in range(6)]
        assert next(iter(loaded))["t"][1].values.numpy().tolist() == [2.5]
    sharded = str(tmp_path / "sharded")
    D.range(6).save(sharded, shard_func=lambda x: x % 2)
    assert sorted(int(x) for x in D.load(sharded)) == list(range(6))
    one_by_one = D.load(sharded, reader_func=lambda parts: parts.flat_map(lambda d: d))
    assert [int(x) for x in one_by_one] == [0, 2, 4, 1, 3, 5]
    with pytest.raises(tf.errors.NotFoundError, match="no saved dataset"):
        D.load(str(tmp_path / "none"))
    taken = D.range(9).snapshot(str(tmp_path / "snapshot"))
    assert [int(x) for x in taken] == [int(x) for x in taken] == list(range(9))


def test_records_of_a_dataset_are_written(tmp_path):
    path = str(tmp_path / "written")
    tf.data.experimental.TFRecordWriter(path).write(D.from_tensor_slices(["a", "b"]))
    assert texts(tf.data.TFRecordDataset(path)) == [b"a", b"b"]
    with pytest.raises(TypeError, match="scalar `tf.string`"):
        tf.data.experimental.TFRecordWriter(path).write(D.range(3))


def test_images_as_guides_read_them(tmp_path):
    for label in ("cat", "dog"):
        for i in range(3):
            (tmp_path / label).mkdir(exist_ok=True)
            np.full((2, 2), i, np.uint8).tofile(tmp_path / label / f"{i}.raw")
    files = D.list_files(str(tmp_path / "*/*.raw"), shuffle=False)

    def read(path):
        label = tf.strings.split(path, "/")[-2]
        return tf.io.decode_raw(tf.io.read_file(path), tf.uint8), label

    images, labels = next(iter(files.map(read, num_parallel_calls=2).batch(6)))
    assert images.numpy()[:, 0].tolist() == [0, 1, 2] * 2
    assert labels.numpy().tolist() == [b"cat"] * 3 + [b"dog"] * 3


# the names are TensorFlow 2.15's
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("t*.txt", ["./t1.txt", "./t2.txt"]),
        ("./t*.txt", ["./t1.txt", "./t2.txt"]),
        ("t1.txt", ["t1.txt"]),
        ("sub/*.txt", ["sub/a.txt"]),
        ("s?b/a.*", ["./sub/a.txt"]),
        ("*", ["./sub", "./t1.txt", "./t2.txt"]),
        ("nope*", []),
    ],
)
def test_names_that_match_in_the_working_folder(tmp_path, monkeypatch, pattern, names):
    (tmp_path / "sub").mkdir()
    for name in ("t1.txt", "t2.txt", "sub/a.txt"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    assert tf.io.gfile.glob(pattern) == names
    assert tf.io.matching_files(pattern).numpy().tolist() == [n.encode() for n in names]
    if names:
        found = tf.data.Dataset.list_files(pattern, shuffle=False)
        assert [n.numpy().decode() for n in found] == names

"""Lookup tables and layers that hold them in saved models; the values are TensorFlow 2.15's."""

import subprocess
import sys

import numpy as np
import pytest

import shardtape as tf

STRINGS = [tf.TensorSpec([None], tf.string)]
LONGS = [tf.TensorSpec([None], tf.int64)]


class Words(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(1.0)
        self.table = tf.lookup.StaticHashTable(
            tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2]), -1
        )
        self.counts = tf.lookup.experimental.MutableHashTable(tf.string, tf.int64, -5)
        self.counts.insert(tf.constant(["q"]), tf.constant([7], tf.int64))
        self.text = tf.keras.layers.TextVectorization(
            vocabulary=["the", "cat", "sat"], output_sequence_length=4
        )
        self.strings = tf.keras.layers.StringLookup(vocabulary=["x", "y"], num_oov_indices=2)
        self.integers = tf.keras.layers.IntegerLookup(vocabulary=[10, 20], output_mode="multi_hot")
        self.back = tf.keras.layers.StringLookup(vocabulary=["x", "y"], invert=True, mask_token="-")

    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def add(self, x):
        return self.w + x

    @tf.function(input_signature=STRINGS)
    def look(self, x):
        return self.table.lookup(x)

    @tf.function(input_signature=STRINGS)
    def words(self, x):
        return self.text(x)

    @tf.function(input_signature=STRINGS)
    def places(self, x):
        return self.strings(x)

    @tf.function(input_signature=LONGS)
    def vectors(self, x):
        return self.integers(x)

    @tf.function(input_signature=LONGS)
    def members(self, x):
        return self.back(x)

    @tf.function(input_signature=STRINGS)
    def counted(self, x):
        return self.counts.lookup(x), self.counts.size()

    @tf.function(input_signature=[*STRINGS, *LONGS])
    def count(self, x, n):
        self.counts.insert(x, n)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("words")
    words = Words()
    tf.saved_model.save(words, path, signatures=words.add)
    return path


def test_functions_beside_the_signature_are_kept(folder):
    loaded = tf.saved_model.load(folder)
    assert float(loaded.signatures["serving_default"](x=tf.constant(2.0))["output_0"]) == 3.0
    np.testing.assert_array_equal(loaded.look(tf.constant(["b", "z"])), [2, -1])
    np.testing.assert_array_equal(
        loaded.words(tf.constant(["the CAT!", "sat x y z q"])), [[2, 3, 0, 0], [4, 1, 1, 1]]
    )
    np.testing.assert_array_equal(loaded.places(tf.constant(["y", "u", "v"])), [3, 1, 1])
    np.testing.assert_array_equal(loaded.vectors(tf.constant([20, 3], tf.int64)), [1, 0, 1])
    assert loaded.members(tf.constant([0, 3, 9], tf.int64)).numpy().tolist() == [
        b"-", b"y", b"[UNK]",
    ]  # fmt: skip


def test_functions_share_a_table_that_changes(folder):
    loaded = tf.saved_model.load(folder)
    keys = tf.constant(["q", "r"])
    values, size = loaded.counted(keys)
    assert (values.numpy().tolist(), int(size)) == ([7, -5], 1)
    loaded.count(tf.constant(["r"]), tf.constant([9], tf.int64))
    values, size = loaded.counted(keys)
    assert (values.numpy().tolist(), int(size)) == ([7, 9], 2)


def test_tables_are_attributes(folder):
    loaded = tf.saved_model.load(folder)
    np.testing.assert_array_equal(loaded.table.lookup(tf.constant(["a", "z"])), [1, -1])
    loaded.counts.insert(tf.constant(["s"]), tf.constant([4], tf.int64))
    np.testing.assert_array_equal(loaded.counted(tf.constant(["q", "s"]))[0], [7, 4])


def test_tables_are_saved_again(folder, tmp_path):
    loaded = tf.saved_model.load(folder)
    loaded.count(tf.constant(["r"]), tf.constant([9], tf.int64))
    tf.saved_model.save(loaded, tmp_path)
    again = tf.saved_model.load(tmp_path)
    np.testing.assert_array_equal(again.look(tf.constant(["b", "z"])), [2, -1])
    np.testing.assert_array_equal(again.counted(tf.constant(["r", "s"]))[0], [9, -5])


def test_a_process_of_its_own_loads_them(folder):
    code = (
        "import shardtape as tf, sys; l = tf.saved_model.load(sys.argv[1]); "
        "print(l.words(tf.constant(['sat, cat'])).numpy().tolist(), "
        "l.look(tf.constant(['a'])).numpy())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[[4, 3, 0, 0]] [1]", done.stderr


def test_a_table_as_signature(tmp_path):
    words = Words()
    tf.saved_model.save(words, tmp_path, signatures={"look": words.look})
    found = tf.saved_model.load(tmp_path).signatures["look"](x=tf.constant(["b"]))
    np.testing.assert_array_equal(found["output_0"], [2])


def test_a_table_of_a_file_needs_it_no_more(tmp_path):
    file = tmp_path / "vocabulary.txt"
    file.write_text("u\nv\n")
    index = tf.lookup.TextFileIndex
    module = tf.Module()
    module.table = table = tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            str(file), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
        ),
        3,
    )
    module.f = tf.function(lambda x: (table.lookup(x), table.size()), input_signature=STRINGS)
    tf.saved_model.save(module, tmp_path / "model")
    file.unlink()
    ids, size = tf.saved_model.load(tmp_path / "model").f(tf.constant(["v", "zz", "yy"]))
    assert (ids.numpy().tolist(), int(size)) == ([1, 3, 3], 5)


def test_a_dense_table_keeps_its_reserved_keys(tmp_path):
    module = tf.Module()
    table = tf.lookup.experimental.DenseHashTable(
        tf.int64, tf.float32, [0.0, -1.0], empty_key=-1, deleted_key=-2
    )
    table.insert(tf.constant([3], tf.int64), [[5.0, 6.0]])
    module.table = table
    module.look = tf.function(lambda x: table.lookup(x), input_signature=LONGS)

    @tf.function(input_signature=[tf.TensorSpec([1], tf.int64)])
    def put(x):
        table.insert(x, [[1.0, 1.0]])

    module.put = put
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    np.testing.assert_array_equal(loaded.look(tf.constant([3, 4], tf.int64)), [[5, 6], [0, -1]])
    with pytest.raises(tf.errors.InvalidArgumentError, match="empty_key"):
        loaded.put(tf.constant([-1], tf.int64))


def test_a_large_table_lies_beside_the_description(tmp_path):
    keys = np.arange(5000, dtype=np.int64)
    table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, keys * 3), 0)
    module = tf.Module()
    module.table = table
    module.f = tf.function(lambda x: table.lookup(x), input_signature=LONGS)
    tf.saved_model.save(module, tmp_path)
    assert (tmp_path / "saved_model.json").stat().st_size < 10_000
    loaded = tf.saved_model.load(tmp_path)
    np.testing.assert_array_equal(loaded.f(tf.constant([4999, 5000], tf.int64)), [14997, 0])


def test_a_model_of_texts(tmp_path):
    texts = tf.keras.Input((1,), dtype="string", name="texts")
    layer = tf.keras.layers.TextVectorization(output_sequence_length=4)
    layer.adapt(["the cat sat", "the cat", "the"])
    model = tf.keras.Model(texts, tf.keras.layers.Embedding(6, 2)(layer(texts)))
    x = tf.constant([["The cat, ran"], ["sat"]])
    wanted = model(x)
    for name in ("model", "model.keras"):
        model.save(tmp_path / name)
        np.testing.assert_array_equal(tf.keras.models.load_model(tmp_path / name)(x), wanted)
    loaded = tf.saved_model.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded(x), wanted)
    infer = loaded.signatures["serving_default"]
    assert infer.structured_outputs["embedding"].shape.as_list() == [None, 4, 2]
    np.testing.assert_array_equal(infer(texts=x)["embedding"], wanted)


def test_a_table_of_another_class_is_told(tmp_path, caplog):
    class Own(tf.lookup.StaticHashTable):
        pass

    module = tf.Module()
    module.table = Own(tf.lookup.KeyValueTensorInitializer(["a"], [1]), -1)
    module.find = tf.function(lambda x: module.table.lookup(x), input_signature=STRINGS)
    tf.saved_model.save(module, tmp_path)
    assert "A trace of find is not saved" in caplog.text
    with pytest.raises(ValueError, match="a table of a class of its own"):
        tf.saved_model.load(tmp_path).find(tf.constant(["a"]))


def test_functions_in_lists_and_dicts_are_kept(tmp_path):
    number = [tf.TensorSpec([], tf.float32)]

    def times(factor):
        return tf.function(lambda x: x * factor, input_signature=number)

    module = tf.Module()
    module.steps = [times(2.0), times(3.0)]
    module.named = {"a": times(4.0), "deep": {"b": (times(5.0),)}}
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    got = [f(1.0) for f in (*loaded.steps, loaded.named["a"], loaded.named["deep"]["b"][0])]
    assert [float(g) for g in got] == [2.0, 3.0, 4.0, 5.0]
    assert not loaded.signatures


def test_a_function_without_a_trace_says_so(tmp_path):
    module = tf.Module()
    module.f = tf.function(lambda x: x)
    tf.saved_model.save(module, tmp_path)
    with pytest.raises(ValueError, match="Found zero restored functions for caller function"):
        tf.saved_model.load(tmp_path).f(1.0)


def test_a_subclassed_model_of_strings(tmp_path):
    class Known(tf.keras.Model):
        def __init__(self):
            super().__init__()
            self.words = tf.keras.layers.TextVectorization(
                vocabulary=["a", "b"], output_sequence_length=3
            )
            self.embedding = tf.keras.layers.Embedding(5, 2)
            self.table = tf.lookup.StaticHashTable(
                tf.lookup.KeyValueTensorInitializer(["a"], [1.0]), 0.0
            )

        def call(self, x):
            return tf.reduce_sum(self.embedding(self.words(x)), [1, 2]) + self.table.lookup(x)

        @tf.function(input_signature=STRINGS)
        def helper(self, x):
            return self.table.lookup(x)

    model, x = Known(), tf.constant(["a b", "a"])
    wanted = model(x)
    model.save(tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    np.testing.assert_array_equal(loaded(x), wanted)
    np.testing.assert_array_equal(loaded.helper(tf.constant(["a", "b"])), [1, 0])
    assert list(loaded.signatures) == ["serving_default"]
    revived = tf.keras.models.load_model(tmp_path)  # without its class
    np.testing.assert_array_equal(revived(x), wanted)


def test_tables_in_loops_and_branches(tmp_path):
    module = tf.Module()
    module.table = table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant([1, 2, 3], tf.int64), tf.constant([2, 3, 0], tf.int64)
        ),
        -1,
    )

    @tf.function(input_signature=[tf.TensorSpec([], tf.int64)])
    def walk(x):
        n = tf.constant(0)
        while x > 0:
            x = table.lookup(x)
            n += 1
        if n > 2:
            r = table.lookup(tf.constant(1, tf.int64))
        else:
            r = table.lookup(tf.constant(9, tf.int64))
        return n, r

    module.walk = walk
    tf.saved_model.save(module, tmp_path)
    loaded = tf.saved_model.load(tmp_path)
    got = [[int(v) for v in loaded.walk(tf.constant(i, tf.int64))] for i in (1, 3)]
    assert got == [[3, 2], [1, -1]]


def test_hashes_and_crosses(tmp_path):
    hashing, crossing = tf.keras.layers.Hashing(5), tf.keras.layers.HashedCrossing(4)
    module = tf.Module()
    module.layers = [hashing, crossing]
    module.f = tf.function(lambda x: (hashing(x), crossing((x, x))), input_signature=STRINGS)
    tf.saved_model.save(module, tmp_path)
    found = tf.saved_model.load(tmp_path).f(tf.constant(["q", "w"]))
    assert [v.numpy().tolist() for v in found] == [[3, 4], [3, 0]]


@pytest.mark.parametrize(
    ("settings", "wanted"),
    [
        ({"ngrams": 2}, [[2, 4, 6, 1, 3, 8, 1], [1] + [0] * 6, [0] * 7]),
        (
            {"split": "character", "standardize": "lower"},
            [
                [2, 4, 5, 3, 7, 6, 2, 1, 3, 8, 6, 2, 12, 3, 9, 1],
                [6, 1, 2, 4, 5] + [0] * 11,
                [0] * 16,
            ],
        ),
        (
            {"standardize": lambda x: tf.strings.regex_replace(x, "a", "o")},
            [[2, 1, 1, 1], [1, 0, 0, 0], [0] * 4],
        ),
        (
            {"split": lambda x: tf.strings.split(x, ","), "standardize": "lower"},
            [[4, 1], [1, 1], [0, 0]],
        ),
        (
            {"output_mode": "tf_idf"},
            [[0.7713, 0.5596, 0.6931, 0.9163, 0.0], [0.7713, 0, 0, 0, 0], [0] * 5],
        ),
    ],
    ids=["ngrams", "characters", "own", "own split", "tf_idf"],
)
def test_ways_of_text(tmp_path, settings, wanted):
    layer = tf.keras.layers.TextVectorization(**settings)
    layer.adapt(["the cat sat", "the cat", "The! dog"])
    texts = tf.keras.Input((1,), dtype="string", name="t")
    tf.keras.Model(texts, layer(texts)).export(tmp_path)
    x = tf.constant([["the cat, sat! on"], ["a,the"], [""]])
    served = tf.saved_model.load(tmp_path).serve(x)
    np.testing.assert_allclose(served, wanted, atol=1e-4)

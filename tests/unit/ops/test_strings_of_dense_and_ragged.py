"""Strings: forms that are dense or ragged; TensorFlow 2.15's results."""

import numpy as np

import shardtape as tf


def test_ngrams_of_dense_strings_are_dense():
    rows = tf.constant([["a", "b", "c"], ["d", "e", "f"]])
    wanted = [[b"a b", b"b c"], [b"d e", b"e f"]]
    for made in (tf.strings.ngrams(rows, 2), tf.function(tf.strings.ngrams)(rows, 2)):
        assert isinstance(made, tf.Tensor) and made.numpy().tolist() == wanted
    deep = tf.strings.ngrams(tf.reshape(tf.constant(list("abcdefgh")), [2, 2, 2]), 2)
    assert deep.numpy().tolist() == [[[b"a b"], [b"c d"]], [[b"e f"], [b"g h"]]]
    assert tf.strings.ngrams(rows, 5).shape == (2, 0)


def test_join_of_nothing():
    assert tf.strings.join([]).numpy() == b""
    assert tf.strings.join([], "-").shape == ()


def test_format_of_ragged_tensors_and_lists():
    numbers, words = tf.ragged.constant([[1], [2, 3]]), tf.ragged.constant([["a"], ["bb"]])
    assert tf.strings.format("{}", numbers).numpy() == b"[[1], [2, 3]]"
    both = tf.function(lambda: tf.strings.format("{} of {}!", (words, tf.constant("c"))))
    assert both().numpy() == b"[['a'], ['bb']] of \"c\"!"
    assert tf.strings.format("{}", [[1, 2]]).numpy() == b"[1 2]"
    floats = tf.ragged.constant([[1.5], [2.0, 3.0]])
    assert tf.strings.format("{}", floats).numpy() == b"[[1.500000], [2.000000, 3.000000]]"


def test_strings_are_scattered():
    assert tf.scatter_nd([[1], [1]], ["a", "b"], [3]).numpy().tolist() == [b"", b"ab", b""]
    rows = tf.scatter_nd([[0], [2]], [["a", "b"], ["c", "d"]], [3, 2])
    assert rows.numpy().tolist() == [[b"a", b"b"], [b"", b""], [b"c", b"d"]]


def test_one_string_of_a_variable_is_assigned():
    words = tf.Variable(["a", "b", "c"])
    words[1].assign("z")
    words[2:].assign("y")
    assert words.numpy().tolist() == [b"a", b"z", b"y"]
    assert repr(words) == (
        "<tf.Variable 'Variable:0' shape=(3,) dtype=string, "
        f"numpy={np.array([b'a', b'z', b'y'], object)!r}>"
    )

"""Functions of whole rows of RaggedTensors; numbers of TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

ROWS = [[1.0, 2.0], [3.0]]


def both(function):
    """The function's result eagerly and in a graph."""
    return [function(), tf.function(function)()]


def lists(r):
    return r.to_list() if isinstance(r, tf.RaggedTensor) else r.numpy().tolist()


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (lambda x: tf.nn.softmax(x), [[0.26894143, 0.73105860], [1.0]]),
        (lambda x: tf.nn.dropout(x, 0.0), ROWS),
        (lambda x: tf.clip_by_value(x, 2.0, 2.5), [[2.0, 2.0], [2.5]]),
        (lambda x: tf.math.unsorted_segment_sum(x, tf.ragged.constant([[0, 1], [0]]), 2),
         [4.0, 2.0]),
        (lambda x: tf.gather_nd(x, [[0, 1], [1, 0]]), [2.0, 3.0]),
        (lambda x: tf.nn.embedding_lookup(tf.constant([[0.0], [1.0], [2.0], [3.0]]),
                                          tf.cast(x, tf.int32)), [[[1.0], [2.0]], [[3.0]]]),
    ],
)  # fmt: skip
def test_values(function, wanted):
    for got in both(lambda: function(tf.ragged.constant(ROWS))):
        for a, b in zip(lists(got), wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6)


def test_products_of_ragged_matrices():
    def product():
        a = tf.ragged.constant([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], ragged_rank=1)
        return tf.matmul(a, tf.ones([2, 2, 1]))

    for got in both(product):
        assert lists(got) == [[[3.0]], [[7.0], [11.0]]]

    def transposed():
        a = tf.ragged.constant([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], ragged_rank=1)
        return tf.matmul(a, a, transpose_b=True)

    for got in both(transposed):
        assert lists(got) == [[[5.0]], [[25.0, 39.0], [39.0, 61.0]]]


def test_crossed_rows():
    def crossed():
        return tf.ragged.cross(
            [tf.ragged.constant([["a"], ["b", "c"]]), tf.ragged.constant([[1], [2, 3]])]
        )

    for got in both(crossed):
        assert lists(got) == [[b"a_X_1"], [b"b_X_2", b"b_X_3", b"c_X_2", b"c_X_3"]]


def test_rows_that_do_not_fit_are_refused_in_graphs():
    dense = tf.constant([[1, 2, 3, 4], [5, 6, 7, 8]])

    @tf.function
    def broadcast():
        return dense + tf.ragged.constant([[1, 2], [3]])

    @tf.function
    def nested_otherwise():
        return tf.ragged.constant([[1, 2], [3]]) + tf.ragged.constant([[1], [2, 3]])

    for f in (broadcast, nested_otherwise):
        with pytest.raises(tf.errors.InvalidArgumentError, match="Unable to broadcast"):
            f()


def test_ragged_and_sparse_sources_of_a_tape():
    r = tf.ragged.constant(ROWS)
    s = tf.SparseTensor([[0, 0], [1, 2]], [1.0, 2.0], [2, 3])
    with tf.GradientTape() as tape:
        tape.watch([r, s])
        y = tf.reduce_sum(r * r) + tf.reduce_sum(tf.sparse.to_dense(s) ** 3)
    dr, ds = tape.gradient(y, [r, s])
    assert dr.to_list() == [[2.0, 4.0], [6.0]]
    assert ds.values.numpy().tolist() == [3.0, 12.0] and ds.indices is s.indices


@pytest.mark.parametrize(
    ("combiner", "weights", "wanted"),
    [
        ("mean", None, [[2.0, 3.0], [0.0, 0.0], [5.0, 6.0]]),
        ("sum", [1.0, 2.0, 3.0], [[7.0, 10.0], [0.0, 0.0], [15.0, 18.0]]),
        ("mean", [1.0, 2.0, 3.0], [[7 / 3, 10 / 3], [0.0, 0.0], [5.0, 6.0]]),
        ("sqrtn", [1.0, 2.0, 3.0], [[3.1304952, 4.4721360], [0.0, 0.0], [5.0, 6.0]]),
    ],
)
def test_lookups_of_sparse_ids(combiner, weights, wanted):
    table = tf.constant([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    places = [[0, 0], [0, 1], [2, 0]]
    ids = tf.SparseTensor(places, tf.constant([0, 1, 2], tf.int64), [3, 2])
    weights = None if weights is None else tf.SparseTensor(places, weights, [3, 2])
    got = tf.nn.embedding_lookup_sparse(table, ids, weights, combiner=combiner)
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


def test_words_of_a_ragged_text():
    """The Unicode guide: words begin where the script changes."""

    def words(texts):
        codes = tf.strings.unicode_decode(texts, "UTF-8")
        scripts = tf.strings.unicode_script(codes)
        changes = tf.not_equal(scripts[:, 1:], scripts[:, :-1])
        starts = tf.concat([tf.fill([scripts.nrows(), 1], True), changes], axis=1)
        places = tf.squeeze(tf.where(starts.values), axis=1)
        made = tf.RaggedTensor.from_row_starts(values=codes.values, row_starts=places)
        counts = tf.reduce_sum(tf.cast(starts, tf.int64), axis=1)
        rows = tf.RaggedTensor.from_row_lengths(values=made, row_lengths=counts)
        return scripts, tf.strings.unicode_encode(rows, "UTF-8")

    for run in (words, tf.function(words)):
        scripts, found = run(["Hello, world.", "世界こんにちは"])
        assert scripts.to_list() == [
            [25, 25, 25, 25, 25, 0, 0, 25, 25, 25, 25, 25, 0], [17, 17, 20, 20, 20, 20, 20],
        ]  # fmt: skip
        assert [[w.decode() for w in row] for row in found.to_list()] == [
            ["Hello", ", ", "world", "."], ["世界", "こんにちは"],
        ]  # fmt: skip


def test_ranges_of_vectors_of_any_size():
    traced = tf.function(
        lambda n: tf.ragged.range(n), input_signature=[tf.TensorSpec([None], tf.int64)]
    )
    for limits, rows in (([], []), ([3], [[0, 1, 2]]), ([2, 0], [[0, 1], []])):
        given = tf.constant(limits, tf.int64)
        assert tf.ragged.range(given).to_list() == rows
        assert traced(given).to_list() == rows
    assert tf.ragged.range([0, 5, 8], [3, 3, 12], 2).to_list() == [[0, 2], [], [8, 10]]
    for given, text in (
        (([0, 5], [3, 3, 12]), "starts, limits, and deltas must have the same shape"),
        (([[1]],), "limits must be a scalar or vector"),
        (([0], [3], 0), "Requires delta != 0"),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=text):
            tf.ragged.range(*given)


def splits_differ(places, x, y, starts):
    """TensorFlow's text for splits of rows that differ."""
    at = "\n ".join(f"[{i}]" for i in places)
    return (
        f"Condition x == y did not hold.\nIndices of first {len(places)} different values:\n"
        f"[{at}]\nCorresponding x values:\n{x}\nCorresponding y values:\n{y}\n"
        f"First 3 elements of x:\n{starts[0]}\nFirst 3 elements of y:\n{starts[1]}"
    )


def test_rows_that_do_not_fit_are_told_by_their_splits():
    a = tf.ragged.constant([[1, 2, 3], [4], [5, 6]])
    b = tf.ragged.constant([[10, 20], [30, 40], [50]])
    dense = tf.ones([3, 4], tf.int32)
    c = tf.ragged.constant([[1, 2], [3, 4, 5, 6], [7]])
    for call, text in (
        (lambda: a + b, splits_differ([1, 3], "[3 6]", "[2 5]", ("[0 3 4]", "[0 2 4]"))),
        (lambda: b * a, splits_differ([1, 3], "[2 5]", "[3 6]", ("[0 2 4]", "[0 3 4]"))),
        (lambda: c + dense,
         splits_differ([1, 2, 3], "[ 4  8 12]", "[2 6 7]", ("[0 4 8]", "[0 2 6]"))),
        (lambda: dense - c,
         splits_differ([1, 2, 3], "[ 4  8 12]", "[2 6 7]", ("[0 4 8]", "[0 2 6]"))),
    ):  # fmt: skip
        with pytest.raises(tf.errors.InvalidArgumentError) as caught:
            call()
        assert str(caught.value) == text


def test_ragged_tensors_of_other_rows_are_not_equal():
    a, b = tf.ragged.constant([[1, 2], [3]]), tf.ragged.constant([[1], [2, 3]])
    assert (a == b) is False and (a != b) is True
    assert (a == tf.ones([2, 3], tf.int32)) is False
    assert (a == tf.ragged.constant([[1.0, 2.0], [3.0]])) is False
    assert a not in [b]
    assert (a == tf.ragged.constant([[1, 5], [3]])).to_list() == [[True, False], [True]]
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.equal(a, b)

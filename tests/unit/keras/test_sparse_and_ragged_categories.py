"""Layers that give sparse and ragged categories; the values are TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf

keras = tf.keras
layers = keras.layers
VOCABULARY = ["a", "b"]
TWO = [[0, 1], [0, 2], [1, 0], [1, 3]]


def parts(sparse):
    return (
        np.asarray(sparse.indices).tolist(), np.asarray(sparse.values).tolist(),
        np.asarray(sparse.dense_shape).tolist(), sparse.shape.as_list(),
    )  # fmt: skip


@pytest.mark.parametrize(
    "mode, inputs, expected",
    [
        ("one_hot", [1, 2], ([[0, 1], [1, 2]], [1.0, 1.0], [2, 4])),
        ("one_hot", 2, ([[2]], [1.0], [4])),
        ("multi_hot", [1, 2], ([[1], [2]], [1.0, 1.0], [4])),
        ("multi_hot", [[1, 2, 1], [0, 3, 3]], (TWO, [1.0] * 4, [2, 4])),
        ("count", [1, 2], ([[1], [2]], [1.0, 1.0], [4])),
        ("count", [[1, 2, 1], [0, 3, 3]], (TWO, [2.0, 1.0, 1.0, 2.0], [2, 4])),
        ("count", tf.ragged.constant([[1, 2, 0], [3]]),
         ([[0, 0], [0, 1], [0, 2], [1, 3]], [1.0] * 4, [2, 4])),
        ("multi_hot", tf.sparse.from_dense([[1, 2, 0], [3, 3, 1]]),
         ([[0, 1], [0, 2], [1, 1], [1, 3]], [1.0] * 4, [2, 4])),
    ],
)  # fmt: skip
def test_category_encoding(mode, inputs, expected):
    layer = layers.CategoryEncoding(4, output_mode=mode, sparse=True)
    *got, static = parts(layer(inputs))
    assert tuple(got) == expected and static == expected[2]
    dense = layers.CategoryEncoding(4, output_mode=mode)(inputs)
    np.testing.assert_array_equal(tf.sparse.to_dense(layer(inputs)), dense)
    assert type(layer).from_config(layer.get_config()).sparse


def test_weights_types_and_ranges():
    layer = layers.CategoryEncoding(4, output_mode="count", sparse=True)
    got = layer([[1, 2, 1], [0, 3, 3]], count_weights=[[0.1, 0.2, 0.3], [1.0, 2.0, 3.0]])
    indices, values, *_ = parts(got)
    assert indices == TWO
    np.testing.assert_allclose(values, [0.4, 0.2, 1.0, 5.0], rtol=1e-6)
    doubles = layers.CategoryEncoding(4, output_mode="multi_hot", sparse=True, dtype="float64")
    assert doubles([[1, 1]]).dtype == tf.float64
    for wrong in ([[1, 5]], tf.ragged.constant([[1], [-2, 0]])):
        with pytest.raises(tf.errors.InvalidArgumentError, match="num_tokens=4"):
            layer(wrong)


@pytest.mark.parametrize(
    "options, values",
    [
        ({"output_mode": "multi_hot"}, [1.0, 1.0, 1.0, 1.0]),
        ({"output_mode": "count"}, [1.0, 2.0, 2.0, 1.0]),
        ({"output_mode": "tf_idf", "idf_weights": [0.5, 0.25]}, [0.5, 0.5, 0.75, 0.5]),
    ],
)
def test_string_lookup(options, values):
    layer = layers.StringLookup(vocabulary=VOCABULARY, sparse=True, **options)
    got = parts(layer([["a", "b", "b"], ["q", "a", "q"]]))
    assert got == ([[0, 1], [0, 2], [1, 0], [1, 1]], values, [2, 3], [2, 3])


def test_other_lookups():
    padded = layers.StringLookup(
        vocabulary=VOCABULARY, sparse=True, output_mode="count", pad_to_max_tokens=True,
        max_tokens=6,
    )  # fmt: skip
    assert parts(padded([["a", "b"]])) == ([[0, 1], [0, 2]], [1.0, 1.0], [1, 6], [1, 6])
    numbers = layers.IntegerLookup(vocabulary=[5, 7], sparse=True, output_mode="multi_hot")
    assert parts(numbers([[5, 7], [1, 5]]))[0] == [[0, 1], [0, 2], [1, 0], [1, 1]]
    ragged = tf.ragged.constant([["a", "b"], ["q"]])
    sparse = layers.StringLookup(vocabulary=VOCABULARY, sparse=True, output_mode="multi_hot")
    assert parts(sparse(ragged)) == ([[0, 1], [0, 2], [1, 0]], [1.0] * 3, [2, 3], [2, 3])
    dense = layers.StringLookup(vocabulary=VOCABULARY, output_mode="multi_hot")
    np.testing.assert_array_equal(dense(ragged), [[0, 1, 1], [1, 0, 0]])
    with pytest.raises(ValueError, match="sparse=True and output_mode=int"):
        layers.StringLookup(vocabulary=VOCABULARY, sparse=True)


def test_crossings_ranges_and_hashes():
    crossing = layers.HashedCrossing(5, output_mode="one_hot", sparse=True)
    got = parts(crossing((tf.constant([1, 2, 3]), tf.constant(["a", "b", "c"]))))
    assert got[:3] == ([[0, 0], [1, 4], [2, 3]], [1.0] * 3, [3, 5])
    ranges = layers.Discretization([0.0, 1.0], output_mode="count", sparse=True)
    got = parts(ranges([[-1.0, 0.5, 0.5], [2.0, 2.0, 3.0]]))
    assert got[:3] == ([[0, 0], [0, 1], [1, 2]], [1.0, 2.0, 3.0], [2, 3])
    hashing = layers.Hashing(3, output_mode="multi_hot", sparse=True)
    got = parts(hashing([["a", "b"], ["c", "c"]]))
    assert got[:3] == ([[0, 0], [0, 1], [1, 1]], [1.0] * 3, [2, 3])


def text(**options):
    layer = layers.TextVectorization(**options)
    layer.adapt(["a b c", "a b", "a"])
    return layer


def test_ragged_texts():
    assert text(ragged=True)(["a b q", "c"]).to_list() == [[2, 3, 1], [4]]
    assert text(ragged=True)([["a b q"], ["c"]]).to_list() == [[2, 3, 1], [4]]
    assert text(ragged=True, ngrams=2)(["a b q", "c"]).to_list() == [[2, 3, 1, 4, 1], [5]]
    assert text(ragged=True, split="character")(["ab", "c"]).to_list() == [[2, 4], [5]]
    assert text(ragged=True)("a b q").numpy().tolist() == [2, 3, 1]
    words = text(ragged=True, split=None)
    assert words(["a b q", "c"]).numpy().tolist() == [1, 1]
    assert words(tf.ragged.constant([["a", "b"], ["q"]])).to_list() == [[4, 1], [1]]
    assert text(ragged=True).get_config()["ragged"]
    for options in ({"output_sequence_length": 2}, {"output_mode": "multi_hot"}):
        with pytest.raises(ValueError, match="ragged"):
            text(ragged=True, **options)


def test_sparse_texts():
    got = parts(text(sparse=True, output_mode="count")(["a b q a", "c"]))
    assert got == ([[0, 0], [0, 1], [0, 2], [1, 3]], [1.0, 2.0, 1.0, 1.0], [2, 4], [2, 4])


def test_in_models_and_datasets():
    texts = tf.constant([["a b"], ["c"]])
    model = keras.Sequential([keras.Input((1,), dtype="string"), text(ragged=True)])
    assert model(texts).to_list() == [[2, 3], [4]]
    assert model.predict(texts, verbose=0).to_list() == [[2, 3], [4]]
    data = tf.data.Dataset.from_tensor_slices(["a b", "c"]).batch(2).map(text(ragged=True))
    assert next(iter(data)).to_list() == [[2, 3], [4]]
    encoding = layers.CategoryEncoding(4, sparse=True, output_mode="multi_hot")
    data = tf.data.Dataset.from_tensor_slices([[1, 2], [3, 3]]).batch(2).map(encoding)
    assert parts(next(iter(data)))[:2] == ([[0, 1], [0, 2], [1, 3]], [1.0] * 3)
    dense = layers.Dense(1, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((3,), dtype="int32"), encoding, dense])
    model.compile("sgd", "mse")
    x, y = tf.constant([[1, 2, 2], [0, 0, 3]]), tf.constant([[1.0], [2.0]])
    losses = model.fit(x, y, epochs=3, verbose=0).history["loss"]
    np.testing.assert_allclose(losses, [0.5, 0.47050002, 0.44292867], rtol=1e-6)

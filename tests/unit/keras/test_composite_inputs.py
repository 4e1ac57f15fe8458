"""Models whose inputs are ragged or sparse; numbers of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

ROWS = [[1, 2, 3], [4], [5, 6]]


def rows():
    return tf.ragged.constant(ROWS, dtype=tf.int64)


def model(*layers):
    return tf.keras.Sequential(
        [
            tf.keras.layers.Input(shape=[None], dtype=tf.int64, ragged=True),
            tf.keras.layers.Embedding(10, 4, embeddings_initializer="ones"),
            *layers,
            tf.keras.layers.Dense(2, kernel_initializer="ones"),
        ]
    )


def test_a_recurrent_model_of_ragged_rows_is_trained():
    m = model(
        tf.keras.layers.LSTM(
            3, use_bias=False, kernel_initializer="ones", recurrent_initializer="ones"
        )
    )
    m.compile(loss="mse", optimizer="sgd")
    ones = np.ones((3, 2), "float32")
    history = m.fit(rows(), ones, epochs=3, verbose=0, shuffle=False, batch_size=2)
    np.testing.assert_allclose(history.history["loss"], [2.913991, 2.523447, 2.185565], rtol=1e-5)
    wanted = [[2.619699] * 2, [1.925922] * 2, [2.528705] * 2]
    np.testing.assert_allclose(m.predict(rows(), verbose=0), wanted, rtol=1e-5)
    assert m.evaluate(rows(), ones, verbose=0) == pytest.approx(1.939232, rel=1e-5)


def test_other_layers_of_ragged_rows():
    pooled = model(tf.keras.layers.GlobalAveragePooling1D())
    assert pooled(rows()).numpy().tolist() == [[4.0, 4.0]] * 3
    both = model(
        tf.keras.layers.Bidirectional(
            tf.keras.layers.GRU(3, kernel_initializer="ones", recurrent_initializer="ones")
        )
    )
    np.testing.assert_allclose(both(rows())[:, 0], [0.302274, 0.107845, 0.208292], rtol=1e-5)
    values = tf.ragged.constant([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], ragged_rank=1)
    dense = tf.keras.layers.Dense(2, kernel_initializer="ones")
    wanted = [[[3.0, 3.0]], [[7.0, 7.0], [11.0, 11.0]]]
    assert dense(values).to_list() == wanted
    assert tf.keras.layers.TimeDistributed(dense)(values).to_list() == wanted
    sequences = tf.keras.layers.LSTM(
        3, return_sequences=True, kernel_initializer="ones", recurrent_initializer="ones"
    )
    flat = [x[0] for row in sequences(values).to_list() for x in row]
    np.testing.assert_allclose(flat, [0.703775, 0.760517, 0.963961], rtol=1e-5)
    active = tf.keras.layers.Activation("relu")(tf.ragged.constant([[1.0, -2.0], [3.0]]))
    assert active.to_list() == [[1.0, 0.0], [3.0]]


def test_operations_between_the_layers_of_a_model_take_ragged_rows():
    words = tf.keras.Input(shape=[None], dtype=tf.string, ragged=True)
    lengths = tf.keras.Model(words, tf.strings.length(words))
    assert lengths(tf.ragged.constant([["ab", "c"], ["def"]])).to_list() == [[2, 1], [3]]
    values = tf.keras.Input(shape=[None, 2], ragged=True)
    mean = tf.keras.Model(values, tf.reduce_mean(values, axis=1))
    got = mean(tf.ragged.constant([[[1.0, 2.0]], [[3.0, 4.0], [5.0, 6.0]]], ragged_rank=1))
    assert got.numpy().tolist() == [[1.0, 2.0], [4.0, 5.0]]


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_model_of_sparse_rows_is_trained(shuffle):
    x = tf.keras.Input(shape=(4,), sparse=True)
    m = tf.keras.Model(x, tf.keras.layers.Dense(3, kernel_initializer="ones")(x))
    sp = tf.SparseTensor([[0, 0], [0, 1], [1, 3], [2, 1]], [1.0, 1.0, 1.0, 1.0], [3, 4])
    m.compile(loss="mse", optimizer="sgd")
    zeros = np.zeros((3, 3), "float32")
    history = m.fit(sp, zeros, epochs=2, verbose=0, shuffle=shuffle)
    np.testing.assert_allclose(history.history["loss"], [2.0, 1.955811], rtol=1e-5)
    np.testing.assert_allclose(
        m.predict(sp, verbose=0)[:, 0], [1.960227, 0.977906, 0.969072], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        (tf.keras.losses.mean_squared_error, [2.0, 4.0]),
        (tf.keras.losses.mean_absolute_error, [1.0, 2.0]),
        (tf.keras.losses.mean_absolute_percentage_error, [50.0, 66.6667]),
        (tf.keras.losses.mean_squared_logarithmic_error, [0.1305, 0.1644]),
    ],
)
def test_losses_of_ragged_rows(loss, wanted):
    truth, made = tf.ragged.constant([[1.0, 2.0], [3.0]]), tf.ragged.constant([[1.0, 4.0], [5.0]])
    for f in (loss, tf.function(loss)):
        np.testing.assert_allclose(f(truth, made), wanted, atol=1e-4)
    cross = tf.keras.losses.BinaryCrossentropy()
    got = cross(tf.ragged.constant([[1.0, 0.0], [1.0]]), tf.ragged.constant([[0.9, 0.4], [0.5]]))
    assert float(got) == pytest.approx(0.5006, abs=1e-4)


def test_a_model_whose_outputs_are_rows_of_steps_is_trained():
    truth = tf.ragged.constant([[0, 1, 0], [1], [1, 1]], dtype=tf.int64)
    x = tf.keras.Input(shape=[None], dtype=tf.int64, ragged=True)
    constant = tf.keras.initializers.Constant
    h = tf.keras.layers.Embedding(10, 4, embeddings_initializer=constant(0.3))(x)
    h = tf.keras.layers.LSTM(
        3, return_sequences=True, kernel_initializer="ones", recurrent_initializer="ones"
    )(h)
    kernel = constant([[0.1, 0.3], [0.2, -0.5], [0.4, 0.1]])
    m = tf.keras.Model(
        x, tf.keras.layers.Dense(2, activation="softmax", kernel_initializer=kernel)(h)
    )
    losses = tf.keras.losses.sparse_categorical_crossentropy(truth, m(rows()))
    assert losses.row_lengths().numpy().tolist() == [3, 1, 2]
    np.testing.assert_allclose(
        losses.flat_values, [0.5344, 1.0857, 0.3803, 0.882, 0.882, 1.0857], atol=1e-4
    )
    m.compile(loss="sparse_categorical_crossentropy", optimizer="sgd")
    history = m.fit(rows(), truth, epochs=3, verbose=0, shuffle=False, batch_size=2)
    np.testing.assert_allclose(history.history["loss"], [0.8071, 0.7972, 0.7877], atol=1e-4)
    made = m.predict(rows(), verbose=0)
    assert made.row_lengths().numpy().tolist() == [3, 1, 2]
    np.testing.assert_allclose(made.flat_values[:2, 0], [0.5661, 0.6358], atol=1e-4)

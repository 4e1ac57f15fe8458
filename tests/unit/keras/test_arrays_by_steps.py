"""Arrays cut by a number of steps, sparse matrices of scipy, and layers adapted to single examples.

The numbers are TensorFlow 2.15's.
"""

import numpy as np
import pytest

import shardtape as tf
from shardtape import keras
from shardtape.keras import layers

X = np.array([-1.0, 0, 1, 2, 3, 4])


def line():
    model = keras.Sequential([layers.Dense(1, input_shape=(1,))])
    model.compile("sgd", "mse")
    model.set_weights([np.array([[0.5]]), np.array([0.1])])
    return model


def test_steps_cut_the_arrays():
    model = line()
    history = model.fit(X, 2 * X - 1, steps_per_epoch=2, epochs=3, shuffle=False, verbose=0)
    expected = [7.736654758453369, 5.085470199584961, 3.468338966369629]
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(model.get_weights()[0], [[1.0800916]], rtol=1e-5)
    np.testing.assert_allclose(line().evaluate(X, 2 * X - 1, steps=4, verbose=0), 7.885, rtol=1e-4)
    assert line().predict(X, steps=4, verbose=0).shape == (6, 1)


def test_steps_cut_what_a_split_leaves():
    history = line().fit(
        X, 2 * X - 1, steps_per_epoch=2, epochs=2, shuffle=False, verbose=0,
        validation_split=0.34, validation_steps=2,
    ).history  # fmt: skip
    np.testing.assert_allclose(history["loss"], [2.7129734, 2.5827088], rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], [12.495414, 11.954035], rtol=1e-5)


def test_sparse_matrices_of_scipy():
    sparse = pytest.importorskip("scipy.sparse")
    dense = np.array([[0, 1, 0], [2, 0, 3.0], [0, 0, 0], [4, 0, 0]])
    model = keras.Sequential([layers.Dense(1, input_shape=(3,), kernel_initializer="ones")])
    model.compile("sgd", "mse")
    x, y = sparse.csr_matrix(dense), np.arange(4.0)
    history = model.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0).history
    np.testing.assert_allclose(history["loss"], [5.39985, 4.200988], rtol=1e-5)
    np.testing.assert_allclose(
        model.predict(x, verbose=0).ravel(),
        [0.9196867, 3.9093614, -0.06077135, 3.210378],
        rtol=1e-4,
    )
    np.testing.assert_allclose(
        model.train_on_batch(sparse.csc_matrix(dense), y), 3.4003112, rtol=1e-5
    )


def test_layers_adapted_to_single_examples_begin_models():
    texts = tf.data.Dataset.from_tensor_slices(["a b", "c", "a"])
    words = layers.TextVectorization()
    words.adapt(texts)
    model = keras.Sequential([words, layers.Embedding(6, 2), layers.LSTM(3)])
    assert model(np.array(["a b", "c"])).shape == (2, 3)
    assert model.input_shape == (2,)
    scale = layers.Normalization(axis=None)
    scale.adapt(tf.data.Dataset.from_tensor_slices(np.arange(4.0)))
    assert scale.get_config()["batch_input_shape"] == ()
    model = keras.Sequential([scale, layers.Dense(1, kernel_initializer="ones")])
    got = model(np.array([[1.0], [2.0]])).numpy().ravel()
    np.testing.assert_allclose(got, [-0.4472136, 0.4472136], rtol=1e-6)

"""Embedding of sparse integers and with sparse rows; numbers of Keras 2.15."""

import numpy as np
import pytest

import shardtape as tf

TABLE = np.arange(10.0).reshape(5, 2)


def layer(**options):
    given = tf.keras.initializers.Constant(TABLE)
    return tf.keras.layers.Embedding(5, 2, embeddings_initializer=given, **options)


def numbers():
    return tf.SparseTensor([[0, 1], [1, 0], [1, 2]], [0, 2, 1], [2, 3])


@pytest.mark.parametrize("wrap", [lambda f: f, tf.function], ids=["eager", "function"])
def test_sparse_integers_give_sparse_rows_and_sparse_gradients(wrap):
    embedding = layer(sparse=True)

    @wrap
    def step(x):
        with tf.GradientTape() as tape:
            rows = embedding(x)
            loss = tf.reduce_sum(rows.values * [1.0, 2, 3, 4, 5, 6])
        return rows, tape.gradient(loss, embedding.trainable_weights[0])

    embedding(numbers())
    rows, gradient = step(numbers())
    wanted = [[0, 1, 0], [0, 1, 1], [1, 0, 0], [1, 0, 1], [1, 2, 0], [1, 2, 1]]
    assert rows.indices.numpy().tolist() == wanted
    assert rows.values.numpy().tolist() == [0, 1, 4, 5, 2, 3]
    assert rows.dense_shape.numpy().tolist() == [2, 3, 2]
    assert isinstance(gradient, tf.IndexedSlices)
    assert gradient.values.numpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    assert gradient.indices.numpy().tolist() == [0, 2, 1]


def test_dense_integers_give_the_rows_without_zeros():
    embedding = layer(sparse=True)
    with tf.GradientTape() as tape:
        rows = embedding(tf.constant([[1, 0]]))
        loss = tf.reduce_sum(rows.values * rows.values)
    assert rows.values.numpy().tolist() == [2, 3, 1]
    gradient = tape.gradient(loss, embedding.trainable_weights[0])
    assert gradient.values.numpy().tolist() == [[4, 6], [0, 2]]
    assert gradient.indices.numpy().tolist() == [1, 0]


def test_sparse_integers_of_a_dense_layer_are_filled_up_with_row_0():
    wanted = [[[0, 1], [0, 1], [0, 1]], [[4, 5], [0, 1], [2, 3]]]
    assert layer()(numbers()).numpy().tolist() == wanted
    half = layer(dtype="float16", sparse=True)(numbers())
    assert half.dtype == tf.float16
    with pytest.raises(ValueError, match="`mask_zero` cannot be enabled"):
        layer(mask_zero=True)(numbers())


def test_a_model_with_sparse_rows_trains_the_rows_it_used():
    x = tf.keras.Input((3,), dtype="int64")
    embedding = layer(sparse=True)
    model = tf.keras.Model(x, embedding(x))
    ones = tf.ones((1, 3), tf.int64)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(ones).values)
    gradient = tape.gradient(loss, model.trainable_weights)
    tf.keras.optimizers.SGD(0.5).apply_gradients(zip(gradient, model.trainable_weights))
    wanted = TABLE.copy()
    wanted[1] -= 1.5
    assert embedding.get_weights()[0].tolist() == wanted.tolist()
    assert "sparse" not in embedding.get_config()

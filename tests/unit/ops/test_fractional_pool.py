"""`tf.nn.fractional_max_pool` and `fractional_avg_pool`; the numbers are TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf

X = np.zeros((2, 11, 9, 2), np.float32)
SMALL = np.sin(np.arange(30.0) ** 2).reshape(1, 6, 5, 1)
RATIO = [1.0, 1.44, 1.3, 1.0]


@pytest.mark.parametrize("pool", [tf.nn.fractional_max_pool, tf.nn.fractional_avg_pool])
@pytest.mark.parametrize(
    ("pseudo", "seed", "rows", "columns"),
    [
        (False, 1, [0, 2, 3, 4, 6, 8, 9, 11], [0, 1, 2, 4, 6, 7, 9]),
        (False, 5, [0, 2, 3, 5, 7, 9, 10, 11], [0, 2, 3, 4, 6, 7, 9]),
        (True, 1, [0, 2, 4, 6, 7, 9, 10, 11], [0, 2, 4, 5, 7, 8, 9]),
        (True, 5, [0, 1, 3, 4, 6, 8, 9, 11], [0, 2, 4, 5, 7, 8, 9]),
    ],
)
def test_windows_of_a_seed(pool, pseudo, seed, rows, columns):
    for _ in range(2):  # a seed gives the same in every call
        values, found_rows, found_columns = pool(X, 1.44, pseudo, seed=seed)
        assert values.shape.as_list() == [2, 7, 6, 2] and found_rows.dtype == tf.int64
        assert found_rows.numpy().tolist() == rows and found_columns.numpy().tolist() == columns


@pytest.mark.parametrize(
    ("pool", "overlapping", "values", "slopes"),
    [
        (tf.nn.fractional_max_pool, False,
         [0.0, 0.841471, 0.412118, -0.132352, 0.998815, 0.93953], [1.0, 0.540302, 0.0, -0.416147]),
        (tf.nn.fractional_max_pool, True,
         [0.841471, 0.920026, 0.920026, 0.998815, 0.998815, 0.93953], [0.0, 1.0, 0.0, 0.0]),
        (tf.nn.fractional_avg_pool, False,
         [0.0, 0.042334, 0.062108, -0.319359, -0.359434, 0.156917],
         [1.0, 0.270151, 0.270151, -0.208073]),
        (tf.nn.fractional_avg_pool, True,
         [-0.070665, -0.08812, 0.103588, -0.426831, -0.283278, 0.083832],
         [0.25, 0.34005, 0.09005, -0.013986]),
    ],
)  # fmt: skip
def test_values_and_gradients(pool, overlapping, values, slopes):
    @tf.function(input_signature=[tf.TensorSpec([None, None, None, None], tf.float64)])
    def both(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            pooled = pool(x, RATIO, True, overlapping, 3)[0]
            total = tf.reduce_sum(pooled * np.cos(np.arange(12.0)).reshape(1, 4, 3, 1))
        return pooled, tape.gradient(total, x)

    pooled, slope = both(SMALL)
    np.testing.assert_allclose(np.ravel(pooled)[:6], values, atol=1e-6)
    np.testing.assert_allclose(np.ravel(slope)[:4], slopes, atol=1e-6)


def test_whole_numbers():
    x = np.arange(30).reshape(1, 6, 5, 1) - 15
    found = tf.nn.fractional_avg_pool(x, RATIO, True, True, 3)[0]
    assert np.ravel(found).tolist() == [-12, -10, -9, -4, -3, -1, 3, 4, 6, 8, 9, 11]
    assert found.dtype == tf.int64


def test_without_a_seed_windows_are_drawn_anew():
    found = {tuple(tf.nn.fractional_max_pool(X, 1.44)[1].numpy()) for _ in range(20)}
    assert len(found) > 1


@pytest.mark.parametrize(
    ("value", "ratio", "said"),
    [
        (X, 0.5, "should be >= 1.0"),
        (X, [2.0, 1.4, 1.4, 1.0], "first and last elements with value 1.0"),
        (X, [1.4, 1.4, 1.4], "first and last elements with value 1.0"),
        (X[0], 1.4, "4-dimensional"),
        (X, 20.0, "higher than input dimension size for dimension 1"),
    ],
)
def test_what_is_refused(value, ratio, said):
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match=said):
        tf.nn.fractional_max_pool(value, ratio)

"""Binomial numbers: TensorFlow 2.15's, of generators and of seeds."""

import numpy as np
import pytest

import shardtape as tf


def generator():
    return tf.random.Generator.from_seed(7)


# what tf.random.Generator.from_seed(7).binomial(...) gives in TensorFlow 2.15.1
CASES = [
    (([3, 4], [1.0, 2, 3, 40], [0.5, 0.3, 0.9, 0.4]), tf.int32,
     [[0, 0, 3, 17], [0, 0, 3, 14], [1, 0, 3, 16]]),
    (([8], 10.0, 0.3), tf.int64, [2, 1, 4, 3, 1, 2, 3, 4]),
    (([8], 100.0, 0.3), tf.int32, [29, 37, 26, 30, 28, 33, 30, 26]),
    (([2, 7], [5.0] * 7, [0.5, 0.5, 0.1, 0.5, 0.2, 0.0, 1.0]), tf.float32,
     [[2, 4, 0, 3, 0, 0, 5], [1, 3, 0, 4, 1, 0, 5]]),
    (([3, 2, 2], [[10.0], [50.0]], [0.2, 0.8]), tf.float16,
     [[[1, 8], [10, 44]], [[0, 9], [8, 41]], [[3, 9], [13, 38]]]),
]  # fmt: skip


@pytest.mark.parametrize(("given", "dtype", "wanted"), CASES)
def test_numbers_are_tensorflows(given, dtype, wanted):
    made = generator().binomial(*given, dtype=dtype)
    assert made.dtype is dtype
    assert made.numpy().tolist() == wanted
    g = generator()
    traced = tf.function(lambda: g.binomial(*given, dtype=dtype))
    assert traced().numpy().tolist() == wanted


def test_the_state_moves_as_tensorflows():
    g = generator()
    states = []
    for shape, counts in (([3, 4], [1.0] * 4), ([5], 10.0), ([4, 3], [9.0] * 3), ([6], 1e3)):
        g.binomial(shape, counts, 0.5)
        states.append(g.state.numpy().tolist())
    assert states == [[307207, 0, 0], [409607, 0, 0], [678407, 0, 0], [793607, 0, 0]]


def test_numbers_of_seeds():
    made = tf.random.stateless_binomial([8], seed=[1, 2], counts=10.0, probs=0.4)
    assert made.numpy().tolist() == [6, 6, 6, 6, 6, 5, 6, 2]
    counts = [[100.0], [1.0], [2.0], [3.0], [30]]
    made = tf.random.stateless_binomial([5, 2], [1, 2], counts, [0.4, 0.7])
    assert made.numpy().tolist() == [[46, 67], [1, 0], [2, 2], [2, 3], [9, 19]]


def test_mean_and_variance():
    made = generator().binomial([20000, 2], [30.0, 400.0], [0.2, 0.7], dtype=tf.float64).numpy()
    np.testing.assert_allclose(made.mean(0), [6, 280], rtol=0.01)
    np.testing.assert_allclose(made.var(0), [4.8, 84], rtol=0.05)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (([3, 4], [1.0, 2.0], [0.5, 0.5]), "must end with the broadcast shape"),
        (([2], -1.0, 0.5), "at least 0"),
        (([2], float("nan"), 0.5), "finite"),
        (([2], 3.0, 1.5), "between 0 and 1"),
    ],
)
def test_what_does_not_fit(given, text):
    with pytest.raises(tf.errors.InvalidArgumentError, match=text):
        generator().binomial(*given)

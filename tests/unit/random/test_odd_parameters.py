"""Random numbers of parameters that no distribution has: an answer at once, TensorFlow 2.15's."""

import numpy as np
import pytest

import shardtape as tf

NAN, INF = float("nan"), float("inf")
TINY = np.finfo(np.float32).tiny


@pytest.mark.parametrize(
    "alpha, wanted", [(-1.0, NAN), (NAN, NAN), (-INF, NAN), (0.0, TINY), (INF, INF)]
)
def test_gamma(alpha, wanted):
    np.testing.assert_array_equal(tf.random.gamma((1,), alpha), [wanted])
    np.testing.assert_array_equal(tf.random.stateless_gamma((1,), [1, 2], alpha), [wanted])


def test_one_bad_alpha_leaves_the_other_numbers_as_they_are():
    good = tf.random.stateless_gamma((4, 2), [1, 2], [0.5, 3.0])
    got = tf.random.stateless_gamma((4, 3), [1, 2], [0.5, 3.0, -1.0])
    np.testing.assert_array_equal(got[:, :2], good)
    assert np.isnan(got[:, 2]).all()


# TensorFlow never ends for a rate of NaN
@pytest.mark.parametrize(
    "rate, wanted", [(-1.0, 0.0), (-INF, 0.0), (0.0, 0.0), (INF, INF), (NAN, NAN)]
)
def test_poisson(rate, wanted):
    np.testing.assert_array_equal(tf.random.poisson((2,), rate), [wanted] * 2)
    made = tf.random.stateless_poisson((2,), [1, 2], rate, dtype=tf.float32)
    np.testing.assert_array_equal(made, [wanted] * 2)


@pytest.mark.parametrize("odd", [-1.0, NAN, INF, -INF])
def test_binomial_refuses(odd):
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.random.stateless_binomial((1,), [1, 2], odd, 0.5)
    if odd != INF:
        for counts in (3.0, 300.0):
            with pytest.raises(tf.errors.InvalidArgumentError):
                tf.random.stateless_binomial((1,), [1, 2], counts, odd)


@pytest.mark.parametrize("stddev, wanted", [(0.0, 0.0), (NAN, NAN)])
def test_truncated_normal(stddev, wanted):
    np.testing.assert_array_equal(tf.random.truncated_normal((1,), 0.0, stddev), [wanted])

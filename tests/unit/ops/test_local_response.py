"""Local response normalisation against its definition, channel by channel."""

import numpy as np
import pytest

import shardtape as tf


def _defined(x: np.ndarray, radius: int, bias: float, alpha: float, beta: float) -> np.ndarray:
    made = np.empty(x.shape, np.float64)
    for c in range(x.shape[-1]):
        near = x[..., max(0, c - radius) : c + radius + 1].astype(np.float64)
        made[..., c] = x[..., c] / (bias + alpha * (near**2).sum(-1)) ** beta
    return made


@pytest.mark.parametrize("radius", [0, 1, 2, 3, 5, 8, 40, 100])
@pytest.mark.parametrize("beta", [0.5, 0.75])
def test_near_channels(radius, beta):
    x = np.random.default_rng(radius).normal(size=(2, 3, 2, 40)).astype(np.float32)
    y = tf.nn.local_response_normalization(x, radius, 1.5, 0.3, beta)
    np.testing.assert_allclose(y, _defined(x, radius, 1.5, 0.3, beta), rtol=1e-6, atol=1e-7)


def test_gradient_by_differences():
    rng = np.random.default_rng(0)
    x, g, way = rng.normal(size=(3, 1, 2, 2, 9)).astype(np.float32)
    with tf.GradientTape() as tape:
        given = tf.constant(x)
        tape.watch(given)
        y = tf.nn.local_response_normalization(given, 3, 1.0, 0.5, 0.75)
    got = tape.gradient(y, given, output_gradients=tf.constant(g)).numpy()
    after, before = [
        _defined(x + way.astype(np.float64) * d, 3, 1, 0.5, 0.75) for d in (1e-5, -1e-5)
    ]
    assert (got * way).sum() == pytest.approx((g * (after - before)).sum() / 2e-5, rel=1e-5)


def test_what_is_not_finite_stays_with_its_neighbours():
    x = np.ones((1, 1, 2, 9), np.float32)
    x[0, 0, 0, 8] = np.nan
    y = tf.nn.local_response_normalization(x, 2).numpy()
    assert np.isnan(y[0, 0, 0]).tolist() == [False] * 6 + [True] * 3
    assert np.isfinite(y[0, 0, 1]).all()
    assert tf.nn.local_response_normalization(np.zeros((0, 2, 2, 3), np.float32)).shape[0] == 0

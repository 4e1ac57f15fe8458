"""`add_scaled` against exact arithmetic, and the arrays that it leaves alone."""

import numpy as np
import pytest

import shardtape as tf
from shardtape.backend import blas

N = 1 << 15


def _pair(dtype, size=N):
    r = np.random.default_rng(0)
    return r.normal(size=size).astype(dtype), r.normal(size=size).astype(dtype)


@pytest.mark.skipif(not blas._functions(), reason="numpy was not built with OpenBLAS")
@pytest.mark.parametrize("size", [N, N + 13, (181, 190)])
def test_a_sum_is_rounded_at_most_twice(size):
    x, y = _pair(np.float32, size)
    scaled = float(np.float32(-0.3)) * x.astype(np.float64)
    exact = y.astype(np.float64) + scaled
    assert blas.add_scaled(float(np.float32(-0.3)), x, y)
    # a fused multiply-add leaves the first out; kernels for older CPUs have none
    assert (abs(y - exact) <= 2.0**-24 * 1.001 * (abs(scaled) + abs(exact))).all()


@pytest.mark.skipif(not blas._functions(), reason="numpy was not built with OpenBLAS")
def test_float64():
    x, y = _pair(np.float64)
    expected = y + 0.1 * x
    assert blas.add_scaled(0.1, x, y)
    np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-15)


def _left_alone():
    x, y = _pair(np.float32)
    yield "few", x[:100], y[:100].copy()
    yield "gaps", x[::2], np.ones(N, np.float32)[::2]
    yield "gaps in x", x[::2], np.ones(N // 2, np.float32)
    yield "float16", x.astype(np.float16), y.astype(np.float16)
    yield "two types", x.astype(np.float64), y
    yield "two shapes", x.reshape(2, -1), y


@pytest.mark.parametrize("x, y", [pytest.param(x, y, id=name) for name, x, y in _left_alone()])
def test_what_is_left_alone(x, y):
    before = y.copy()
    assert not blas.add_scaled(1.0, x, y)
    np.testing.assert_array_equal(y, before)


def test_what_may_not_be_written_is_left_alone():
    x, y = _pair(np.float32)
    y.flags.writeable = False
    assert not blas.add_scaled(1.0, x, y)


@pytest.mark.parametrize("without", [False, True], ids=["as it is", "without OpenBLAS"])
@pytest.mark.parametrize("shape", [(200, 100), (1100, 1000)])
def test_gradient_descent_of_large_variables(monkeypatch, shape, without):
    if without:
        monkeypatch.setattr(blas, "_functions", dict)
    r = np.random.default_rng(1)
    start, g = r.normal(size=(2, *shape)).astype(np.float32)
    v = tf.Variable(start)
    kept = v.read_value()
    tf.raw_ops.ResourceApplyGradientDescent(var=v.handle, alpha=0.01, delta=tf.constant(g))
    np.testing.assert_allclose(v, start - np.float32(0.01) * g, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(kept, start)  # what was read before stays

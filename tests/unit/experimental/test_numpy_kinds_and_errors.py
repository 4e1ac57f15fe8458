"""Types that are asked for, and arguments that are refused; TensorFlow 2.15's results."""

import numpy as np
import pytest

import shardtape as tf
import shardtape.experimental.numpy as tnp


@pytest.mark.parametrize("name", [float, "float", np.float64, tf.float64])
def test_float_is_float64(name):
    made = [
        tnp.array([1], name), tnp.ones(2, name), tnp.zeros(2, name), tnp.full(2, 3, name),
        tnp.ones_like([1], name), tnp.eye(2, dtype=name), tnp.arange(3, dtype=name),
        tnp.linspace(0, 1, 3, dtype=name), tnp.sum([1, 2], dtype=name), tnp.tri(2, dtype=name),
    ]  # fmt: skip
    assert {x.dtype for x in made} == {tf.float64}
    assert tnp.arange(3, dtype=int).dtype is tf.int64
    assert tnp.arange(3, dtype=complex).numpy().tolist() == [0, 1, 2]
    assert tnp.ones(2, "bfloat16").dtype is tf.bfloat16


def test_points_as_integers():
    assert tnp.linspace(0, 10, 4, dtype="int32").numpy().tolist() == [0, 3, 6, 10]
    assert tnp.linspace(0, 10, 4, False, dtype=int).numpy().tolist() == [0, 2, 5, 7]
    points, step = tnp.linspace(0, 10, 4, retstep=True, dtype=int)
    assert points.dtype is tf.int64 and step.numpy() == pytest.approx(10 / 3)
    assert tnp.logspace(0, 3, 4, dtype="int32").numpy().tolist() == [1, 10, 100, 1000]
    assert tnp.logspace(0, 1, 3, dtype=int).numpy().tolist() == [1, 1, 10]
    np.testing.assert_allclose(tnp.geomspace(-1, -100, 3), [-1, -10, -100])


def test_elementwise_of_integers_and_complex_numbers():
    assert tnp.fabs(np.int8(-3)).dtype is tf.int8
    assert tnp.float_power(2, 3).dtype is tf.int64
    assert tnp.sign([1j, -2 + 1j]).numpy().tolist() == [0, -1]
    assert tnp.shape([[1, 2]]) == tf.TensorShape([1, 2])


@pytest.mark.parametrize(
    "call",
    [
        lambda: tnp.meshgrid([1], [2], sparse=True),
        lambda: tnp.meshgrid([1], [2], copy=False),
        lambda: tnp.matmul(tnp.ones([2, 3]), tnp.ones([2, 3])),
        lambda: tnp.sort([1], kind="mergesort"),
        lambda: tnp.argsort([1], order="x"),
        lambda: tnp.vsplit(tnp.ones([2, 3]), 3),
        lambda: tnp.hsplit(tnp.ones([2, 3]), 2),
    ],
)
def test_refused(call):
    with pytest.raises(ValueError):
        call()

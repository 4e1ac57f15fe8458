"""The names and the order of the arguments of `tf.experimental.numpy`, as in TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

n = tf.experimental.numpy
X = np.arange(6.0).reshape(2, 3)
A, B = X.T.copy(), X.T.copy()[::-1]


@pytest.mark.parametrize(
    ("call", "value"),
    [
        (lambda: n.max(X, 0, True), [[3, 4, 5]]),
        (lambda: n.all(X, 1, True), [[False], [True]]),
        (lambda: n.mean(X, 0, None, None, True), [[1.5, 2.5, 3.5]]),
        (lambda: n.amax(X, axis=None, out=None, keepdims=None), 5),
        (lambda: n.array(val=[1, 2], dtype=None, copy=True, ndmin=3), [[[1, 2]]]),
        (lambda: n.asarray(a=[1]), [1]),
        (lambda: n.broadcast_to(array=[1.0], shape=[2]), [1, 1]),
        (lambda: n.cross([[1.0, 0, 0]], [[0, 1.0, 0]], axis=1), [[0, 0, 1]]),
        (lambda: n.cross(A, B, axisa=0, axisb=0), [[-2, 4, -2], [-8, 16, -8]]),
        (lambda: n.cross([1.0, 2], [3.0, 4]), -2),
        (lambda: n.cross([1.0, 2, 3], [3.0, 4]), [-12, 9, -2]),
        (lambda: n.cross(np.ones((3, 2)), A, axisa=0, axisb=0, axisc=0),
         np.cross(np.ones((3, 2)), A, axisa=0, axisb=0, axisc=0)),
        (lambda: n.flip(m=X), X[::-1, ::-1]),
        (lambda: n.rot90(m=X), [[2, 5], [1, 4], [0, 3]]),
        (lambda: n.full_like(X, 2, order="K"), np.full((2, 3), 2)),
        (lambda: n.imag(val=1 + 2j), 2),
        (lambda: n.logical_and(x1=X, x2=[1, 0, 0]), [[False] * 3, [True, False, False]]),
        (lambda: n.logical_not(x=X), [[True, False, False], [False] * 3]),
        (lambda: n.pad(array=X, pad_width=[[0, 1], [1, 0]], mode="constant", constant_values=3),
         [[3, 0, 1, 2], [3, 3, 4, 5], [3, 3, 3, 3]]),
        (lambda: n.sign(x=X - 2, out=None), [[-1, -1, 0], [1, 1, 1]]),
        (lambda: n.stack(arrays=[X, X], axis=1), np.stack([X, X], 1)),
        (lambda: n.trace(X, dtype=n.float32), np.float32(4)),
        (lambda: n.tril(m=X), np.tril(X)),
        (lambda: n.triu(m=X), np.triu(X)),
    ],
)  # fmt: skip
def test_arguments(call, value):
    found = call()
    np.testing.assert_array_equal(found, value)
    if isinstance(value, np.float32):
        assert found.dtype == tf.float32


def test_what_is_refused():
    with pytest.raises(ValueError, match="Overriding the shape"):
        n.full_like(X, 2, shape=[2, 2])
    with pytest.raises(ValueError, match="takes no `out`"):
        n.mean(X, out=X)
    with pytest.raises(ValueError, match="vectors of 2 or 3"):
        n.cross(np.ones(4), np.ones(3))

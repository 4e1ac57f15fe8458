"""Arrays of NumPy's beside tensors of another type: taken in the tensor's type, as TensorFlow."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import shardtape as tf

WIDE = np.arange(4.0).reshape(2, 2)

CALLS: dict[str, Callable[[Any], Any]] = {
    "matmul": lambda x: tf.matmul(x, WIDE),
    "matmul of integers": lambda x: tf.matmul(x, WIDE.astype("int64")),
    "matmul transposed": lambda x: tf.matmul(x, WIDE, transpose_b=True),
    "matmul of a Variable": lambda x: tf.matmul(tf.Variable(x), WIDE),
    "einsum": lambda x: tf.einsum("ij,jk->ik", x, WIDE),
    "where": lambda x: tf.where(x > 0, x, WIDE),
    "where the other way": lambda x: tf.where(x > 0, WIDE, x),
    "tensor_scatter": lambda x: tf.tensor_scatter_nd_add(x, [[0]], WIDE[:1]),
    "cross": lambda x: tf.linalg.cross(np.ones(3), tf.cast(tf.range(3), x.dtype)),
}


@pytest.mark.parametrize("name", CALLS)
def test_the_result_has_the_tensors_type(name: str) -> None:
    x = tf.constant([[1.0, -2.0], [3.0, 4.0]])
    wide = tf.cast(x, tf.float64)
    found, exact = CALLS[name](x), CALLS[name](wide)
    assert found.dtype == tf.float32 and exact.dtype == tf.float64
    np.testing.assert_allclose(found, exact, rtol=1e-6)
    if "Variable" not in name:
        assert tf.function(CALLS[name])(x).dtype == tf.float32


def test_tensors_of_two_types_are_refused() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match="expected to be a float tensor"):
        tf.matmul(tf.ones([2, 2]), tf.constant(WIDE))

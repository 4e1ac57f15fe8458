"""`tf.linalg.LinearOperator...` against values that `record_linear_operators.py` recorded."""

import json
from pathlib import Path

import numpy as np
import pytest
from unit.language.record_linear_operators import MATRIX, RIGHT, values

import shardtape as tf

RECORDED = json.loads((Path(__file__).parent / "linear_operators_2_15.json").read_text())


@pytest.fixture(scope="module")
def made():
    return values(tf)


@pytest.mark.parametrize("name", RECORDED)
def test_values_are_tensorflows(made, name):
    assert made[name].keys() == RECORDED[name].keys()
    for method, wanted in RECORDED[name].items():
        np.testing.assert_allclose(
            made[name][method], wanted, rtol=1e-12, atol=1e-14, err_msg=method
        )


def test_gradients_and_functions():
    v = tf.Variable([2.0, 4.0])
    operator = tf.linalg.LinearOperatorDiag(v)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(operator.solvevec(tf.constant([1.0, 1.0])))
    np.testing.assert_allclose(tape.gradient(loss, v), [-0.25, -0.0625])
    v.assign([1.0, 2.0])
    assert operator.matvec([1.0, 1.0]).numpy().tolist() == [1, 2]
    solve = tf.function(lambda m, r: tf.linalg.LinearOperatorFullMatrix(m).solve(r))
    m, r = tf.constant(MATRIX, tf.float64)[0], tf.constant(RIGHT, tf.float64)
    np.testing.assert_allclose(solve(m, r), np.linalg.solve(MATRIX[0], RIGHT))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda la: la.LinearOperatorDiag([1.0], is_self_adjoint=False), ValueError, "always self"),
        (lambda la: la.LinearOperatorDiag(1.0), ValueError, "at least 1"),
        (lambda la: la.LinearOperatorDiag([1]), TypeError, "floating or complex"),
        (lambda la: la.LinearOperatorFullMatrix([[1.0]], is_positive_definite=True,
                                              is_non_singular=False), ValueError, "non-singular"),
        (lambda la: la.LinearOperatorFullMatrix([[1.0]], is_non_singular=False).solve([[1.0]]),
         NotImplementedError, "expected to be singular"),
        (lambda la: la.LinearOperatorFullMatrix([[1.0, 2.0]]).solve([[1.0]]),
         NotImplementedError, "expected to not be square"),
        (lambda la: la.LinearOperatorFullMatrix([[1.0, 2.0]]).determinant(),
         NotImplementedError, "Determinant not implemented"),
        (lambda la: la.LinearOperatorFullMatrix([[1.0]]).cholesky(), ValueError, "Cholesky"),
        (lambda la: la.LinearOperatorFullMatrix([[1.0]]).eigvals(), NotImplementedError,
         "self-adj"),
        (lambda la: la.LinearOperatorDiag([1.0, 2.0]).matvec([1.0, 2.0, 3.0]), ValueError,
         "needs 2 rows"),
        (lambda la: la.LinearOperatorIdentity(2, is_non_singular=False), ValueError, "identity"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call(tf.linalg)

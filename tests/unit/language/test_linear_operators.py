"""`tf.linalg.LinearOperator...` against values that `record_linear_operators.py` recorded."""

import json
from pathlib import Path

import numpy as np
import pytest
from unit.language.record_linear_operators import MATRIX, RIGHT, operators, values

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


SQUARE = [n for n in RECORDED if n != "wide"]


@pytest.mark.parametrize("name", SQUARE)
def test_through_a_function(name):
    """An operator is an argument and a result; one trace serves operators of one form."""
    operator, traces = operators(tf)[name], []

    @tf.function
    def same(o, x):
        traces.append(1)
        return o, o.matmul(x)

    right = tf.cast(tf.eye(operator.range_dimension), operator.dtype)
    for _ in range(2):
        back, product = same(operator, right)
    assert type(back) is type(operator) and len(traces) == 1
    np.testing.assert_allclose(product, operator.to_dense(), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(back.to_dense(), operator.to_dense(), rtol=1e-12, atol=1e-14)
    assert back.parameters.keys() == operator.parameters.keys()


def test_gradient_through_an_operator_of_others():
    v = tf.Variable([2.0, 4.0])
    inner = tf.linalg.LinearOperatorDiag(v)
    operator = tf.linalg.LinearOperatorFullMatrix([[1.0, 1.0], [0.0, 1.0]]) @ inner
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(operator.solvevec([3.0, 1.0]))  # x = (2 / v0, 1 / v1)
    np.testing.assert_allclose(tape.gradient(loss, v), [-0.5, -0.0625])


def test_kinds_of_results_and_members():
    la = tf.linalg
    full, diag = (
        la.LinearOperatorFullMatrix([[2.0, 1.0], [0.0, 3.0]]),
        la.LinearOperatorDiag([1.0, 2]),
    )
    assert type(full @ diag) is la.LinearOperatorComposition
    assert type(full.adjoint()) is la.LinearOperatorAdjoint and full.H.H is full
    assert type(full.inverse()) is la.LinearOperatorInversion and full.inverse().inverse() is full
    assert type(diag @ diag) is la.LinearOperatorDiag
    assert full.domain_dimension_tensor().numpy() == full.range_dimension_tensor().numpy() == 2
    assert full.tensor_rank_tensor().numpy() == 2 and full.batch_shape_tensor().shape == [0]
    assert full.graph_parents == [] and full.parameters["is_square"] is None
    zeros = la.LinearOperatorZeros(2, 3, is_square=False)
    assert zeros.matmul(tf.ones([3, 1])).numpy().tolist() == [[0], [0]]
    cube = la.LinearOperatorCirculant3D(tf.ones([2, 2, 2], tf.complex64))
    np.testing.assert_allclose(cube.to_dense(), np.eye(8), atol=1e-6)


def test_assertions():
    la, wrong = tf.linalg, tf.errors.InvalidArgumentError
    la.LinearOperatorDiag([1.0, 2.0]).assert_non_singular()
    with pytest.raises(wrong, match="Singular"):
        la.LinearOperatorDiag([0.0, 1.0]).assert_non_singular()
    la.LinearOperatorDiag([1.0, 2.0]).assert_positive_definite()
    with pytest.raises(wrong, match="positive definite"):
        la.LinearOperatorDiag([-1.0, 1.0]).assert_positive_definite()
    with pytest.raises(wrong, match="adjoint"):
        la.LinearOperatorFullMatrix([[2.0, 1.0], [0.0, 3.0]]).assert_self_adjoint()
    with pytest.raises(NotImplementedError, match="self-adjoint"):
        la.LinearOperatorFullMatrix([[2.0]]).assert_positive_definite()


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
        (lambda la: la.LinearOperatorComposition([]), ValueError, "non-empty"),
        (lambda la: la.LinearOperatorPermutation([0.5]), TypeError, "integers"),
        (lambda la: la.LinearOperatorTridiag([[1.0]], "x"), ValueError, "diagonals_format"),
        (lambda la: la.LinearOperatorZeros(2, is_non_singular=True), ValueError, "singular"),
        (lambda la: la.LinearOperatorIdentity(2, is_non_singular=False), ValueError, "identity"),
    ],
)  # fmt: skip
def test_what_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call(tf.linalg)

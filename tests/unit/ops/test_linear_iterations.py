"""Blocks below the diagonal, conjugate gradients, few diagonals; numbers of TensorFlow 2.15."""

import numpy as np
import pytest

import shardtape as tf

linalg = tf.linalg
A = np.array([[4.0, 1, 0], [1, 3, 0.5], [0, 0.5, 2]])
HINTS = {"is_self_adjoint": True, "is_positive_definite": True}


def test_conjugate_gradients():
    operator = linalg.LinearOperatorFullMatrix(A, **HINTS)
    rhs = tf.constant([1.0, 2, 3], tf.float64)
    solve = linalg.experimental.conjugate_gradient
    state = solve(operator, rhs)
    assert state.i == 3
    np.testing.assert_allclose(state.x, [0.1547619, 0.38095238, 1.4047619], rtol=1e-7)
    state = solve(operator, rhs, max_iter=2, x=tf.constant([0.1, 0.2, 0.3], tf.float64))
    np.testing.assert_allclose(state.x, [0.08143017, 0.46584992, 1.36170385], rtol=1e-6)
    np.testing.assert_allclose(state.p, [0.1691582, -0.19583767, 0.09932431], rtol=1e-6)
    np.testing.assert_allclose(state.gamma, 0.07089586667153801, rtol=1e-9)
    near = linalg.LinearOperatorDiag(1 / np.diag(A))
    state = tf.function(lambda: solve(operator, rhs, near, tol=1e-3))()
    np.testing.assert_allclose(linalg.matvec(A, state.x), rhs, atol=1e-3)
    batch = linalg.LinearOperatorFullMatrix(np.stack([A, 2 * A]), **HINTS)
    state = solve(batch, tf.constant([[1.0, 2, 3], [3, 2, 1]], tf.float64))
    np.testing.assert_allclose(state.x[1], [0.32738095, 0.19047619, 0.20238095], rtol=1e-7)
    with pytest.raises(ValueError, match="self-adjoint, positive definite"):
        solve(linalg.LinearOperatorFullMatrix(A), rhs)


def test_few_diagonals():
    bands, rhs = [[2.0, 3.0, 4.0], [1.0, 2.0, 3.0]], [[1.0], [2.0], [3.0]]
    for options, found in (({}, [0.5, 1 / 3, 0.5]), ({"lower": False}, [2, -0.5, 1]),
                           ({"lower": False, "adjoint": True}, [1, 0, 1])):  # fmt: skip
        made = linalg.banded_triangular_solve(bands, rhs, **options)
        np.testing.assert_allclose(made[:, 0], found, atol=1e-6)


@pytest.mark.parametrize("complex_numbers", [False, True])
def test_blocks(complex_numbers):
    rng = np.random.RandomState(0)

    def drawn(*shape):
        real = rng.randn(*shape)
        return real + 1j * rng.randn(*shape) if complex_numbers else real

    a, b, c = drawn(2, 2) + 3 * np.eye(2), drawn(3, 2), drawn(3, 3) + 4 * np.eye(3)
    d, e, f = drawn(2, 2), drawn(2, 3), drawn(2) + 3
    full = linalg.LinearOperatorFullMatrix
    operator = linalg.LinearOperatorBlockLowerTriangular(
        [[full(a)], [full(b), full(c)], [full(d), full(e), linalg.LinearOperatorDiag(f)]]
    )
    dense = np.block([[a, np.zeros((2, 3)), np.zeros((2, 2))], [b, c, np.zeros((3, 2))],
                      [d, e, np.diag(f)]])  # fmt: skip
    assert operator.shape.as_list() == [7, 7] and operator.is_square
    np.testing.assert_allclose(operator.to_dense(), dense)
    x, batch = drawn(7, 2), drawn(3, 7, 2)
    np.testing.assert_allclose(operator.matmul(x), dense @ x, rtol=1e-10)
    np.testing.assert_allclose(operator.matmul(x, adjoint=True), dense.conj().T @ x, rtol=1e-10)
    np.testing.assert_allclose(operator.solve(x), np.linalg.solve(dense, x), rtol=1e-8)
    np.testing.assert_allclose(
        operator.solve(x, adjoint=True), np.linalg.solve(dense.conj().T, x), rtol=1e-8
    )
    np.testing.assert_allclose(operator.matmul(batch), dense @ batch, rtol=1e-10)
    np.testing.assert_allclose(operator.determinant(), np.linalg.det(dense), rtol=1e-9)
    np.testing.assert_allclose(operator.diag_part(), np.diag(dense))
    plain = linalg.LinearOperatorBlockLowerTriangular(
        [[linalg.LinearOperatorDiag(f, is_self_adjoint=True)],
         [full(a), linalg.LinearOperatorDiag(-f, is_self_adjoint=True)]]
    )  # fmt: skip
    np.testing.assert_allclose(plain.eigvals(), [*f, *-f])


def test_blocks_of_batches():
    rng = np.random.RandomState(0)
    first, below = rng.randn(4, 2, 2), rng.randn(2, 2)
    operator = linalg.LinearOperatorBlockLowerTriangular(
        [[linalg.LinearOperatorFullMatrix(first)],
         [linalg.LinearOperatorFullMatrix(below),
          linalg.LinearOperatorIdentity(2, dtype=tf.float64)]]
    )  # fmt: skip
    assert operator.shape.as_list() == [4, 4, 4]
    x = rng.randn(4)
    lower = np.tile(below @ x[:2] + x[2:], (4, 1))
    np.testing.assert_allclose(operator.matvec(x), np.concatenate([first @ x[:2], lower], 1))


def test_blocks_that_do_not_fit():
    eye = linalg.LinearOperatorIdentity
    make = linalg.LinearOperatorBlockLowerTriangular
    with pytest.raises(ValueError, match="must have 2 blocks in row 1, got 1"):
        make([[eye(2)], [eye(2)]])
    with pytest.raises(ValueError, match="row 1 and column 0"):
        make([[eye(2)], [eye(2), eye(3)]])
    with pytest.raises(TypeError, match="same dtype"):
        make([[eye(2)], [eye(2), eye(2, dtype=tf.float64)]])

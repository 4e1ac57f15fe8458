"""Records what TensorFlow 2.15's linear operators give, for `test_linear_operators.py`.

Not a test: run it by hand in an environment that has TensorFlow 2.15.

    python record_linear_operators.py linear_operators_2_15.json
"""

import json
import sys

MATRIX = [[[4.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 2.0]],
          [[2.0, 0.0, 1.0], [0.0, 5.0, 2.0], [1.0, 2.0, 3.0]]]  # fmt: skip
SKEW = [[1.0, 2.0], [3.0, 7.0], [-1.0, 0.5]]
RIGHT = [[1.0, 2.0], [0.5, -1.0], [3.0, 0.25]]
COMPLEX = [[1 + 2j, 2j], [3 - 1j, 1 + 0j]]


def _made_of_others(tf, matrix):
    linalg, double = tf.linalg, tf.float64
    full, lower = linalg.LinearOperatorFullMatrix(matrix), linalg.LinearOperatorLowerTriangular
    diag = linalg.LinearOperatorDiag(tf.constant([2.0, -3.0, 0.5], double))
    small = linalg.LinearOperatorFullMatrix(tf.constant([[1.0, 2.0], [3.0, -1.0]], double))
    thin = tf.constant([[1.0], [0.5], [-2.0]], double)
    return {
        "adjoint": linalg.LinearOperatorAdjoint(lower(matrix)),
        "inversion": linalg.LinearOperatorInversion(lower(matrix)),
        "composition": linalg.LinearOperatorComposition([full, diag, lower(matrix)]),
        "kronecker": linalg.LinearOperatorKronecker([small, lower(small.to_dense())]),
        "blocks": linalg.LinearOperatorBlockDiag(
            [small, linalg.LinearOperatorDiag(tf.constant([[4.0], [0.5]], double))]
        ),
        "update": linalg.LinearOperatorLowRankUpdate(
            diag, thin, tf.constant([0.25], double), v=tf.reverse(thin, [0])
        ),
        "update_of_itself": linalg.LinearOperatorLowRankUpdate(full, thin),
    }


def _of_a_form(tf):
    linalg, double = tf.linalg, tf.float64
    line = tf.constant([2.0, 1.0, -0.5], double)
    blocks = tf.constant([[4.0, 1.0], [2.0, 0.5]], tf.complex128)
    return {
        "householder": linalg.LinearOperatorHouseholder(line),
        "permutation": linalg.LinearOperatorPermutation([1, 2, 0], double),
        "toeplitz": linalg.LinearOperatorToeplitz(line, tf.constant([2.0, 7.0, 0.25], double)),
        "tridiag": linalg.LinearOperatorTridiag(
            tf.stack([line, line + 3, line * 2]), diagonals_format="compact"
        ),
        "tridiag_lines": linalg.LinearOperatorTridiag(
            [line, line + 3, line * 2], diagonals_format="sequence"
        ),
        "circulant": linalg.LinearOperatorCirculant(
            tf.constant([4.0, 1 + 0.5j, 1 - 0.5j], tf.complex128), input_output_dtype=double
        ),
        "complex_circulant": linalg.LinearOperatorCirculant(
            tf.constant([1 + 2j, 3 - 1j], tf.complex128), input_output_dtype=tf.complex128
        ),
        "circulant_2d": linalg.LinearOperatorCirculant2D(blocks, input_output_dtype=double),
    }


def operators(tf):
    linalg, double = tf.linalg, tf.float64
    matrix = tf.constant(MATRIX, double)
    return {
        "full": linalg.LinearOperatorFullMatrix(matrix),
        "positive": linalg.LinearOperatorFullMatrix(
            matrix, is_self_adjoint=True, is_positive_definite=True
        ),
        "lower": linalg.LinearOperatorLowerTriangular(matrix),
        "diag": linalg.LinearOperatorDiag(tf.constant([[2.0, -3.0, 0.5]], double)),
        "positive_diag": linalg.LinearOperatorDiag(
            tf.constant([2.0, 3.0, 0.5], double), is_positive_definite=True
        ),
        "identity": linalg.LinearOperatorIdentity(3, dtype=double),
        "identities": linalg.LinearOperatorIdentity(3, batch_shape=[2], dtype=double),
        "scaled": linalg.LinearOperatorScaledIdentity(3, tf.constant([2.0, 4.0], double)),
        "complex_full": linalg.LinearOperatorFullMatrix(tf.constant(COMPLEX, tf.complex128)),
        "complex_diag": linalg.LinearOperatorDiag(tf.constant(COMPLEX[0], tf.complex128)),
        "complex_lower": linalg.LinearOperatorLowerTriangular(tf.constant(COMPLEX, tf.complex128)),
        **_made_of_others(tf, matrix[0]),
        **_of_a_form(tf),
        "wide": linalg.LinearOperatorFullMatrix(tf.constant(SKEW, double)),
    }


def numbers(x):
    """Nested lists; complex numbers as pairs."""
    if x.dtype.kind == "c":
        return [numbers(x.real), numbers(x.imag)]
    return x.tolist()


def values(tf):
    """Everything that is compared: operator, then method, then its value."""
    out = {}
    for name, operator in operators(tf).items():
        right = tf.constant(RIGHT, tf.float64)
        if name.startswith("complex"):
            right = tf.cast(right[:2], tf.complex128) * (1 + 1j)
        elif name in ("kronecker", "circulant_2d"):
            right = tf.concat([right, right[:1] * 3], 0)
        elif name == "wide":
            right = right[:2]
        taken = {
            "dense": lambda o, r: o.to_dense(),
            "matmul": lambda o, r: o.matmul(r),
            "at": lambda o, r: o @ r,
            "adjoint_arg": lambda o, r: o.matmul(tf.linalg.adjoint(r), adjoint_arg=True),
            "matvec": lambda o, r: o.matvec(r[:, 0]),
            "diag_part": lambda o, r: o.diag_part(),
            "trace": lambda o, r: o.trace(),
            "shape_tensor": lambda o, r: o.shape_tensor(),
            "dimensions": lambda o, r: tf.constant(
                [o.domain_dimension, o.range_dimension, o.tensor_rank, o.is_square]
            ),
            "adjoint_dense": lambda o, r: o.H.to_dense(),
        }
        if name != "wide":
            taken |= {
                "matmul_adjoint": lambda o, r: o.matmul(r, adjoint=True),
                "matvec_adjoint": lambda o, r: o.matvec(r[:, 1], adjoint=True),
                "solve": lambda o, r: o.solve(r),
                "solve_adjoint": lambda o, r: o.solve(r, adjoint=True),
                "solvevec": lambda o, r: o.solvevec(r[:, 0]),
                "determinant": lambda o, r: o.determinant(),
                "log_abs_determinant": lambda o, r: o.log_abs_determinant(),
                "inverse": lambda o, r: o.inverse().to_dense(),
                "cond": lambda o, r: tf.cast(o.cond(), tf.float64),
                "product": lambda o, r: o.matmul(o).to_dense(),
                "sum": lambda o, r: o.add_to_tensor(tf.ones_like(o.to_dense())),
            }
        if name.startswith("circulant"):
            # TensorFlow forgets the dtype of these two: they are complex64
            del taken["adjoint_dense"], taken["product"]
        if name in ("positive", "positive_diag", "identity", "identities"):
            taken["cholesky"] = lambda o, r: o.cholesky().to_dense()
        if name in ("positive", "diag", "identity", "scaled"):
            taken["eigvals"] = lambda o, r: tf.sort(o.eigvals())
        out[name] = {method: numbers(take(operator, right).numpy())
                     for method, take in taken.items()}  # fmt: skip
    return out


if __name__ == "__main__":
    import tensorflow

    with open(sys.argv[1], "w") as file:
        json.dump(values(tensorflow), file, separators=(",", ":"))
        file.write("\n")

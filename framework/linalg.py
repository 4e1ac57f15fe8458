"""`tf.linalg`."""

from shardtape import linear_experimental as experimental
from shardtape.ops.clip import (
    global_norm,
)
from shardtape.ops.contraction import einsum, tensordot
from shardtape.ops.grids import (
    eye,
)
from shardtape.ops.linalg import matmul, matvec
from shardtape.ops.linear_iterations import banded_triangular_solve
from shardtape.ops.linear_operator_blocks import LinearOperatorBlockLowerTriangular
from shardtape.ops.linear_operator_diagonals import (
    LinearOperatorDiag,
    LinearOperatorIdentity,
    LinearOperatorScaledIdentity,
)
from shardtape.ops.linear_operator_forms import (
    LinearOperatorCirculant,
    LinearOperatorCirculant2D,
    LinearOperatorCirculant3D,
    LinearOperatorHouseholder,
    LinearOperatorPermutation,
    LinearOperatorToeplitz,
    LinearOperatorTridiag,
    LinearOperatorZeros,
)
from shardtape.ops.linear_operator_products import (
    LinearOperatorAdjoint,
    LinearOperatorBlockDiag,
    LinearOperatorComposition,
    LinearOperatorInversion,
    LinearOperatorKronecker,
    LinearOperatorLowRankUpdate,
)
from shardtape.ops.linear_operators import (
    LinearOperator,
    LinearOperatorFullMatrix,
    LinearOperatorLowerTriangular,
)
from shardtape.ops.lu import lu, lu_matrix_inverse, lu_reconstruct, lu_solve
from shardtape.ops.matrix_functions import expm, sqrtm, tridiagonal_matmul
from shardtape.ops.matrix_logarithm import logm
from shardtape.ops.matrix_parts import (
    adjoint,
    band_part,
    cross,
    matrix_transpose,
    tensor_diag,
    tensor_diag_part,
    trace,
)
from shardtape.ops.matrix_parts import matrix_diag as diag
from shardtape.ops.matrix_parts import matrix_diag_part as diag_part
from shardtape.ops.matrix_parts import matrix_set_diag as set_diag
from shardtape.ops.normalization import (
    l2_normalize,
)
from shardtape.ops.norms import (
    norm,
    normalize,
)
from shardtape.ops.systems import (
    cholesky,
    cholesky_solve,
    det,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    inv,
    logdet,
    lstsq,
    matrix_rank,
    pinv,
    qr,
    slogdet,
    solve,
    svd,
    triangular_solve,
)
from shardtape.ops.tridiagonal import eigh_tridiagonal, tridiagonal_solve

__all__ = [
    "LinearOperator",
    "LinearOperatorAdjoint",
    "LinearOperatorBlockDiag",
    "LinearOperatorBlockLowerTriangular",
    "LinearOperatorCirculant",
    "LinearOperatorCirculant2D",
    "LinearOperatorCirculant3D",
    "LinearOperatorComposition",
    "LinearOperatorHouseholder",
    "LinearOperatorInversion",
    "LinearOperatorKronecker",
    "LinearOperatorLowRankUpdate",
    "LinearOperatorPermutation",
    "LinearOperatorToeplitz",
    "LinearOperatorTridiag",
    "LinearOperatorZeros",
    "LinearOperatorDiag",
    "LinearOperatorFullMatrix",
    "LinearOperatorIdentity",
    "LinearOperatorLowerTriangular",
    "LinearOperatorScaledIdentity",
    "eigh_tridiagonal",
    "logm",
    "tridiagonal_solve",
    "tridiagonal_matmul",
    "sqrtm",
    "lu_solve",
    "lu_reconstruct",
    "lu_matrix_inverse",
    "lu",
    "experimental",
    "expm",
    "adjoint",
    "band_part",
    "banded_triangular_solve",
    "cholesky",
    "cholesky_solve",
    "cross",
    "det",
    "diag",
    "diag_part",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "einsum",
    "eye",
    "global_norm",
    "inv",
    "l2_normalize",
    "logdet",
    "lstsq",
    "matmul",
    "matrix_rank",
    "matrix_transpose",
    "matvec",
    "norm",
    "normalize",
    "pinv",
    "qr",
    "set_diag",
    "slogdet",
    "solve",
    "svd",
    "tensor_diag",
    "tensor_diag_part",
    "tensordot",
    "trace",
    "triangular_solve",
]

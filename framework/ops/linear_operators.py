"""`tf.linalg.LinearOperator` and its plain kinds: matrices that know their form.

An operator multiplies, solves and gives determinants by what its form allows, without its dense
matrix where it can. Shapes are [batch..., rows, columns].
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.module import Module
from shardtape.ops import array, linalg, math, matrix_parts, reduce, systems
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import conj
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.decomposition import matrix_solve
from shardtape.shapes import TensorShape

_HINTS = ("is_non_singular", "is_self_adjoint", "is_positive_definite", "is_square")


class LinearOperator(Module):
    """Base of the operators. A subclass gives `_dense()`, and what it does better than that.

    Args:
      dtype: of the entries.
      is_non_singular, is_self_adjoint, is_positive_definite, is_square: what is known of the
        matrix; None for unknown. They choose the algorithm and are not checked.

    Raises ValueError for hints that contradict each other.
    """

    # arguments of the constructor that are tensors or operators, and attributes of that name
    _tensors: tuple[str, ...] = ()
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __new__(cls, *args: Any, **kwargs: Any) -> LinearOperator:
        made = super().__new__(cls)
        object.__setattr__(made, "_arguments", (args, kwargs))
        return made

    def __init__(
        self, dtype: Any, is_non_singular: bool | None = None, is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None, is_square: bool | None = None,
        name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(name=name or type(self).__name__)
        if is_positive_definite:
            if is_non_singular is False:
                raise ValueError("A positive definite matrix is always non-singular.")
            is_non_singular = True
        if is_non_singular or is_self_adjoint:
            if is_square is False:
                raise ValueError(
                    "A non-singular or self-adjoint matrix is always square: is_square=False "
                    "contradicts the other hints."
                )
            is_square = True
        self._entries = dt.as_dtype(dtype)
        self.is_non_singular, self.is_self_adjoint = is_non_singular, is_self_adjoint
        self.is_positive_definite, self._is_square = is_positive_definite, is_square

    # ---- what a subclass gives ----------------------------------------------------------------
    def _dense(self) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define its dense matrix")

    @property
    def shape(self) -> TensorShape:
        """[batch..., rows, columns], as far as it is known."""
        return self._dense().shape

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return linalg.matmul(self._dense(), x, adjoint_a=adjoint)

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        if self.is_positive_definite and self.is_self_adjoint:
            return systems.cholesky_solve(systems.cholesky(self._dense()), rhs)
        return matrix_solve(self._dense(), rhs, adjoint=adjoint)  # batch axes broadcast

    def _diagonal(self) -> Any:
        return matrix_parts.matrix_diag_part(self._dense())

    # ---- what it is -----------------------------------------------------------------------------
    @property
    def parameters(self) -> dict[str, Any]:
        """The arguments that it was made with, by name."""
        args, kwargs = self._arguments
        bound = inspect.signature(type(self).__init__).bind(self, *args, **kwargs)
        bound.apply_defaults()
        return {k: v for k, v in bound.arguments.items() if k != "self"}

    @property
    def graph_parents(self) -> list[Any]:
        """Empty: in TensorFlow 2 operators name no graph."""
        return []

    @property
    def _type_spec(self) -> Any:
        from shardtape.ops.linear_operator_spec import LinearOperatorSpec

        return LinearOperatorSpec.from_value(self)

    @property
    def dtype(self) -> dt.DType:
        return self._entries

    @property
    def is_square(self) -> bool | None:
        if self._is_square is not None:
            return self._is_square
        rows, columns = self.shape[-2], self.shape[-1]
        return None if rows is None or columns is None else rows == columns

    @property
    def batch_shape(self) -> TensorShape:
        return self.shape[:-2]

    @property
    def tensor_rank(self) -> int | None:
        return self.shape.rank

    @property
    def domain_dimension(self) -> int | None:
        """The number of columns."""
        return self.shape[-1]

    @property
    def range_dimension(self) -> int | None:
        """The number of rows."""
        return self.shape[-2]

    def shape_tensor(self, name: str | None = None) -> Any:
        """The shape as a tensor, int32."""
        if self.shape.is_fully_defined():
            return convert_to_tensor(self.shape.as_list(), dt.int32)
        return array.shape(self.to_dense())

    def batch_shape_tensor(self, name: str = "batch_shape_tensor") -> Any:
        """The batch axes' sizes, int32."""
        return self.shape_tensor()[:-2]

    def tensor_rank_tensor(self, name: str = "tensor_rank_tensor") -> Any:
        """The rank with the batch axes, int32."""
        return array.size(self.shape_tensor())

    def domain_dimension_tensor(self, name: str = "domain_dimension_tensor") -> Any:
        """The number of columns, int32."""
        return self.shape_tensor()[-1]

    def range_dimension_tensor(self, name: str = "range_dimension_tensor") -> Any:
        """The number of rows, int32."""
        return self.shape_tensor()[-2]

    def to_dense(self, name: str | None = None) -> Any:
        """The matrix."""
        return array.identity(self._dense(), name=name)

    def diag_part(self, name: str | None = None) -> Any:
        """The diagonal, [batch..., min(rows, columns)]."""
        return array.identity(self._diagonal(), name=name)

    def trace(self, name: str | None = None) -> Any:
        """The sum of the diagonal, [batch...]."""
        return reduce.reduce_sum(self._diagonal(), -1, name=name)

    def add_to_tensor(self, x: Any, name: str | None = None) -> Any:
        """The matrix plus `x`."""
        return math.add(self._dense(), convert_to_tensor(x, self.dtype), name=name)

    # ---- what is claimed of it ---------------------------------------------------------------
    def assert_non_singular(self, name: str = "assert_non_singular") -> Any:
        """Raises InvalidArgumentError where the condition number is beyond the dtype's digits."""
        limit = 1 / np.finfo(self.dtype.numpy_dtype).eps
        fits = reduce.reduce_all(cast(math.abs(self.cond()), dt.float64) < limit)
        return _assert(fits, f"{self.name}: Singular matrix up to precision epsilon.")

    def assert_positive_definite(self, name: str = "assert_positive_definite") -> Any:
        """Raises InvalidArgumentError for an eigenvalue that is not positive.

        Raises NotImplementedError for an operator that is not said to be self-adjoint.
        """
        if not self.is_self_adjoint:
            raise NotImplementedError(
                f"assert_positive_definite needs an operator that is said to be self-adjoint: "
                f"{self.name}"
            )
        fits = reduce.reduce_all(systems.eigvalsh(self._dense()) > 0)
        return _assert(fits, f"{self.name}: Operator was not positive definite.")

    def assert_self_adjoint(self, name: str = "assert_self_adjoint") -> Any:
        """Raises InvalidArgumentError where the matrix is not its conjugate transpose."""
        dense = self._dense()
        same = reduce.reduce_all(math.equal(dense, matrix_parts.matrix_transpose(conj(dense))))
        return _assert(same, f"{self.name}: Matrix was not equal to its adjoint.")

    # ---- products and systems -------------------------------------------------------------------
    def _operand(self, x: Any, adjoint: bool, rows: bool, other: Any) -> Any:
        """`x`, checked: it has as many rows as the product (as the system) needs."""
        x = convert_to_tensor(x, self.dtype)
        needed = self.shape[-2 if rows != adjoint else -1]
        if needed is not None and other(x) is not None and needed != other(x):
            raise ValueError(
                f"Operator of shape {self.shape}{' (adjoint)' if adjoint else ''} does not fit an "
                f"argument of shape {x.shape}: it needs {needed} rows"
            )
        return x

    def matmul(
        self, x: Any, adjoint: bool = False, adjoint_arg: bool = False, name: str = "matmul"
    ) -> Any:
        """The product with a matrix [..., columns, r]; with an operator, an operator.

        Args:
          adjoint, adjoint_arg: take the adjoint of the operator, of `x`.
        """
        if isinstance(x, LinearOperator):
            left = self.adjoint() if adjoint else self
            return left._times(x.adjoint() if adjoint_arg else x)
        x = convert_to_tensor(x, self.dtype)
        x = matrix_parts.matrix_transpose(conj(x)) if adjoint_arg else x
        x = self._operand(x, adjoint, False, lambda t: t.shape[-2])
        return array.identity(self._matmul(x, adjoint), name=name)

    def _times(self, other: LinearOperator) -> LinearOperator:
        from shardtape.ops.linear_operator_products import LinearOperatorComposition

        return LinearOperatorComposition([self, other])

    def __matmul__(self, other: Any) -> Any:
        return self.matmul(other)

    def matvec(self, x: Any, adjoint: bool = False, name: str = "matvec") -> Any:
        """The product with vectors [..., columns]."""
        x = self._operand(x, adjoint, False, lambda t: t.shape[-1])
        made = self._matmul(array.expand_dims(x, -1), adjoint)
        return array.squeeze(made, [-1], name=name)

    def _check_solvable(self) -> None:
        if self.is_non_singular is False:
            raise NotImplementedError(
                "Exact solve not implemented for an operator that is expected to be singular."
            )
        if self.is_square is False:
            raise NotImplementedError(
                "Exact solve not implemented for an operator that is expected to not be square."
            )

    def solve(
        self, rhs: Any, adjoint: bool = False, adjoint_arg: bool = False, name: str = "solve"
    ) -> Any:
        """X with `operator @ X = rhs`, rhs [..., rows, r].

        Raises NotImplementedError for an operator said to be singular, or not square.
        """
        self._check_solvable()
        if isinstance(rhs, LinearOperator):
            left = self.adjoint() if adjoint else self
            return left.inverse()._times(rhs.adjoint() if adjoint_arg else rhs)
        rhs = convert_to_tensor(rhs, self.dtype)
        rhs = matrix_parts.matrix_transpose(conj(rhs)) if adjoint_arg else rhs
        rhs = self._operand(rhs, adjoint, True, lambda t: t.shape[-2])
        return array.identity(self._solve(rhs, adjoint), name=name)

    def solvevec(self, rhs: Any, adjoint: bool = False, name: str = "solve") -> Any:
        """Vectors [..., columns] with `operator x = rhs`."""
        self._check_solvable()
        rhs = self._operand(rhs, adjoint, True, lambda t: t.shape[-1])
        return array.squeeze(self._solve(array.expand_dims(rhs, -1), adjoint), [-1], name=name)

    # ---- other operators ------------------------------------------------------------------------
    def _hints(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _HINTS}

    def adjoint(self, name: str = "adjoint") -> LinearOperator:
        """The operator of the conjugate transpose; itself where it is self-adjoint."""
        if self.is_self_adjoint:
            return self
        from shardtape.ops.linear_operator_products import LinearOperatorAdjoint

        return LinearOperatorAdjoint(self)

    @property
    def H(self) -> LinearOperator:
        return self.adjoint()

    def inverse(self, name: str = "inverse") -> LinearOperator:
        """The operator of the inverse. Raises ValueError for one said to be singular."""
        if self.is_square is False:
            raise ValueError(
                "Cannot take the Inverse: This operator represents a non square matrix."
            )
        if self.is_non_singular is False:
            raise ValueError("Cannot take the Inverse: This operator represents a singular matrix.")
        from shardtape.ops.linear_operator_products import LinearOperatorInversion

        return LinearOperatorInversion(self)

    def cholesky(self, name: str = "cholesky") -> LinearOperator:
        """The lower triangular operator whose product with its adjoint this one is.

        Raises ValueError for an operator not said to be self-adjoint and positive definite.
        """
        if not (self.is_self_adjoint and self.is_positive_definite):
            raise ValueError(
                "Cannot take the Cholesky decomposition: Not a positive definite self adjoint "
                "matrix."
            )
        return LinearOperatorLowerTriangular(
            systems.cholesky(self._dense()), is_non_singular=True, is_self_adjoint=False,
            is_square=True,
        )  # fmt: skip

    # ---- numbers --------------------------------------------------------------------------------
    def _check_square(self, what: str) -> None:
        if self.is_square is False:
            raise NotImplementedError(
                f"{what} not implemented for an operator that is expected to not be square."
            )

    def determinant(self, name: str = "det") -> Any:
        """The determinants, [batch...]."""
        self._check_square("Determinant")
        return systems.det(self._dense(), name=name)

    def log_abs_determinant(self, name: str = "log_abs_det") -> Any:
        """The logarithms of their absolute values."""
        self._check_square("Determinant")
        return systems.slogdet(self._dense(), name=name)[1]

    def eigvals(self, name: str = "eigvals") -> Any:
        """The eigenvalues [batch..., rows] of an operator said to be self-adjoint."""
        if not self.is_self_adjoint:
            raise NotImplementedError("Only self-adjoint matrices are supported.")
        return systems.eigvalsh(self._dense(), name=name)

    def cond(self, name: str = "cond") -> Any:
        """The condition numbers: the largest singular value over the smallest."""
        values = math.abs(systems.svd(self._dense(), compute_uv=False))
        return math.divide(reduce.reduce_max(values, -1), reduce.reduce_min(values, -1), name=name)


def _assert(condition: Any, text: str) -> Any:
    from shardtape.debugging.assertions import Assert

    return Assert(condition, [text])


class LinearOperatorFullMatrix(LinearOperator):
    """An operator without a form: `matrix` [batch..., rows, columns]."""

    _tensors = ("matrix",)

    def __init__(
        self, matrix: Any, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorFullMatrix",
    ) -> None:  # fmt: skip
        self._matrix = _at_least(matrix, 2, "matrix")
        super().__init__(self._matrix.dtype, is_non_singular, is_self_adjoint,
                         is_positive_definite, is_square, name)  # fmt: skip

    @property
    def matrix(self) -> Any:
        return self._matrix

    @property
    def shape(self) -> TensorShape:
        return self._matrix.shape

    def _dense(self) -> Any:
        return convert_to_tensor(self._matrix)


class LinearOperatorLowerTriangular(LinearOperator):
    """The lower triangle of `tril` [batch..., n, n]; what is above is not looked at."""

    _tensors = ("tril",)

    def __init__(
        self, tril: Any, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorLowerTriangular",
    ) -> None:  # fmt: skip
        if is_square is False:
            raise ValueError(
                "Only square lower triangular operators supported at this time."
            )  # fmt: skip
        self._tril = _at_least(tril, 2, "tril")
        super().__init__(self._tril.dtype, is_non_singular, is_self_adjoint,
                         is_positive_definite, True, name)  # fmt: skip

    @property
    def tril(self) -> Any:
        return self._tril

    @property
    def shape(self) -> TensorShape:
        return self._tril.shape

    def _dense(self) -> Any:
        return matrix_parts.band_part(self._tril, -1, 0)

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return systems.triangular_solve(self._tril, rhs, lower=True, adjoint=adjoint)

    def _diagonal(self) -> Any:
        return matrix_parts.matrix_diag_part(self._tril)

    def determinant(self, name: str = "det") -> Any:
        return reduce.reduce_prod(self._diagonal(), -1, name=name)

    def log_abs_determinant(self, name: str = "log_abs_det") -> Any:
        return reduce.reduce_sum(math.log(math.abs(self._diagonal())), -1, name=name)

    def eigvals(self, name: str = "eigvals") -> Any:
        return self.diag_part(name)


def _at_least(x: Any, rank: int, name: str) -> Any:
    """A tensor of floats, or the Variable as it is, of that rank at least."""
    from shardtape.variable import Variable

    x = x if isinstance(x, Variable) else convert_to_tensor(x)
    if not (x.dtype.is_floating or x.dtype.is_complex):
        raise TypeError(f"Argument `{name}` must be of a floating or complex dtype, got {x.dtype}")
    if x.shape.rank is not None and x.shape.rank < rank:
        raise ValueError(
            f"Argument `{name}` must have at least {rank} dimensions. Received: {x.shape}"
        )
    return x

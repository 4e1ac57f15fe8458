"""Diagonal matrices, the identity and its multiples, as linear operators."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import array, math, matrix_parts, reduce
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import conj
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linear_operators import LinearOperator, _at_least
from shardtape.shapes import TensorShape


class LinearOperatorDiag(LinearOperator):
    """A square diagonal matrix: `diag` [batch..., n]."""

    _tensors: tuple[str, ...] = ("diag",)

    def __init__(
        self, diag: Any, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorDiag",
    ) -> None:  # fmt: skip
        self._diag = _at_least(diag, 1, "diag")
        if not self._diag.dtype.is_complex:
            if is_self_adjoint is False:
                raise ValueError("A real diagonal operator is always self adjoint.")
            is_self_adjoint = True
        if is_square is False:
            raise ValueError("Only square diagonal operators currently supported.")
        super().__init__(self._diag.dtype, is_non_singular, is_self_adjoint,
                         is_positive_definite, True, name)  # fmt: skip

    @property
    def diag(self) -> Any:
        return self._diag

    @property
    def shape(self) -> TensorShape:
        return self._diag.shape.concatenate(self._diag.shape[-1:])

    def _dense(self) -> Any:
        return matrix_parts.matrix_diag(self._diag)

    def _entries_of(self, adjoint: bool) -> Any:
        entries = convert_to_tensor(self._diag)
        return array.expand_dims(conj(entries) if adjoint else entries, -1)

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return self._entries_of(adjoint) * x

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return rhs / self._entries_of(adjoint)

    def _diagonal(self) -> Any:
        return convert_to_tensor(self._diag)

    def _times(self, other: LinearOperator) -> LinearOperator:
        if isinstance(other, LinearOperatorDiag):
            return LinearOperatorDiag(self._diagonal() * other._diagonal())
        return super()._times(other)

    def adjoint(self, name: str = "adjoint") -> LinearOperator:
        return self if self.is_self_adjoint else LinearOperatorDiag(
            conj(self._diagonal()), **self._hints()
        )  # fmt: skip

    def inverse(self, name: str = "inverse") -> LinearOperator:
        if self.is_non_singular is False:
            raise ValueError("Cannot take the Inverse: This operator represents a singular matrix.")
        return LinearOperatorDiag(1 / self._diagonal(), **{**self._hints(),
                                  "is_non_singular": True})  # fmt: skip

    def cholesky(self, name: str = "cholesky") -> LinearOperator:
        if not (self.is_self_adjoint and self.is_positive_definite):
            return super().cholesky(name)
        return LinearOperatorDiag(math.sqrt(self._diagonal()), is_non_singular=True,
                                  is_self_adjoint=True, is_positive_definite=True)  # fmt: skip

    def determinant(self, name: str = "det") -> Any:
        return reduce.reduce_prod(self._diagonal(), -1, name=name)

    def log_abs_determinant(self, name: str = "log_abs_det") -> Any:
        # in the operator's dtype, as TensorFlow has it for this kind
        logs = cast(math.log(math.abs(self._diagonal())), self.dtype)
        return reduce.reduce_sum(logs, -1, name=name)

    def eigvals(self, name: str = "eigvals") -> Any:
        return self.diag_part(name)


class LinearOperatorScaledIdentity(LinearOperatorDiag):
    """The identity times `multiplier` [batch...]."""

    _tensors = ("multiplier",)

    def add_to_tensor(  # type: ignore[override]  # TensorFlow's name of the argument differs
        self, mat: Any, name: str | None = "add_to_tensor"
    ) -> Any:
        """The matrix plus `mat`."""
        return super().add_to_tensor(mat, name=name)

    def __init__(
        self, num_rows: int, multiplier: Any, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = True, assert_proper_shapes: bool = False,
        name: str = "LinearOperatorScaledIdentity",
    ) -> None:  # fmt: skip
        self.multiplier = _at_least(multiplier, 0, "multiplier")
        wide = array.expand_dims(convert_to_tensor(self.multiplier), -1)
        ones = array.ones([int(num_rows)], self.multiplier.dtype)
        super().__init__(wide * ones, is_non_singular, is_self_adjoint, is_positive_definite,
                         is_square, name)  # fmt: skip


class LinearOperatorIdentity(LinearOperatorDiag):
    """The identity of `num_rows` rows, for each member of `batch_shape`."""

    _tensors = ()

    def add_to_tensor(  # type: ignore[override]  # TensorFlow's name of the argument differs
        self, mat: Any, name: str | None = "add_to_tensor"
    ) -> Any:
        """The matrix plus `mat`."""
        return super().add_to_tensor(mat, name=name)

    def __init__(
        self, num_rows: int, batch_shape: Any = None, dtype: Any = None,
        is_non_singular: bool | None = True, is_self_adjoint: bool | None = True,
        is_positive_definite: bool | None = True, is_square: bool | None = True,
        assert_proper_shapes: bool = False, name: str = "LinearOperatorIdentity",
    ) -> None:  # fmt: skip
        for hint in (is_self_adjoint, is_non_singular, is_positive_definite, is_square):
            if hint is False:
                raise ValueError(
                    "An identity operator is always square, self-adjoint, non-singular and "
                    "positive definite."
                )
        sizes = [*TensorShape(batch_shape if batch_shape is not None else []), int(num_rows)]
        ones = array.ones(sizes, dt.float32 if dtype is None else dt.as_dtype(dtype))
        super().__init__(ones, True, True, True, True, name)

    def _times(self, other: LinearOperator) -> LinearOperator:
        return other if not self.batch_shape.rank else super()._times(other)

    def inverse(self, name: str = "inverse") -> LinearOperator:
        return self

    def cholesky(self, name: str = "cholesky") -> LinearOperator:
        return self

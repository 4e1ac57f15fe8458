"""The identity and its multiples, as linear operators."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import array
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linear_operators import LinearOperator, LinearOperatorDiag, _at_least
from shardtape.shapes import TensorShape


class LinearOperatorScaledIdentity(LinearOperatorDiag):
    """The identity times `multiplier` [batch...]."""

    _tensors = ("multiplier",)

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

"""Operators that are made of others: products, adjoints, inverses, blocks, low-rank updates."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from shardtape.ops import array, grids, linalg, math, matrix_parts
from shardtape.ops.complex_numbers import conj
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linear_operator_diagonals import LinearOperatorDiag
from shardtape.ops.linear_operators import LinearOperator, _at_least
from shardtape.shapes import TensorShape, broadcast_shapes


def _all(values: Sequence[bool | None]) -> bool | None:
    return True if all(v is True for v in values) else None


def _checked(operators: Any, what: str) -> list[LinearOperator]:
    operators = list(operators)
    if not operators or not all(isinstance(o, LinearOperator) for o in operators):
        raise ValueError(f"{what} needs a non-empty list of LinearOperators, got {operators}")
    dtypes = {o.dtype for o in operators}
    if len(dtypes) > 1:
        names = ", ".join(f"{o.name}: {o.dtype.name}" for o in operators)
        raise TypeError(f"Expected all operators of {what} to have the same dtype. Found {names}")
    return operators


class LinearOperatorAdjoint(LinearOperator):
    """The conjugate transpose of `operator`; hints are those of `operator` where not given."""

    _tensors = ("operator",)

    def __init__(
        self, operator: LinearOperator, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        self.operator = operator
        given = (is_non_singular, is_self_adjoint, is_positive_definite, is_square)
        own = operator._hints()
        hints: Any = {key: own[key] if g is None else g for key, g in zip(own, given)}
        super().__init__(operator.dtype, **hints, name=name or f"{operator.name}_adjoint")

    @property
    def shape(self) -> TensorShape:
        inner = self.operator.shape
        return inner[:-2].concatenate([inner[-1], inner[-2]])

    def _dense(self) -> Any:
        return matrix_parts.matrix_transpose(conj(self.operator._dense()))

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return self.operator._matmul(x, not adjoint)

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return self.operator._solve(rhs, not adjoint)

    def adjoint(self, name: str = "adjoint") -> LinearOperator:
        return self.operator


class LinearOperatorInversion(LinearOperator):
    """The inverse of `operator`: its product solves a system."""

    _tensors = ("operator",)

    def __init__(
        self, operator: LinearOperator, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        if operator.is_square is False or is_square is False:
            raise ValueError("Only square operators have an inverse.")
        if operator.is_non_singular is False or is_non_singular is False:
            raise ValueError("Only non-singular operators have an inverse.")
        self.operator = operator
        own = operator._hints()
        super().__init__(
            operator.dtype, True,
            own["is_self_adjoint"] if is_self_adjoint is None else is_self_adjoint,
            own["is_positive_definite"] if is_positive_definite is None else is_positive_definite,
            True, name or f"{operator.name}_inv",
        )  # fmt: skip

    @property
    def shape(self) -> TensorShape:
        return self.operator.shape

    def _dense(self) -> Any:
        rows = self.shape[-1] if self.shape[-1] is not None else self.operator.shape_tensor()[-1]
        return self.operator._solve(grids.eye(rows, dtype=self.dtype), False)

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return self.operator._solve(x, adjoint)

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return self.operator._matmul(rhs, adjoint)

    def determinant(self, name: str = "det") -> Any:
        return math.divide(1, self.operator.determinant(), name=name)

    def log_abs_determinant(self, name: str = "log_abs_det") -> Any:
        return math.negative(self.operator.log_abs_determinant(), name=name)

    def inverse(self, name: str = "inverse") -> LinearOperator:
        return self.operator


class LinearOperatorComposition(LinearOperator):
    """The product of `operators`, the first of which is applied last."""

    _tensors = ("operators",)

    def __init__(
        self, operators: Sequence[LinearOperator], is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        self.operators = _checked(operators, "LinearOperatorComposition")
        for left, right in zip(self.operators, self.operators[1:]):
            if not left.shape[-1:].is_compatible_with(right.shape[-2:-1]):
                raise ValueError(
                    f"operators of shapes {left.shape} and {right.shape} cannot be multiplied"
                )
        if is_non_singular is None:
            is_non_singular = _all([o.is_non_singular for o in self.operators])
        super().__init__(self.operators[0].dtype, is_non_singular, is_self_adjoint,
                         is_positive_definite, is_square,
                         name or "_o_".join(o.name for o in self.operators))  # fmt: skip

    @property
    def shape(self) -> TensorShape:
        batch = functools.reduce(broadcast_shapes, [o.batch_shape for o in self.operators])
        return batch.concatenate([self.operators[0].shape[-2], self.operators[-1].shape[-1]])

    def _dense(self) -> Any:
        made = self.operators[-1]._dense()
        for operator in reversed(self.operators[:-1]):
            made = operator._matmul(made, False)
        return made

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        for operator in self.operators if adjoint else reversed(self.operators):
            x = operator._matmul(x, adjoint)
        return x

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        for operator in reversed(self.operators) if adjoint else self.operators:
            rhs = operator._solve(rhs, adjoint)
        return rhs

    def determinant(self, name: str = "det") -> Any:
        if not all(o.is_square for o in self.operators):
            return super().determinant(name)
        return functools.reduce(math.multiply, [o.determinant() for o in self.operators])

    def log_abs_determinant(self, name: str = "log_abs_det") -> Any:
        if not all(o.is_square for o in self.operators):
            return super().log_abs_determinant(name)
        return functools.reduce(math.add, [o.log_abs_determinant() for o in self.operators])


def _filled(given: Sequence[bool | None], operators: Sequence[LinearOperator]) -> dict[str, Any]:
    """Hints by name; those that are not given are what all operators say."""
    return {
        key: _all([getattr(o, key) for o in operators]) if hint is None else hint
        for key, hint in zip(operators[0]._hints(), given)
    }


class LinearOperatorKronecker(LinearOperator):
    """The Kronecker product of `operators`: blocks of the last one, scaled by those before."""

    _tensors = ("operators",)

    def __init__(
        self, operators: Sequence[LinearOperator], is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str | None = None,
    ) -> None:  # fmt: skip
        self.operators = _checked(operators, "LinearOperatorKronecker")
        given = (is_non_singular, is_self_adjoint, is_positive_definite, is_square)
        hints = _filled(given, self.operators)
        name = name or "_x_".join(o.name for o in self.operators)
        super().__init__(self.operators[0].dtype, name=name, **hints)

    @property
    def shape(self) -> TensorShape:
        batch = functools.reduce(broadcast_shapes, [o.batch_shape for o in self.operators])
        sizes = []
        for axis in (-2, -1):
            known = [o.shape[axis] for o in self.operators]
            whole = None if None in known else functools.reduce(lambda a, b: a * b, known)
            sizes.append(whole)
        return batch.concatenate(sizes)

    def _dense(self) -> Any:
        def product(a: Any, b: Any) -> Any:
            wide = a[..., :, None, :, None] * b[..., None, :, None, :]
            sizes = array.shape(wide)
            rows, columns = sizes[-4] * sizes[-3], sizes[-2] * sizes[-1]
            return array.reshape(wide, array.concat([sizes[:-4], array.stack([rows, columns])], 0))

        return functools.reduce(product, [o._dense() for o in self.operators])


class LinearOperatorBlockDiag(LinearOperator):
    """The matrix with `operators` as blocks on its diagonal."""

    _tensors = ("operators",)

    def __init__(
        self, operators: Sequence[LinearOperator], is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = True, name: str | None = None,
    ) -> None:  # fmt: skip
        self.operators = _checked(operators, "LinearOperatorBlockDiag")
        given = (is_non_singular, is_self_adjoint, is_positive_definite)
        hints = _filled(given, self.operators)
        name = name or "_ds_".join(o.name for o in self.operators)
        super().__init__(self.operators[0].dtype, is_square=is_square, name=name, **hints)

    @property
    def shape(self) -> TensorShape:
        batch = functools.reduce(broadcast_shapes, [o.batch_shape for o in self.operators])
        sizes = []
        for axis in (-2, -1):
            known = [o.shape[axis] for o in self.operators]
            sizes.append(None if None in known else sum(known))
        return batch.concatenate(sizes)

    def _parts(self, x: Any, adjoint: bool, function: str) -> Any:
        rows = -2 if (function == "_solve") != adjoint else -1
        sizes = [o.shape_tensor()[rows] for o in self.operators]
        pieces = array.split(x, array.stack(sizes), axis=-2, num=len(sizes))
        made = [getattr(o, function)(p, adjoint) for o, p in zip(self.operators, pieces)]
        return array.concat(one_batch(made), -2)

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        return self._parts(x, adjoint, "_matmul")

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return self._parts(rhs, adjoint, "_solve")

    def _dense(self) -> Any:
        columns = self.shape[-1] if self.shape[-1] is not None else functools.reduce(
            math.add, [o.shape_tensor()[-1] for o in self.operators]
        )  # fmt: skip
        return self._matmul(grids.eye(columns, dtype=self.dtype), False)

    def determinant(self, name: str = "det") -> Any:
        return functools.reduce(math.multiply, [o.determinant() for o in self.operators])

    def log_abs_determinant(self, name: str = "log_abs_det") -> Any:
        return functools.reduce(math.add, [o.log_abs_determinant() for o in self.operators])


def one_batch(parts: list[Any]) -> list[Any]:
    """Matrices with their batch axes broadcast against each other."""
    batch = array.shape(parts[0])[:-2]
    for p in parts[1:]:
        batch = array.broadcast_dynamic_shape(batch, array.shape(p)[:-2])
    return [array.broadcast_to(p, array.concat([batch, array.shape(p)[-2:]], 0)) for p in parts]


class LinearOperatorLowRankUpdate(LinearOperator):
    """`base_operator` + u diag(diag_update) v^H, with u and v [batch..., n, k]; v is u by default.

    Args:
      diag_update: [batch..., k], ones by default.
    """

    _tensors = ("base_operator", "u", "diag_update", "v")

    def __init__(
        self, base_operator: LinearOperator, u: Any, diag_update: Any = None, v: Any = None,
        is_diag_update_positive: bool | None = None, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorLowRankUpdate",
    ) -> None:  # fmt: skip
        self.base_operator, self.u = base_operator, _at_least(u, 2, "u")
        self.v = self.u if v is None else _at_least(v, 2, "v")
        self.diag_update = None if diag_update is None else _at_least(diag_update, 1, "diag_update")
        self.is_diag_update_positive = is_diag_update_positive or diag_update is None
        same = v is None and base_operator.is_self_adjoint
        if same and is_self_adjoint is None and not base_operator.dtype.is_complex:
            is_self_adjoint = True
        if same and base_operator.is_positive_definite and self.is_diag_update_positive:
            is_positive_definite = True
        super().__init__(base_operator.dtype, is_non_singular, is_self_adjoint,
                         is_positive_definite, is_square, name)  # fmt: skip

    @property
    def diag_operator(self) -> LinearOperator:
        """The operator between u and v."""
        if self.diag_update is not None:
            return LinearOperatorDiag(self.diag_update)
        return LinearOperatorDiag(array.ones(array.shape(self.u)[-1:], self.dtype))

    @property
    def shape(self) -> TensorShape:
        base, u, v = self.base_operator.shape, self.u.shape, self.v.shape
        batch = broadcast_shapes(broadcast_shapes(base[:-2], u[:-2]), v[:-2])
        return batch.concatenate(base[-2:])

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        left, right = convert_to_tensor(self.u), convert_to_tensor(self.v)
        if adjoint:
            left, right = right, left
        inner = self.diag_operator._matmul(linalg.matmul(right, x, adjoint_a=True), adjoint)
        return self.base_operator._matmul(x, adjoint) + linalg.matmul(left, inner)

    def _dense(self) -> Any:
        left = convert_to_tensor(self.u)
        scaled = self.diag_operator._matmul(
            matrix_parts.matrix_transpose(conj(convert_to_tensor(self.v))), False
        )
        return self.base_operator._dense() + linalg.matmul(left, scaled)

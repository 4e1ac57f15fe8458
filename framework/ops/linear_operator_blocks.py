"""`tf.linalg.LinearOperatorBlockLowerTriangular`: blocks on and below the diagonal."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from shardtape.ops import array, math
from shardtape.ops.linear_operator_products import one_batch
from shardtape.ops.linear_operators import LinearOperator
from shardtape.shapes import TensorShape, broadcast_shapes


class LinearOperatorBlockLowerTriangular(LinearOperator):
    """The matrix of blocks `operators[i][j]`, j <= i; the blocks above the diagonal are zero.

    Args:
      operators: row by row, one more in each row; the last of a row is square.

    Raises:
      ValueError: rows of other lengths, or blocks whose sizes do not fit.
      TypeError: several dtypes.
    """

    _tensors = ("operators",)

    def __init__(
        self, operators: Sequence[Sequence[LinearOperator]], is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorBlockLowerTriangular",
    ) -> None:  # fmt: skip
        rows = [list(row) for row in operators]
        for i, row in enumerate(rows):
            if len(row) != i + 1:
                raise ValueError(
                    f"The argument `operators` must have {i + 1} blocks in row {i}, got {len(row)}"
                )
        if not rows:
            raise ValueError("The argument `operators` must have at least one row.")
        flat = [block for row in rows for block in row]
        for i, row in enumerate(rows):
            _check_row(i, row, [r[-1] for r in rows])
        if len({o.dtype for o in flat}) > 1:
            names = ", ".join(f"{o.name}: {o.dtype.name}" for o in flat)
            raise TypeError(f"Expected all operators to have the same dtype. Found {names}")
        if is_square is False:
            raise ValueError("A block lower triangular operator is square")
        if is_non_singular is None and all(r[-1].is_non_singular for r in rows):
            is_non_singular = True
        self.operators = rows
        super().__init__(flat[0].dtype, is_non_singular, is_self_adjoint, is_positive_definite,
                         True, name)  # fmt: skip

    @property
    def _diagonal_operators(self) -> list[LinearOperator]:
        return [row[-1] for row in self.operators]

    @property
    def shape(self) -> TensorShape:
        batch = functools.reduce(
            broadcast_shapes, [o.batch_shape for row in self.operators for o in row]
        )
        known = [o.shape[-1] for o in self._diagonal_operators]
        size = None if None in known else sum(known)
        return batch.concatenate([size, size])

    def _pieces(self, x: Any) -> list[Any]:
        sizes = array.stack([o.shape_tensor()[-1] for o in self._diagonal_operators])
        return array.split(x, sizes, axis=-2, num=len(self.operators))

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        pieces = self._pieces(x)
        count = len(pieces)
        made = []
        for i in range(count):
            # row i of the matrix, or of its conjugate transpose
            blocks = (
                [self.operators[j][i] for j in range(i, count)] if adjoint else self.operators[i]
            )
            parts = pieces[i:] if adjoint else pieces[: i + 1]
            products = [o._matmul(p, adjoint) for o, p in zip(blocks, parts)]
            made.append(functools.reduce(math.add, products))
        return array.concat(one_batch(made), -2)

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        pieces = self._pieces(rhs)
        count = len(pieces)
        order = range(count - 1, -1, -1) if adjoint else range(count)
        found: dict[int, Any] = {}
        for i in order:
            left = pieces[i]
            for j, solved in found.items():
                block = self.operators[j][i] if adjoint else self.operators[i][j]
                left = left - block._matmul(solved, adjoint)
            found[i] = self.operators[i][-1]._solve(left, adjoint)
        return array.concat(one_batch([found[i] for i in range(count)]), -2)

    def _dense(self) -> Any:
        whole = self.shape_tensor()
        batch, rows = whole[:-2], []
        for i, row in enumerate(self.operators):
            blocks = [
                array.broadcast_to(o._dense(), array.concat([batch, o.shape_tensor()[-2:]], 0))
                for o in row
            ]
            for above in self._diagonal_operators[i + 1 :]:
                sizes = array.stack([row[-1].shape_tensor()[-2], above.shape_tensor()[-1]])
                blocks.append(array.zeros(array.concat([batch, sizes], 0), self.dtype))
            rows.append(array.concat(blocks, -1))
        return array.concat(rows, -2)

    def _diagonal(self) -> Any:
        parts = [o._diagonal()[..., None] for o in self._diagonal_operators]
        return array.squeeze(array.concat(one_batch(parts), -2), [-1])

    def determinant(self, name: str = "det") -> Any:
        return functools.reduce(math.multiply, [o.determinant() for o in self._diagonal_operators])

    def log_abs_determinant(self, name: str = "log_abs_det") -> Any:
        return functools.reduce(
            math.add, [o.log_abs_determinant() for o in self._diagonal_operators]
        )

    def eigvals(self, name: str = "eigvals") -> Any:
        parts = [o.eigvals()[..., None] for o in self._diagonal_operators]
        return array.squeeze(array.concat(one_batch(parts), -2), [-1])


def _check_row(i: int, row: list[LinearOperator], diagonal: list[LinearOperator]) -> None:
    for j, block in enumerate(row):
        fits = block.shape[-2:-1].is_compatible_with(diagonal[i].shape[-2:-1])
        fits = fits and block.shape[-1:].is_compatible_with(diagonal[j].shape[-1:])
        if not fits:
            raise ValueError(
                f"the block in row {i} and column {j} has shape {block.shape}: it needs the rows "
                f"of {diagonal[i].shape} and the columns of {diagonal[j].shape}"
            )


__all__ = ["LinearOperatorBlockLowerTriangular"]

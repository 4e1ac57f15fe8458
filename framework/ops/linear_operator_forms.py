"""Operators of a form: zeros, reflections, permutations, Toeplitz, tridiagonal and circulant."""

from __future__ import annotations

from typing import Any

from shardtape import dtypes as dt
from shardtape.ops import array, fourier, grids, linalg, math, matrix_parts, reduce
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import conj
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.linear_operators import LinearOperator, _at_least
from shardtape.shapes import TensorShape, broadcast_shapes


class LinearOperatorZeros(LinearOperator):
    """Zeros of `num_rows` rows (and `num_columns`, by default as many)."""

    def add_to_tensor(  # type: ignore[override]  # TensorFlow's name of the argument differs
        self, mat: Any, name: str | None = "add_to_tensor"
    ) -> Any:
        """The matrix plus `mat`."""
        return super().add_to_tensor(mat, name=name)

    def __init__(
        self, num_rows: int, num_columns: int | None = None, batch_shape: Any = None,
        dtype: Any = None, is_non_singular: bool | None = False,
        is_self_adjoint: bool | None = True, is_positive_definite: bool | None = False,
        is_square: bool | None = True, assert_proper_shapes: bool = False,
        name: str = "LinearOperatorZeros",
    ) -> None:  # fmt: skip
        columns = num_rows if num_columns is None else num_columns
        if is_self_adjoint is False and columns == num_rows:
            raise ValueError("A zero operator is always self adjoint.")
        if is_non_singular is not False:
            raise ValueError("A zero operator is always singular.")
        if is_positive_definite is not False:
            raise ValueError("A zero operator is always not positive-definite.")
        batch = list(TensorShape(batch_shape if batch_shape is not None else []))
        self._sizes = TensorShape([*batch, int(num_rows), int(columns)])
        square = columns == num_rows
        super().__init__(dt.float32 if dtype is None else dt.as_dtype(dtype), False,
                         True if square else None, False, is_square and square, name)  # fmt: skip

    @property
    def shape(self) -> TensorShape:
        return self._sizes

    def _dense(self) -> Any:
        return array.zeros(self._sizes.as_list(), self.dtype)

    def determinant(self, name: str = "det") -> Any:
        return array.zeros(self._sizes[:-2].as_list(), self.dtype, name=name)


class LinearOperatorHouseholder(LinearOperator):
    """The reflection I - 2 v v^H / |v|^2 at `reflection_axis` v [batch..., n]."""

    _tensors = ("reflection_axis",)

    def __init__(
        self, reflection_axis: Any, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorHouseholder",
    ) -> None:  # fmt: skip
        for value, what in ((is_self_adjoint, "self adjoint"), (is_non_singular, "non-singular"),
                            (is_square, "square")):  # fmt: skip
            if value is False:
                raise ValueError(f"A Householder operator is always {what}.")
        if is_positive_definite is True:
            raise ValueError("A Householder operator is always non-positive definite.")
        self.reflection_axis = _at_least(reflection_axis, 1, "reflection_axis")
        super().__init__(self.reflection_axis.dtype, True, True, False, True, name)

    @property
    def shape(self) -> TensorShape:
        return self.reflection_axis.shape.concatenate(self.reflection_axis.shape[-1:])

    def _unit(self) -> Any:
        v = convert_to_tensor(self.reflection_axis)
        length = math.sqrt(reduce.reduce_sum(math.square(math.abs(v)), -1, keepdims=True))
        return array.expand_dims(v / cast(length, self.dtype), -1)

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        v = self._unit()
        return x - 2 * linalg.matmul(v, linalg.matmul(v, x, adjoint_a=True))

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return self._matmul(rhs, adjoint)

    def _dense(self) -> Any:
        size = array.shape(self.reflection_axis)[-1]
        return self._matmul(grids.eye(size, dtype=self.dtype), False)

    def inverse(self, name: str = "inverse") -> LinearOperator:
        return self

    def determinant(self, name: str = "det") -> Any:
        return math.negative(array.ones(array.shape(self.reflection_axis)[:-1], self.dtype))

    def log_abs_determinant(self, name: str = "log_abs_det") -> Any:
        return array.zeros(array.shape(self.reflection_axis)[:-1], self.dtype)


class LinearOperatorPermutation(LinearOperator):
    """Row i of the product is row `perm[i]` of the argument; `perm` int [batch..., n]."""

    _tensors = ("perm",)

    def __init__(
        self, perm: Any, dtype: Any = dt.float32, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorPermutation",
    ) -> None:  # fmt: skip
        if is_non_singular is False or is_square is False:
            raise ValueError("A Permutation operator is always non-singular and square.")
        self.perm = convert_to_tensor(perm)
        if not self.perm.dtype.is_integer:
            raise TypeError(f"Argument `perm` must be integers, got {self.perm.dtype.name}")
        super().__init__(dtype, True, is_self_adjoint, is_positive_definite, True, name)

    @property
    def shape(self) -> TensorShape:
        return self.perm.shape.concatenate(self.perm.shape[-1:])

    def _dense(self) -> Any:
        return grids.one_hot(self.perm, array.shape(self.perm)[-1], dtype=self.dtype)

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        return self._matmul(rhs, not adjoint)

    def log_abs_determinant(self, name: str = "log_abs_det") -> Any:
        return array.zeros(array.shape(self.perm)[:-1], self.dtype)


class LinearOperatorToeplitz(LinearOperator):
    """Equal entries along each diagonal: the first column `col` and row `row`, [batch..., n]."""

    _tensors = ("col", "row")

    def __init__(
        self, col: Any, row: Any, is_non_singular: bool | None = None,
        is_self_adjoint: bool | None = None, is_positive_definite: bool | None = None,
        is_square: bool | None = None, name: str = "LinearOperatorToeplitz",
    ) -> None:  # fmt: skip
        if is_square is False:
            raise ValueError("Only square Toeplitz operators currently supported.")
        self.col, self.row = _at_least(col, 1, "col"), _at_least(row, 1, "row")
        super().__init__(self.row.dtype, is_non_singular, is_self_adjoint, is_positive_definite,
                         True, name)  # fmt: skip

    @property
    def shape(self) -> TensorShape:
        made = broadcast_shapes(self.row.shape, self.col.shape)
        return made.concatenate(made[-1:])

    def _dense(self) -> Any:
        row, col = convert_to_tensor(self.row), convert_to_tensor(self.col)
        size = array.shape(row)[-1]
        batch = array.broadcast_dynamic_shape(array.shape(row), array.shape(col))
        row, col = array.broadcast_to(row, batch), array.broadcast_to(col, batch)
        # the diagonals from the last of the row to the last of the column, one behind the other
        line = array.concat([array.reverse(row, [-1]), col[..., 1:]], -1)
        places = array.range(size)
        offset = array.expand_dims(places, 1) - array.expand_dims(places, 0)
        return array.gather(line, offset + size - 1, axis=-1)


class LinearOperatorTridiag(LinearOperator):
    """A tridiagonal matrix.

    Args:
      diagonals: "compact" [batch..., 3, n] (above, main, below; the last of above and the first
        of below do not count), "sequence" (a list of the three, [batch..., n] each) or "matrix"
        [batch..., n, n].
    """

    _tensors = ("diagonals",)

    def __init__(
        self, diagonals: Any, diagonals_format: str = "compact",
        is_non_singular: bool | None = None, is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None, is_square: bool | None = None,
        name: str = "LinearOperatorTridiag",
    ) -> None:  # fmt: skip
        if diagonals_format not in ("compact", "sequence", "matrix"):
            raise ValueError(
                "Argument `diagonals_format` must be one of compact, matrix, or sequence. "
                f"Found: {diagonals_format}"
            )
        self.diagonals_format = diagonals_format
        if diagonals_format == "sequence":
            self.diagonals: Any = [_at_least(d, 1, "diagonals") for d in diagonals]
            kind = self.diagonals[0].dtype
        else:
            self.diagonals = _at_least(diagonals, 2, "diagonals")
            kind = self.diagonals.dtype
        super().__init__(kind, is_non_singular, is_self_adjoint, is_positive_definite, True, name)

    @property
    def shape(self) -> TensorShape:
        if self.diagonals_format == "matrix":
            return self.diagonals.shape
        if self.diagonals_format == "compact":
            line = self.diagonals.shape[:-2].concatenate(self.diagonals.shape[-1:])
        else:
            line = broadcast_shapes(*[d.shape for d in self.diagonals])
        return line.concatenate(line[-1:])

    def _dense(self) -> Any:
        if self.diagonals_format == "matrix":
            return convert_to_tensor(self.diagonals)
        if self.diagonals_format == "sequence":
            above, main, below = [convert_to_tensor(d) for d in self.diagonals]
        else:
            above, main, below = array.unstack(self.diagonals, 3, axis=-2)
        return (
            matrix_parts.matrix_diag(above[..., :-1], k=1)
            + matrix_parts.matrix_diag(main)
            + matrix_parts.matrix_diag(below[..., 1:], k=-1)
        )


class _Circulant(LinearOperator):
    """Diagonal in the Fourier basis over the last `_depth` axes of the spectrum."""

    _tensors = ("spectrum",)
    _depth = 1

    def __init__(
        self, spectrum: Any, input_output_dtype: Any = dt.complex64,
        is_non_singular: bool | None = None, is_self_adjoint: bool | None = None,
        is_positive_definite: bool | None = None, is_square: bool | None = True,
        name: str | None = None,
    ) -> None:  # fmt: skip
        self.spectrum = _at_least(spectrum, self._depth, "spectrum")
        if not self.spectrum.dtype.is_complex and is_self_adjoint is False:
            raise ValueError("A real spectrum always corresponds to a self-adjoint operator.")
        if not self.spectrum.dtype.is_complex:
            is_self_adjoint = True
        if is_square is False:
            raise ValueError(f"A {type(self).__name__} operator is always square.")
        super().__init__(input_output_dtype, is_non_singular, is_self_adjoint,
                         is_positive_definite, True, name or type(self).__name__)  # fmt: skip

    @property
    def shape(self) -> TensorShape:
        sizes = self.spectrum.shape
        block = sizes[-self._depth :].num_elements()
        return sizes[: -self._depth].concatenate([block, block])

    @property
    def block_depth(self) -> int:
        """Axes of the spectrum: 1, 2 or 3."""
        return self._depth

    @property
    def block_shape(self) -> TensorShape:
        return self.spectrum.shape[-self._depth :]

    def block_shape_tensor(self) -> Any:
        return array.shape(self.spectrum)[-self._depth :]

    def convolution_kernel(self, name: str = "convolution_kernel") -> Any:
        """The vector whose convolution the operator is: the spectrum transformed back."""
        wide = dt.complex128 if self.dtype in (dt.float64, dt.complex128) else dt.complex64
        back = {1: fourier.ifft, 2: fourier.ifft2d, 3: fourier.ifft3d}[self._depth]
        return cast(back(cast(self.spectrum, wide)), self.dtype)

    def _scaled(self, x: Any, factor: Any) -> Any:
        """The Fourier transform of the columns of x times `factor`, transformed back."""
        wide = dt.complex128 if self.dtype in (dt.float64, dt.complex128) else dt.complex64
        forward, back = {
            1: (fourier.fft, fourier.ifft),
            2: (fourier.fft2d, fourier.ifft2d),
            3: (fourier.fft3d, fourier.ifft3d),
        }[self._depth]
        columns = matrix_parts.matrix_transpose(cast(x, wide))
        sizes = array.shape(columns)
        block = array.shape(factor)[-self._depth :]
        spread = array.reshape(columns, array.concat([sizes[:-1], block], 0))
        factor = array.expand_dims(cast(factor, wide), -self._depth - 1)
        made = back(forward(spread) * factor)
        flat = array.concat([array.shape(made)[: -self._depth], sizes[-1:]], 0)
        return cast(matrix_parts.matrix_transpose(array.reshape(made, flat)), self.dtype)

    def _matmul(self, x: Any, adjoint: bool) -> Any:
        spectrum = convert_to_tensor(self.spectrum)
        return self._scaled(x, conj(spectrum) if adjoint else spectrum)

    def _solve(self, rhs: Any, adjoint: bool) -> Any:
        spectrum = convert_to_tensor(self.spectrum)
        return self._scaled(rhs, 1 / (conj(spectrum) if adjoint else spectrum))

    def _dense(self) -> Any:
        size = reduce.reduce_prod(array.shape(self.spectrum)[-self._depth :])
        return self._matmul(grids.eye(size, dtype=self.dtype), False)

    def _axes(self) -> list[int]:
        return list(range(-self._depth, 0))

    def determinant(self, name: str = "det") -> Any:
        return cast(reduce.reduce_prod(self.spectrum, self._axes()), self.dtype, name)

    def log_abs_determinant(self, name: str = "log_abs_det") -> Any:
        logs = math.log(math.abs(convert_to_tensor(self.spectrum)))
        return cast(reduce.reduce_sum(logs, self._axes()), self.dtype, name)


class LinearOperatorCirculant(_Circulant):
    """The circulant matrix whose eigenvalues are `spectrum` [batch..., n].

    Args:
      input_output_dtype: of arguments and products; a real one drops imaginary parts.
    """


class LinearOperatorCirculant2D(_Circulant):
    """Circulant blocks in a circulant order: eigenvalues `spectrum` [batch..., n0, n1]."""

    _depth = 2


class LinearOperatorCirculant3D(_Circulant):
    """As LinearOperatorCirculant2D over three axes: `spectrum` [batch..., n0, n1, n2]."""

    _depth = 3

"""Diagonals of matrices, one or a band of several; the last two axes are the matrix.

A band `k = (low, high)` has one row for each diagonal, the highest first. Diagonals that are
shorter than the longest are padded on the side that `align` leaves: "RIGHT_LEFT" moves those above
the main diagonal to the right and those below to the left.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.reduce import reduce_sum
from shardtape.ops.registry import Arg, op, same_as
from shardtape.ops.shape_rules import known_int, known_ints
from shardtape.shapes import UNKNOWN, TensorShape
from shardtape.tensor import Tensor

_NUMBERS = dt.NUMERIC | dt.BOOL
ALIGNMENTS = ("LEFT_RIGHT", "RIGHT_LEFT", "LEFT_LEFT", "RIGHT_RIGHT")


# ---- where the elements of a band lie ---------------------------------------------------------
def _band_of(k: Any) -> tuple[int, int]:
    values = [int(v) for v in np.asarray(k).reshape(-1)]
    if not 1 <= len(values) <= 2:
        raise ValueError(f"`k` is one diagonal or (lowest, highest), got {values}")
    low, high = values[0], values[-1]
    if low > high:
        raise ValueError(f"`k` = ({low}, {high}): the lowest diagonal is above the highest")
    return low, high


def _known_band(k: Arg) -> tuple[int, int] | None:
    values = known_ints(k)
    if not values or None in values or len(values) > 2:
        return None
    return values[0], values[-1]  # type: ignore[return-value]


def _length(rows: int, columns: int, k: int) -> int:
    """How many elements diagonal `k` of a matrix has."""
    return min(rows - max(-k, 0), columns - max(k, 0))


def _longest(rows: int, columns: int, low: int, high: int) -> int:
    return min(rows + min(high, 0), columns - max(low, 0))


def _inside(low: int, high: int, rows: int, columns: int) -> None:
    """Raises ValueError unless a matrix of this size has these diagonals."""
    for k in (low, high):
        if k and not -rows < k < columns:
            raise ValueError(f"diagonal {k} does not lie in a matrix of {rows} x {columns}")


def _places(
    xp: Any, low: int, high: int, rows: int, columns: int, align: str
) -> tuple[Any, Any, Any, Any]:
    """Of all elements of a band: rows and columns in the matrix, and in the packed diagonals."""
    longest = _longest(rows, columns, low, high)
    parts: list[list[np.ndarray]] = [[], [], [], []]
    for row, k in enumerate(range(high, low - 1, -1)):
        n = max(_length(rows, columns, k), 0)
        step = np.arange(n)
        above, below = align.split("_")
        left = (k >= 0 and above == "LEFT") or (k <= 0 and below == "LEFT")
        found = (
            step + max(-k, 0), step + max(k, 0), np.full(n, row),
            step + (0 if left else longest - n),
        )  # fmt: skip
        for part, values in zip(parts, found):
            part.append(values)
    i, j, row, place = (xp.asarray(np.concatenate(part)) for part in parts)
    return i, j, row, place


def _checked(align: str) -> str:
    if align not in ALIGNMENTS:
        raise ValueError(f"`align` must be one of {', '.join(ALIGNMENTS)}, got {align!r}")
    return align


# ---- diagonals to matrices --------------------------------------------------------------------
def _diag_shape(diagonal: Arg, k: Arg, rows: Arg, columns: Arg, padding: Arg, **a: Any) -> Any:
    if diagonal.shape.rank is None:
        return UNKNOWN
    band = _known_band(k)
    if band is None and k.shape.rank != 0:
        return UNKNOWN
    batch = diagonal.shape[:-1] if band is None or band[0] == band[1] else diagonal.shape[:-2]
    n = diagonal.shape[-1]
    if band is None or n is None:
        return batch.concatenate([None, None])
    return batch.concatenate(_diag_sizes(n, *band, known_int(rows), known_int(columns)))


def _diag_sizes(
    n: int, low: int, high: int, rows: int | None, columns: int | None
) -> tuple[Any, Any]:
    """Rows and columns of the matrix whose band's longest diagonal has n elements; -1: the least.

    None is a size that is not known.
    """
    least_rows, least_columns = n - min(high, 0), n + max(low, 0)
    if rows in (None, -1) and columns in (None, -1):
        side = max(least_rows, least_columns)
        return (None, None) if rows is None or columns is None else (side, side)
    r = least_rows if rows == -1 else rows
    c = least_columns if columns == -1 else columns
    return r, c


def _fixed(*values: Any) -> list[Any]:
    return [np.array(v, np.int32) for v in values]


@op(
    "MatrixDiagV3",
    dtypes=_NUMBERS,
    widen=False,
    host=("k", "num_rows", "num_cols"),
    shape=_diag_shape,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3)), *_fixed(0, -1, -1), rng.normal(size=())), {}),
        ((rng.normal(size=(3,)), *_fixed(1, -1, -1), rng.normal(size=())), {}),
        ((rng.normal(size=(2,)), *_fixed(-1, 3, 4), rng.normal(size=())), {}),
        ((rng.normal(size=(2, 3, 3)), *_fixed([-1, 1], -1, -1), rng.normal(size=())), {}),
        ((rng.normal(size=(2, 3)), *_fixed([-2, -1], 4, -1), rng.normal(size=())),
         {"align": "LEFT_RIGHT"}),
        ((rng.normal(size=(3, 3)), *_fixed([-1, 1], -1, 4), rng.normal(size=())),
         {"align": "RIGHT_RIGHT"}),
        ((rng.normal(size=(2, 3)), *_fixed([1, 2], -1, -1), rng.normal(size=())),
         {"align": "LEFT_LEFT"}),
    ],
)  # fmt: skip
def matrix_diag_op(xp, diagonal, k, num_rows, num_cols, padding_value, *, align="RIGHT_LEFT"):
    """Matrices with `diagonal` on the diagonals `k` and `padding_value` elsewhere.

    `diagonal` is [..., n], or [..., diagonals, n] for a band of several.
    """
    low, high = _band_of(k)
    n, batch = diagonal.shape[-1], diagonal.shape[: -1 if low == high else -2]
    if low != high and (diagonal.ndim < 2 or diagonal.shape[-2] != high - low + 1):
        raise ValueError(
            f"`diagonal` has shape {diagonal.shape}: the band `k` = ({low}, {high}) takes "
            f"{high - low + 1} rows"
        )
    rows, columns = _diag_sizes(n, low, high, int(num_rows), int(num_cols))
    if n != _longest(rows, columns, low, high):
        raise ValueError(
            f"diagonals {low} to {high} of {n} elements do not fit a matrix of {rows} x {columns}"
        )
    i, j, row, place = _places(xp, low, high, rows, columns, _checked(align))
    out = xp.full((*batch, rows, columns), padding_value, diagonal.dtype)
    out[..., i, j] = diagonal.reshape(*batch, high - low + 1, n)[..., row, place]
    return out


@matrix_diag_op.gradient
def _(g, _y, _diagonal, k, _rows, _columns, padding, *, align):
    part = matrix_diag_part_op(g, k, zeros_like_op(padding), align=align)
    return part, reduce_sum(g) - reduce_sum(part)


# ---- matrices to diagonals --------------------------------------------------------------------
def _part_shape(input: Arg, k: Arg, padding: Arg, **attrs: Any) -> TensorShape:
    if input.shape.rank is None:
        return UNKNOWN
    band, (rows, columns) = _known_band(k), input.shape[-2:]
    if band is None:
        return input.shape[:-2].concatenate([None]) if k.shape.rank == 0 else UNKNOWN
    low, high = band
    count = [] if low == high else [high - low + 1]
    known = rows is not None and columns is not None
    n = _longest(rows, columns, low, high) if known else None  # type: ignore[arg-type]
    return input.shape[:-2].concatenate([*count, n])


@op(
    "MatrixDiagPartV3",
    dtypes=_NUMBERS,
    widen=False,
    host=("k",),
    shape=_part_shape,
    samples=lambda rng: [
        ((rng.normal(size=(2, 3, 4)), *_fixed(0), np.zeros(())), {}),
        ((rng.normal(size=(3, 3)), *_fixed(-1), np.zeros(())), {}),
        ((rng.normal(size=(3, 4)), *_fixed(2), np.zeros(())), {}),
        *(
            ((rng.normal(size=(2, 3, 4)), *_fixed(k), np.array(2.0)), {"align": align})
            for k, align in zip(([-1, 2], [-2, -1], [1, 3], [-2, 3]), ALIGNMENTS)
        ),
    ],
)
def matrix_diag_part_op(xp, input, k, padding_value, *, align="RIGHT_LEFT"):
    """The diagonals `k` of matrices: [..., n], or [..., diagonals, n] for a band of several."""
    low, high = _band_of(k)
    rows, columns = input.shape[-2:]
    _inside(low, high, rows, columns)
    i, j, row, place = _places(xp, low, high, rows, columns, _checked(align))
    if low == high:
        return input[..., i, j]
    n = _longest(rows, columns, low, high)
    out = xp.full((*input.shape[:-2], high - low + 1, n), padding_value, input.dtype)
    out[..., row, place] = input[..., i, j]
    return out


@matrix_diag_part_op.gradient
def _(g, _y, input, k, padding, *, align):
    spread = matrix_set_diag_op(zeros_like_op(input), g, k, align=align)
    return spread, reduce_sum(g) - reduce_sum(spread)


# ---- matrices with other diagonals ------------------------------------------------------------
@op(
    "MatrixSetDiagV3",
    dtypes=_NUMBERS,
    widen=False,
    host=("k",),
    shape=same_as(0),
    samples=lambda rng: [
        ((rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 3)), *_fixed(0)), {}),
        ((rng.normal(size=(3, 3)), rng.normal(size=(2,)), *_fixed(1)), {}),
        ((rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 4, 3)), *_fixed([-1, 2])),
         {"align": "LEFT_RIGHT"}),
        ((rng.normal(size=(3, 4)), rng.normal(size=(2, 2)), *_fixed([-2, -1])), {}),
    ],
)  # fmt: skip
def matrix_set_diag_op(xp, input, diagonal, k, *, align="RIGHT_LEFT"):
    """`input` with `diagonal` on the diagonals `k` of its matrices."""
    low, high = _band_of(k)
    rows, columns = input.shape[-2:]
    _inside(low, high, rows, columns)
    n = _longest(rows, columns, low, high)
    wanted = (*input.shape[:-2], *([] if low == high else [high - low + 1]), n)
    if diagonal.shape != wanted:
        raise ValueError(f"`diagonal` must have shape {wanted}, got {diagonal.shape}")
    i, j, row, place = _places(xp, low, high, rows, columns, _checked(align))
    out = input.copy()
    packed = diagonal.reshape(*input.shape[:-2], high - low + 1, n)
    out[..., i, j] = packed[..., row, place]
    return out


@matrix_set_diag_op.gradient
def _(g, _y, _input, diagonal, k, *, align):
    zero = zeros_like_op(diagonal)
    scalar = convert_to_tensor(0, g.dtype)
    return (
        matrix_set_diag_op(g, zero, k, align=align),
        matrix_diag_part_op(g, k, scalar, align=align),
    )


# ---- public functions -------------------------------------------------------------------------
def matrix_diag(
    diagonal: Any, name: str = "diag", k: Any = 0, num_rows: int = -1, num_cols: int = -1,
    padding_value: Any = 0, align: str = "RIGHT_LEFT",
) -> Tensor:  # fmt: skip
    """Matrices with `diagonal` on the diagonals `k`, `padding_value` elsewhere.

    Args:
      diagonal: [..., n]; for a band of several diagonals [..., diagonals, n], the highest first.
      k: a diagonal (0: the main one, above it positive), or (lowest, highest).
      num_rows, num_cols: of a matrix; -1: the least that fit, square if both are.
      align: on which side diagonals above and below are packed, like "RIGHT_LEFT".
    """
    x = convert_to_tensor(diagonal)
    fill = convert_to_tensor(padding_value, x.dtype)
    return matrix_diag_op(x, k, num_rows, num_cols, fill, align=align, name=name)


def matrix_diag_part(
    input: Any, name: str = "diag_part", k: Any = 0, padding_value: Any = 0,
    align: str = "RIGHT_LEFT",
) -> Tensor:  # fmt: skip
    """The diagonals `k` of matrices: [..., rows, columns] to [..., n].

    For a band `k` = (lowest, highest) it is [..., diagonals, n], the highest first, shorter ones
    with `padding_value` on the side that `align` leaves.
    """
    x = convert_to_tensor(input)
    fill = convert_to_tensor(padding_value, x.dtype)
    return matrix_diag_part_op(x, k, fill, align=align, name=name)


def matrix_set_diag(
    input: Any, diagonal: Any, name: str = "set_diag", k: Any = 0, align: str = "RIGHT_LEFT"
) -> Tensor:
    """`input` with `diagonal` on the diagonals `k` of its matrices, as `diag_part` packs them."""
    return matrix_set_diag_op(input, diagonal, k, align=align, name=name)

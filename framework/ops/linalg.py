"""Products of matrices and batches of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import state
from shardtape.ops.cast import cast
from shardtape.ops.complex_numbers import conj
from shardtape.ops.composites import override_of
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.registry import Arg, op
from shardtape.shapes import UNKNOWN, TensorShape, broadcast_shapes
from shardtape.tensor import EagerTensor, SymbolicTensor, Tensor

_TYPES = dt.FLOATING | dt.COMPLEX | {dt.int32, dt.int64}
_FLAGS = ((False, False), (False, True), (True, False), (True, True))


def _mat_mul_samples(rng: np.random.Generator) -> Any:
    cases = []
    for ta, tb in _FLAGS:
        a = rng.normal(size=(3, 2) if ta else (2, 3))
        b = rng.normal(size=(4, 3) if tb else (3, 4))
        cases.append(((a, b), {"transpose_a": ta, "transpose_b": tb}))
    return cases


def _mat_mul_shape(
    a: Arg, b: Arg, *, transpose_a: bool = False, transpose_b: bool = False
) -> TensorShape:
    for x in (a, b):
        if x.shape.rank not in (2, None):
            raise ValueError(f"Shape must be rank 2 but is rank {x.shape.rank} for 'MatMul'")
    rows, inner = (a.shape[::-1] if transpose_a else a.shape[:]) if a.shape.rank else (None, None)
    other, columns = (
        (b.shape[::-1] if transpose_b else b.shape[:]) if b.shape.rank else (None, None)
    )
    if inner is not None and other is not None and inner != other:
        raise ValueError(
            f"Dimensions must be equal, but are {inner} and {other} for 'MatMul' with input "
            f"shapes: {a.shape}, {b.shape}"
        )
    return TensorShape([rows, columns])


@op("MatMul", dtypes=_TYPES, shape=_mat_mul_shape, samples=_mat_mul_samples)
def mat_mul(xp, a, b, *, transpose_a=False, transpose_b=False):
    """[n, k] times [k, m] is [n, m]; each matrix is transposed first where its flag says so."""
    if a.ndim != 2 or b.ndim != 2:
        raise errors.InvalidArgumentError(
            f"In[0] and In[1] have different ndims or are no matrices: {list(a.shape)} vs. "
            f"{list(b.shape)} [Op:MatMul]"
        )
    try:
        return xp.dot(a.T if transpose_a else a, b.T if transpose_b else b)
    except ValueError:
        raise _mismatch(a, b, "MatMul") from None


def _mismatch(a: Any, b: Any, op_type: str) -> errors.OpError:
    return errors.InvalidArgumentError(
        f"Matrix size-incompatible: In[0]: {_sizes(a)}, In[1]: {_sizes(b)} [Op:{op_type}]"
    )


def _sizes(x: Any) -> str:
    return "[" + ",".join(map(str, x.shape)) + "]"


@mat_mul.writes_into()
def _(xp, out, a, b, *, transpose_a=False, transpose_b=False):
    xp.matmul(a.T if transpose_a else a, b.T if transpose_b else b, out=out)


@mat_mul.gradient
def _(g, _y, a, b, *, transpose_a, transpose_b):
    def left():
        other = conj(b)
        if transpose_a:
            return mat_mul(other, g, transpose_a=transpose_b, transpose_b=True)
        return mat_mul(g, other, transpose_a=False, transpose_b=not transpose_b)

    def right():
        other = conj(a)
        if transpose_b:
            return mat_mul(g, other, transpose_a=True, transpose_b=transpose_a)
        return mat_mul(other, g, transpose_a=not transpose_a, transpose_b=False)

    return left, right


# ---- batches ----------------------------------------------------------------------------------
def _batch_samples(rng: np.random.Generator) -> Any:
    cases = []
    for ax, ay in _FLAGS:
        x = rng.normal(size=(2, 3, 2) if ax else (2, 2, 3))
        y = rng.normal(size=(2, 4, 3) if ay else (2, 3, 4))
        cases.append(((x, y), {"adj_x": ax, "adj_y": ay}))
    cases.append(((rng.normal(size=(2, 1, 2, 3)), rng.normal(size=(3, 3, 2))), {}))
    return cases


def _batch_shape(x: Arg, y: Arg, *, adj_x: bool = False, adj_y: bool = False) -> TensorShape:
    a, b = x.shape, y.shape
    if a.rank is None or b.rank is None:
        return UNKNOWN
    if a.rank < 2 or b.rank < 2:
        raise ValueError(f"matmul needs matrices, got shapes {a} and {b}")
    rows, inner = (a[-1], a[-2]) if adj_x else (a[-2], a[-1])
    other, columns = (b[-1], b[-2]) if adj_y else (b[-2], b[-1])
    if inner is not None and other is not None and inner != other:
        raise ValueError(
            f"Dimensions must be equal, but are {inner} and {other} for 'BatchMatMulV2' with "
            f"input shapes: {a}, {b}"
        )
    return broadcast_shapes(a[:-2], b[:-2]).concatenate([rows, columns])


def _adjoint(xp: Any, x: Any) -> Any:
    x = x.swapaxes(-1, -2)
    return xp.conj(x) if x.dtype.kind == "c" else x


@op("BatchMatMulV2", dtypes=_TYPES, shape=_batch_shape, samples=_batch_samples)
def batch_mat_mul(xp, x, y, *, adj_x=False, adj_y=False):
    """[..., n, k] times [..., k, m] is [..., n, m]; leading axes broadcast.

    The flags stand for the conjugate transpose.
    """
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError("matmul needs matrices")
    try:
        return xp.matmul(_adjoint(xp, x) if adj_x else x, _adjoint(xp, y) if adj_y else y)
    except ValueError:
        raise _mismatch(x, y, "BatchMatMulV2") from None


@batch_mat_mul.writes_into()
def _(xp, out, x, y, *, adj_x=False, adj_y=False):
    xp.matmul(_adjoint(xp, x) if adj_x else x, _adjoint(xp, y) if adj_y else y, out=out)


@batch_mat_mul.gradient
def _(g, _y, x, y, *, adj_x, adj_y):
    def left():
        if adj_x:
            gx = batch_mat_mul(y, g, adj_x=adj_y, adj_y=True)
        else:
            gx = batch_mat_mul(g, y, adj_y=not adj_y)
        return _sum_batches(gx, x)

    def right():
        if adj_y:
            gy = batch_mat_mul(g, x, adj_x=True, adj_y=adj_x)
        else:
            gy = batch_mat_mul(x, g, adj_x=not adj_x)
        return _sum_batches(gy, y)

    return left, right


def _sum_batches(g: Any, x: Any) -> Any:
    from shardtape.ops.broadcasting import sum_to_shape_of

    return sum_to_shape_of(g, x)


# ---- public functions -------------------------------------------------------------------------
_TENSORS = (EagerTensor, SymbolicTensor)


def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: Any = None,
    grad_a: bool = False,
    grad_b: bool = False,
    name: str | None = None,
) -> Any:
    """The product of matrices, or of batches of them with leading axes that broadcast.

    Args:
      transpose_a, transpose_b: transpose the last two axes first.
      adjoint_a, adjoint_b: conjugate and transpose them.

    Raises:
      ValueError: both `transpose_a` and `adjoint_a` (or `_b`).
    """
    if transpose_a and adjoint_a or transpose_b and adjoint_b:
        which = "a" if transpose_a and adjoint_a else "b"
        raise ValueError(
            f"Only one of `transpose_{which}` and `adjoint_{which}` can be True. Received "
            f"`transpose_{which}`=True, `adjoint_{which}`=True."
        )
    if type(b) is not EagerTensor and state.graph is None and hasattr(b, "_as_operand"):
        b = b._as_operand()
    as_they_are = not (transpose_a or transpose_b or adjoint_a or adjoint_b or output_type)
    # what layers do all the time
    if as_they_are and type(a) is type(b) is EagerTensor and a._array.ndim == b._array.ndim == 2:
        return mat_mul(a, b, name=name)
    plain = type(a) in _TENSORS and type(b) in _TENSORS
    taken = None if plain else override_of("matmul", a) or override_of("matmul", b)
    if taken is not None:
        return taken(a, b, transpose_a, transpose_b, adjoint_a, adjoint_b)
    if type(a) is not EagerTensor and type(a) is not SymbolicTensor and not _read_by_node(a):
        a = convert_to_tensor(a, getattr(b, "dtype", None) if _plain(a) else None)
    if type(b) is not EagerTensor and type(b) is not SymbolicTensor and not _read_by_node(b):
        b = _beside(a, b)
    if output_type is not None:
        a, b = cast(a, output_type), cast(b, output_type)
    rank_a, rank_b = _rank(a), _rank(b)
    if rank_a == 2 and rank_b == 2:
        if adjoint_a:
            a, transpose_a = conj(a), True
        if adjoint_b:
            b, transpose_b = conj(b), True
        if not (transpose_a or transpose_b):
            return mat_mul(a, b, name=name)
        return mat_mul(
            a, b, transpose_a=bool(transpose_a), transpose_b=bool(transpose_b), name=name
        )
    if transpose_a:
        a, adjoint_a = conj(a), True
    if transpose_b:
        b, adjoint_b = conj(b), True
    return batch_mat_mul(a, b, adj_x=bool(adjoint_a), adj_y=bool(adjoint_b), name=name)


def _read_by_node(x: Any) -> bool:
    """A Variable that the node itself reads, in its own scope."""
    return state.graph is not None and hasattr(x, "_read_array") and x.shape.rank is not None


def _beside(a: Any, b: Any) -> Tensor:
    """The second operand as a tensor: of the first one's type, where it may be."""
    if isinstance(b, (np.ndarray, np.generic)):
        try:
            return convert_to_tensor(b, a.dtype)
        except (TypeError, ValueError):
            return convert_to_tensor(b)
    return convert_to_tensor(b, a.dtype if _plain(b) else None)


def _plain(x: Any) -> bool:
    return not isinstance(getattr(x, "dtype", None), (dt.DType, np.dtype))


def _rank(x: Any) -> int | None:
    return x._array.ndim if type(x) is EagerTensor else x.shape.rank


def matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """[..., n, k] times vectors [..., k] is [..., n]."""
    from shardtape.ops.shaping import expand_dims, squeeze

    column = expand_dims(b, -1)
    product = matmul(a, column, transpose_a=transpose_a, adjoint_a=adjoint_a)
    return squeeze(product, axis=-1, name=name)

"""Choosing elements by a condition: SelectV2 and the positions that hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape import errors
from shardtape.context import state
from shardtape.ops.choosing import choose
from shardtape.ops.composites import is_composite, takes_composites
from shardtape.ops.constants import DATA
from shardtape.ops.convert import convert_to_tensor
from shardtape.ops.filling import zeros_like_op
from shardtape.ops.registry import broadcast, op
from shardtape.shapes import TensorShape
from shardtape.tensor import EagerTensor, Tensor


def _selected_dtype(dtypes: Any, attrs: Any) -> dt.DType:
    if dtypes[0] is not dt.bool:
        raise errors.InvalidArgumentError(
            f"cannot compute SelectV2 as input #0(zero-based) was expected to be a bool tensor "
            f"but is a {dtypes[0].name} tensor [Op:SelectV2]"
        )
    if dtypes[1] is not dtypes[2]:
        raise errors.InvalidArgumentError(
            f"cannot compute SelectV2 as input #2(zero-based) was expected to be a "
            f"{dtypes[1].name} tensor but is a {dtypes[2].name} tensor [Op:SelectV2]"
        )
    return dtypes[1]


def _select_samples(rng: np.random.Generator) -> Any:
    return [
        ((rng.random((2, 3)) > 0.5, rng.normal(size=(2, 3)), rng.normal(size=(2, 3))), {}),
        ((rng.random((2, 1)) > 0.5, rng.normal(size=(3,)), rng.normal(size=())), {}),
    ]


@op(
    "SelectV2",
    dtypes=DATA,
    dtype=_selected_dtype,
    mixed=True,
    broadcasts=True,
    widen=False,
    shape=broadcast,
    samples=_select_samples,
)
def select(xp, condition, t, e):
    """Elements of `t` where `condition` (bool) holds, else of `e`; all three broadcast."""
    return choose(xp, condition, t, e)


@select.writes_into()
def _(xp, out, condition, t, e):
    choose(xp, condition, t, e, out)


@select.gradient
def _(g, _y, condition, _t, _e):
    zero = zeros_like_op(g)
    return None, select(condition, g, zero), select(condition, zero, g)


@op(
    "Where",
    dtypes=dt.NUMERIC | dt.BOOL,
    dtype=dt.int64,
    dynamic=True,
    widen=False,
    differentiable=False,
    shape=lambda condition: TensorShape([None, condition.shape.rank]),
    samples=lambda rng: [((rng.random((2, 3)) > 0.5,), {}), ((rng.normal(size=(4,)),), {})],
)
def where_op(xp, condition):
    """The positions of the elements that are not zero or False: int64 [count, rank]."""
    found = xp.nonzero(condition) if condition.ndim else xp.nonzero(condition.reshape(1))
    if not condition.ndim:
        return xp.zeros((found[0].shape[0], 0), np.int64)
    return xp.stack(found, 1)


@takes_composites
def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """`x` where `condition` holds, else `y`; without both the positions that hold.

    Raises ValueError where only one of `x` and `y` is given.
    """
    if x is None and y is None:
        return where_op(condition, name=name)
    if x is None or y is None:
        raise ValueError("x and y must both be non-None or both be None.")
    if type(x) is not EagerTensor or type(y) is not EagerTensor:
        # in a graph a number beside a tensor is left to the op, which names the constant
        if state.graph is None or _number(x) is _number(y):
            x, y = matching(x, y)
        elif _number(x):
            y = y if is_composite(y) else convert_to_tensor(y)
        else:
            x = x if is_composite(x) else convert_to_tensor(x)
    if type(condition) is not EagerTensor:
        condition = convert_to_tensor(condition, dt.bool)
    return select(condition, x, y, name=name)


def matching(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors; Python values and arrays take the dtype of a tensor beside them."""
    if _is_tensor(x) is not _is_tensor(y):
        if _is_tensor(x):
            x = x if is_composite(x) else convert_to_tensor(x)
            return x, convert_to_tensor(y, x.dtype)
        y = y if is_composite(y) else convert_to_tensor(y)
        return convert_to_tensor(x, y.dtype), y
    if not _typed(x) and _typed(y):
        y = y if is_composite(y) else convert_to_tensor(y)
        return convert_to_tensor(x, y.dtype), y
    x = x if is_composite(x) else convert_to_tensor(x)
    if isinstance(y, Tensor) or is_composite(y):
        return x, y
    return x, convert_to_tensor(y, None if _typed(y) else x.dtype)


def _is_tensor(value: Any) -> bool:
    """A tensor of any kind, or a Variable; no array of NumPy's."""
    return isinstance(getattr(value, "dtype", None), dt.DType)


def _number(value: Any) -> bool:
    return type(value) in (float, int, bool)


def _typed(value: Any) -> bool:
    return isinstance(getattr(value, "dtype", None), (dt.DType, np.dtype))

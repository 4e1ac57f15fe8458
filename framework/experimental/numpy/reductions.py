"""NumPy's reductions, running sums and orders on tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from shardtape import dtypes as dt
from shardtape import math as m
from shardtape.experimental.numpy import promotion
from shardtape.experimental.numpy.elementwise import isclose
from shardtape.experimental.numpy.types import array, inexact, promoted
from shardtape.ops import array as arrays
from shardtape.ops.cast import cast


def _plain(name: str, function: Callable[..., Any], kind: str = "same") -> Callable[..., Any]:
    """A reduction that takes no type."""
    whole = _reduction(name, function, kind)

    def reduced(a: Any, axis: Any = None, keepdims: bool | None = None) -> Any:
        return whole(a, axis, None, keepdims)

    reduced.__name__ = reduced.__qualname__ = name
    reduced.__doc__ = f"As `numpy.{name}`."
    return reduced


def _whole() -> tuple[dt.DType, dt.DType]:
    """The types in which whole numbers are added up: (signed, unsigned)."""
    return (dt.int32, dt.uint32) if promotion.is_on() else (dt.int64, dt.uint64)


def _without_out(name: str, out: Any) -> None:
    if out is not None:
        raise ValueError(f"{name} takes no `out`: tensors never change")


def _reduction(name: str, function: Callable[..., Any], kind: str = "same") -> Callable[..., Any]:
    def reduced(a: Any, axis: Any = None, dtype: Any = None, keepdims: bool | None = None) -> Any:
        x = array(a, dtype)
        if kind == "float" and not (x.dtype.is_floating or x.dtype.is_complex):
            x = inexact(x)
        wide = _whole()
        narrow = x.dtype is dt.bool or (x.dtype.is_integer and x.dtype.size < wide[0].size)
        if kind == "sum" and dtype is None and narrow:
            x = cast(x, wide[x.dtype.is_unsigned])
        if kind == "bool":
            x = cast(x, dt.bool)
        return function(x, axis, bool(keepdims))

    reduced.__name__ = reduced.__qualname__ = name
    reduced.__doc__ = f"As `numpy.{name}`."
    return reduced


sum = _reduction("sum", m.reduce_sum, "sum")
prod = _reduction("prod", m.reduce_prod, "sum")
max = _plain("max", m.reduce_max)
min = _plain("min", m.reduce_min)
all = _plain("all", m.reduce_all, "bool")
any = _plain("any", m.reduce_any, "bool")
_mean = _reduction("mean", m.reduce_mean, "float")


def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool | None = None
) -> Any:
    """As `numpy.mean`."""
    _without_out("mean", out)
    return _mean(a, axis, dtype, keepdims)


def amax(a: Any, axis: Any = None, out: Any = None, keepdims: bool | None = None) -> Any:
    """As `numpy.amax`."""
    _without_out("amax", out)
    return max(a, axis, keepdims)


def amin(a: Any, axis: Any = None, out: Any = None, keepdims: bool | None = None) -> Any:
    """As `numpy.amin`."""
    _without_out("amin", out)
    return min(a, axis, keepdims)


nansum = _reduction("nansum", lambda x, a, k: m.reduce_sum(_without_nan(x, 0), a, k), "sum")
nanprod = _reduction("nanprod", lambda x, a, k: m.reduce_prod(_without_nan(x, 1), a, k), "sum")


def _without_nan(x: Any, value: float) -> Any:
    if not x.dtype.is_floating:
        return x
    return arrays.where(m.is_nan(x), arrays.zeros_like(x) + value, x)


def nanmean(a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Any:
    """As `numpy.nanmean`."""
    x = inexact(array(a, dtype))
    there = cast(m.logical_not(m.is_nan(x)), x.dtype)
    return nansum(x, axis, keepdims=keepdims) / m.reduce_sum(there, axis, keepdims)


def var(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0,
        keepdims: bool = False) -> Any:  # fmt: skip
    """As `numpy.var`."""
    x = inexact(array(a, dtype))
    value = m.reduce_variance(x, axis, keepdims)
    if not ddof:
        return value
    count = cast(m.reduce_sum(arrays.ones_like(x), axis, keepdims), value.dtype)
    return value * count / (count - ddof)


def std(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """As `numpy.std`."""
    return m.sqrt(var(a, axis, keepdims=keepdims))


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False) -> Any:
    """As `numpy.average`."""
    x = inexact(a)
    if weights is None:
        made = m.reduce_mean(x, axis)
        total = m.reduce_sum(arrays.ones_like(x), axis)
        return (made, total) if returned else made
    x, w = promoted(x, weights)
    if w.shape.rank == 1 and x.shape.rank != 1:
        dims = [1] * x.shape.rank
        dims[axis] = -1
        w = arrays.reshape(w, dims)
    total = m.reduce_sum(w + arrays.zeros_like(x), axis)
    made = m.reduce_sum(x * w, axis) / total
    return (made, total) if returned else made


def count_nonzero(a: Any, axis: Any = None) -> Any:
    """As `numpy.count_nonzero`."""
    return m.count_nonzero(array(a), axis)


def ptp(a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest less the smallest."""
    return max(a, axis, keepdims=keepdims) - min(a, axis, keepdims=keepdims)


def _place(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def place(a: Any, axis: int | None = None) -> Any:
        x = array(a)
        return function(arrays.reshape(x, [-1]), 0) if axis is None else function(x, axis)

    place.__name__ = place.__qualname__ = name
    place.__doc__ = f"As `numpy.{name}`."
    return place


argmax, argmin = _place(m.argmax, "argmax"), _place(m.argmin, "argmin")


def _running(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def running(a: Any, axis: int | None = None, dtype: Any = None) -> Any:
        x = array(a, dtype)
        wide = _whole()[0]
        narrow = x.dtype.is_integer and x.dtype.size < wide.size
        if dtype is None and (x.dtype is dt.bool or narrow):
            x = cast(x, wide)
        return function(arrays.reshape(x, [-1]), 0) if axis is None else function(x, axis)

    running.__name__ = running.__qualname__ = name
    running.__doc__ = f"As `numpy.{name}`."
    return running


cumsum, cumprod = _running(m.cumsum, "cumsum"), _running(m.cumprod, "cumprod")


def _check_order(kind: str, order: Any, kinds: tuple[str, ...]) -> None:
    if kind not in kinds:
        raise ValueError(f"kind={kind!r} is not supported: it is one of {kinds}")
    if order is not None:
        raise ValueError("The order argument is not supported: tensors have no fields")


def sort(a: Any, axis: int | None = -1, kind: str = "quicksort", order: Any = None) -> Any:
    """As `numpy.sort`."""
    _check_order(kind, order, ("quicksort",))
    x = array(a)
    return arrays.sort(arrays.reshape(x, [-1]) if axis is None else x, -1 if axis is None else axis)


def argsort(a: Any, axis: int | None = -1, kind: str = "quicksort", order: Any = None) -> Any:
    """As `numpy.argsort`."""
    _check_order(kind, order, ("quicksort", "stable"))
    x = array(a)
    x = arrays.reshape(x, [-1]) if axis is None else x
    order_ = arrays.argsort(x, -1 if axis is None else axis, stable=kind == "stable")
    return cast(order_, dt.int64)


def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """As `numpy.diff`."""
    x = array(a)
    at = axis % x.shape.rank
    for _ in range(n):
        ahead = x[(slice(None),) * at + (slice(1, None),)]
        behind = x[(slice(None),) * at + (slice(None, -1),)]
        x = m.not_equal(ahead, behind) if x.dtype is dt.bool else ahead - behind
    return x


def allclose(
    a: Any, b: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Any:
    """As `numpy.allclose`."""
    return m.reduce_all(isclose(a, b, rtol, atol, equal_nan))


def array_equal(a1: Any, a2: Any) -> Any:
    """As `numpy.array_equal`."""
    x, y = promoted(a1, a2)
    if x.shape.as_list() != y.shape.as_list():
        return arrays.zeros([], dt.bool)
    return m.reduce_all(m.equal(x, y))


def nonzero(a: Any) -> list[Any]:
    """As `numpy.nonzero`."""
    x = array(a)
    return arrays.unstack(arrays.where(cast(x, dt.bool)), x.shape.rank, axis=1)

"""Comparison, logic, bits, and tests for special numbers: elementwise, mostly to bool."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape import dtypes as dt
from shardtape.ops import samples
from shardtape.ops.constants import DATA
from shardtape.ops.registry import ufunc_op
from shardtape.tensor import Tensor

_PAIRS = samples.normal([(2, 3), (2, 3)], [(2, 3), (3,)], [(2, 1), ()])


def _half_equal(rng: np.random.Generator) -> Any:
    x = rng.normal(size=(2, 3))
    return [((x, np.where(rng.random((2, 3)) > 0.5, x, x + 1)), {}), ((x, x[:, :1]), {})]


def _order(type_name: str, function: str) -> Any:
    return ufunc_op(
        type_name, function, 2, dtypes=dt.REAL, dtype=dt.bool, widen=False,
        differentiable=False, samples=_half_equal,
    )  # fmt: skip


@_order("Less", "less")
def less(x, y):
    """x < y."""


@_order("LessEqual", "less_equal")
def less_equal(x, y):
    """x <= y."""


@_order("Greater", "greater")
def greater(x, y):
    """x > y."""


@_order("GreaterEqual", "greater_equal")
def greater_equal(x, y):
    """x >= y."""


def _equality(type_name: str, function: str) -> Any:
    return ufunc_op(
        type_name, function, 2, dtypes=DATA, dtype=dt.bool, widen=False,
        differentiable=False, samples=_half_equal,
    )  # fmt: skip


@_equality("Equal", "equal")
def equal(x, y):
    """x == y."""


@_equality("NotEqual", "not_equal")
def not_equal(x, y):
    """x != y."""


def _logic(type_name: str, function: str, arity: int = 2) -> Any:
    return ufunc_op(
        type_name, function, arity, dtypes=dt.BOOL, dtype=dt.bool, differentiable=False,
        samples=_PAIRS if arity == 2 else samples.normal((2, 3)),
    )  # fmt: skip


@_logic("LogicalAnd", "logical_and")
def logical_and(x, y):
    """x and y, of bools."""


@_logic("LogicalOr", "logical_or")
def logical_or(x, y):
    """x or y, of bools."""


@_logic("LogicalNot", "logical_not", 1)
def logical_not(x):
    """not x, of bools."""


def logical_xor(x: Any, y: Any, name: str = "LogicalXor") -> Tensor:
    """x or y but not both, of bools."""
    return logical_and(logical_or(x, y), logical_not(logical_and(x, y)), name=name)


def _bits(type_name: str, function: str, arity: int = 2) -> Any:
    return ufunc_op(
        type_name, function, arity, dtypes=dt.INTEGER, differentiable=False,
        samples=_PAIRS if arity == 2 else samples.normal((2, 3)),
    )  # fmt: skip


@_bits("BitwiseAnd", "bitwise_and")
def bitwise_and(x, y):
    """x & y, of integers."""


@_bits("BitwiseOr", "bitwise_or")
def bitwise_or(x, y):
    """x | y, of integers."""


@_bits("BitwiseXor", "bitwise_xor")
def bitwise_xor(x, y):
    """x ^ y, of integers."""


@_bits("Invert", "invert", 1)
def invert(x):
    """All bits flipped, of integers."""


_SHIFTS = samples.uniform(0.5, 2.5, [(2, 3), (2, 3)], [(2, 3), ()])


@ufunc_op("LeftShift", "left_shift", 2, dtypes=dt.INTEGER, differentiable=False, samples=_SHIFTS)
def left_shift(x, y):
    """x << y, of integers."""


@ufunc_op("RightShift", "right_shift", 2, dtypes=dt.INTEGER, differentiable=False, samples=_SHIFTS)
def right_shift(x, y):
    """x >> y, of integers; the sign is kept."""


def _special(type_name: str, function: str) -> Any:
    def cases(rng: np.random.Generator) -> Any:
        return [((np.array([1.5, np.nan, np.inf, -np.inf, 0.0]),), {})]

    return ufunc_op(
        type_name, function, 1, dtypes=dt.FLOATING, dtype=dt.bool, differentiable=False,
        samples=cases,
    )  # fmt: skip


@_special("IsNan", "isnan")
def is_nan(x):
    """Whether elements are no number."""


@_special("IsInf", "isinf")
def is_inf(x):
    """Whether elements are infinite."""


@_special("IsFinite", "isfinite")
def is_finite(x):
    """Whether elements are neither infinite nor no number."""

"""Keras's default floating dtype and its small constant."""

from __future__ import annotations

_floatx = "float32"
_epsilon = 1e-7


def floatx() -> str:
    """The default floating dtype's name."""
    return _floatx


def set_floatx(value: str) -> None:
    """Sets it. Raises ValueError for another name than float16, bfloat16, float32, float64."""
    global _floatx
    allowed = ("float16", "bfloat16", "float32", "float64")
    if value not in allowed:
        raise ValueError(f"Unknown `floatx` value: {value}. Expected one of {allowed}")
    _floatx = value


def epsilon() -> float:
    """What Keras adds where a division by zero threatens."""
    return _epsilon


def set_epsilon(value: float) -> None:
    """Sets it."""
    global _epsilon
    _epsilon = float(value)

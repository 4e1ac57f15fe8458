"""Keras's default floating dtype and its small constant."""

from __future__ import annotations

_settings = {"floatx": "float32", "epsilon": 1e-7}


def floatx() -> str:
    """The default floating dtype's name."""
    return str(_settings["floatx"])


def set_floatx(value: str) -> None:
    """Sets it. Raises ValueError for another name than float16, bfloat16, float32, float64."""
    allowed = ("float16", "bfloat16", "float32", "float64")
    if value not in allowed:
        raise ValueError(f"Unknown `floatx` value: {value}. Expected one of {allowed}")
    _settings["floatx"] = value


def epsilon() -> float:
    """What Keras adds where a division by zero threatens."""
    return float(_settings["epsilon"])


def set_epsilon(value: float) -> None:
    """Sets it."""
    _settings["epsilon"] = float(value)

"""`tf.config.optimizer`: options of graph rewriting.

Plans are always pruned, folded and merged; the options are kept and given back.
"""

from __future__ import annotations

from typing import Any

__all__ = ["get_experimental_options", "get_jit", "set_experimental_options", "set_jit"]

_options: dict[str, Any] = {}
_jit = ""


def set_experimental_options(options: dict[str, Any]) -> None:
    """Adds to the options."""
    _options.update(options)


def get_experimental_options() -> dict[str, Any]:
    return dict(_options)


def set_jit(enabled: bool | str) -> None:
    """Accepted for programs that ask for it: `tf.function` compiles its plans by itself."""
    global _jit
    _jit = "autoclustering" if enabled is True else enabled or ""


def get_jit() -> str:
    return _jit

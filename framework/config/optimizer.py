"""`tf.config.optimizer`: options of graph rewriting.

Plans are always pruned, folded and merged; the options are kept and given back.
"""

from __future__ import annotations

from typing import Any

__all__ = ["get_experimental_options", "get_jit", "set_experimental_options", "set_jit"]

# in the order in which they are given back
_NAMES = (
    "layout_optimizer", "constant_folding", "shape_optimization", "remapping",
    "arithmetic_optimization", "dependency_optimization", "loop_optimization",
    "function_optimization", "debug_stripper", "disable_model_pruning",
    "scoped_allocator_optimization", "pin_to_host_optimization", "implementation_selector",
    "auto_mixed_precision", "use_plugin_optimizers", "disable_meta_optimizer",
    "auto_mixed_precision_onednn_bfloat16", "auto_mixed_precision_mkl", "min_graph_nodes",
)  # fmt: skip
_options: dict[str, Any] = {"disable_model_pruning": False, "disable_meta_optimizer": False}
_jit = ""


def set_experimental_options(options: dict[str, Any]) -> None:
    """Adds to the options; what is no option is left out."""
    _options.update((name, value) for name, value in options.items() if name in _NAMES)


def get_experimental_options() -> dict[str, Any]:
    """The options that were set, and the two switches that always have a value."""
    return {name: _options[name] for name in _NAMES if name in _options}


def set_jit(enabled: bool | str) -> None:
    """Accepted for programs that ask for it: `tf.function` compiles its plans by itself."""
    global _jit
    _jit = "autoclustering" if enabled is True else enabled or ""


def get_jit() -> str:
    return _jit

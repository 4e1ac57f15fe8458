"""`tf.compat.v1`: the logging and the checkpoints that programs of TensorFlow 2 still call.

Other names raise an AttributeError that says what to write instead.
"""

from __future__ import annotations

import difflib
from typing import Any

from shardtape.compat.v1 import logging, train
from shardtape.context import executing_eagerly

__all__ = ["enable_eager_execution", "enable_v2_behavior", "executing_eagerly", "logging", "train"]

_SESSION = "call a tf.function, which runs a graph"
# What to write for names that have no namesake here.
_INSTEAD = {
    "ConfigProto": "use tf.config", "GPUOptions": "use tf.config", "GraphDef": "use tf.function",
    "disable_eager_execution": "graphs are made by tf.function",
    "disable_v2_behavior": "write the TF2 form",
    "disable_v2_tensorshape": "sizes of shapes are ints or None",
    "set_random_seed": "use tf.random.set_seed", "to_float": "use tf.cast(x, tf.float32)",
    "to_double": "use tf.cast(x, tf.float64)", "to_int32": "use tf.cast(x, tf.int32)",
    "to_int64": "use tf.cast(x, tf.int64)", "random_uniform": "use tf.random.uniform",
    "random_normal": "use tf.random.normal", "global_variables": "use the `variables` of a module",
    "trainable_variables": "use the `trainable_variables` of a module",
    "assign": "use the method `assign` of a Variable",
    "assign_add": "use the method `assign_add` of a Variable",
    "assign_sub": "use the method `assign_sub` of a Variable",
    "wrap_function": "use tf.function", "get_collection": "keep a list", "GraphKeys": "keep a list",
    "get_seed": "use tf.random.get_global_generator", "session": _SESSION,
}  # fmt: skip


def enable_eager_execution(
    config: Any = None, device_policy: Any = None, execution_mode: Any = None
) -> None:
    """Nothing: execution is eager from the start."""


def enable_v2_behavior() -> None:
    """Nothing: there is no other behaviour."""


def __getattr__(name: str) -> Any:
    path = f"tf.compat.v1.{name}"
    if name.startswith("__"):
        raise AttributeError(f"module 'tf.compat.v1' has no attribute '{name}'")
    near = difflib.get_close_matches(name, __all__, 1, cutoff=0.8)
    if near and name not in _INSTEAD:
        raise AttributeError(
            f"module 'tf.compat.v1' has no attribute '{name}'; the nearest name is '{near[0]}'"
        )
    raise AttributeError(f"{path} is not part of this framework yet; {_instead(name)}")


def _instead(name: str) -> str:
    import shardtape
    from shardtape.absent import reason_for

    reason = _INSTEAD.get(name) or reason_for(f"tf.{name}")
    if reason:
        return reason
    if name in vars(shardtape):
        return f"there is tf.{name}"
    return "write the TF2 form: tf.function for graphs, tf.keras for layers and optimizers"

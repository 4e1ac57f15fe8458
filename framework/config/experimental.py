"""`tf.config.experimental`."""

from shardtape.backend.random import require_seeds as enable_op_determinism
from shardtape.devices import (
    get_visible_devices,
    list_logical_devices,
    list_physical_devices,
    set_memory_growth,
    set_visible_devices,
)

__all__ = [
    "enable_op_determinism",
    "get_visible_devices",
    "list_logical_devices",
    "list_physical_devices",
    "set_memory_growth",
    "set_visible_devices",
]

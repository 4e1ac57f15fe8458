"""`tf.config.experimental`."""

from shardtape.backend.random import require_seeds as enable_op_determinism
from shardtape.devices import LogicalDeviceConfiguration as VirtualDeviceConfiguration
from shardtape.devices import get_logical_device_configuration as get_virtual_device_configuration
from shardtape.devices import (
    get_visible_devices,
    list_logical_devices,
    list_physical_devices,
    set_memory_growth,
    set_visible_devices,
)
from shardtape.devices import set_logical_device_configuration as set_virtual_device_configuration

__all__ = [
    "VirtualDeviceConfiguration",
    "enable_op_determinism",
    "get_virtual_device_configuration",
    "get_visible_devices",
    "list_logical_devices",
    "list_physical_devices",
    "set_memory_growth",
    "set_virtual_device_configuration",
    "set_visible_devices",
]

"""`tf.config.experimental`."""

from typing import Any as _Any

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

_tensor_float_32 = True
_synchronous = True


def get_memory_growth(device: _Any) -> bool | None:
    """Whether `set_memory_growth` was called for a device; cupy's pool always grows by need."""
    from shardtape.devices import memory_growth_of

    return memory_growth_of(device)


def get_device_details(device: _Any) -> dict[str, _Any]:
    """What is known of a physical device: of a GPU `device_name` and `compute_capability`."""
    if device.device_type != "GPU":
        return {}
    import cupy

    number = int(device.name.rsplit(":", 1)[-1])
    found = cupy.cuda.runtime.getDeviceProperties(number)
    return {
        "device_name": found["name"].decode(),
        "compute_capability": (found["major"], found["minor"]),
    }


def get_memory_info(device: str) -> dict[str, int]:
    """Bytes that tensors hold on a GPU: `current` and `peak`. Raises ValueError for a CPU."""
    from shardtape.devices import canonical_name

    name = canonical_name(device)
    if "GPU" not in name:
        raise ValueError(f"No allocator statistics for device '{device}'")
    import cupy

    pool = cupy.get_default_memory_pool()
    return {"current": pool.used_bytes(), "peak": pool.total_bytes()}


def enable_tensor_float_32_execution(enabled: bool) -> None:
    """Accepted for programs that ask for it; kernels compute in the dtype that they are given."""
    global _tensor_float_32
    _tensor_float_32 = bool(enabled)


def tensor_float_32_execution_enabled() -> bool:
    return _tensor_float_32


def set_synchronous_execution(enable: bool) -> None:
    """Accepted for programs that ask for it; ops run one after the other."""
    global _synchronous
    _synchronous = bool(enable)


def get_synchronous_execution() -> bool:
    return _synchronous


_POLICIES = ("default", "explicit", "silent", "silent_for_int32", "warn")
_policy = "silent"


def get_device_policy() -> str:
    """How copies between devices are met: "silent"."""
    return _policy


def set_device_policy(device_policy: str | None) -> None:
    """Accepted for programs that ask for it: copies are made where an op needs them.

    Raises ValueError for a word that is no policy.
    """
    global _policy
    if device_policy is not None and device_policy not in _POLICIES:
        raise ValueError(f"Not a valid device policy: {device_policy!r}")
    _policy = "silent" if device_policy in (None, "default") else device_policy


def get_memory_usage(device: str) -> int:
    """Bytes that tensors hold on a GPU. Raises ValueError for a CPU."""
    return get_memory_info(device)["current"]


__all__ = [
    "get_device_policy",
    "get_memory_usage",
    "set_device_policy",
    "enable_tensor_float_32_execution",
    "get_device_details",
    "get_memory_growth",
    "get_memory_info",
    "get_synchronous_execution",
    "set_synchronous_execution",
    "tensor_float_32_execution_enabled",
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

"""Device names, `tf.device`, and the devices of this process.

A device name has parts, each of which may be left open: "/job:ps/replica:0/task:1/device:GPU:0".
Inner `tf.device` blocks fill in or replace parts of outer ones.
"""

from __future__ import annotations

import glob
import importlib.util
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from shardtape import backend, errors
from shardtape.context import state

_TYPES = frozenset({"CPU", "GPU", "TPU", "CUSTOM"})


@dataclass(frozen=True)
class DeviceSpec:
    """A device name, whole or in parts; parts that are None are open.

    Args:
      job: name of the job.
      replica, task: numbers.
      device_type: "CPU" or "GPU".
      device_index: number of the device of that type in its task.
    """

    job: str | None = None
    replica: int | None = None
    task: int | None = None
    device_type: str | None = None
    device_index: int | None = None

    def __post_init__(self) -> None:
        if self.device_type is not None:
            object.__setattr__(self, "device_type", self.device_type.upper())
        for name in ("replica", "task", "device_index"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, int(value))

    @classmethod
    def from_string(cls, spec: str) -> DeviceSpec:
        """Parses a name; "/GPU:0", "gpu:0" and "/device:GPU:0" are the same.

        Raises ValueError naming the part that is no part of a device name.
        """
        parts: dict[str, Any] = {}
        for part in spec.split("/"):
            words = part.split(":")
            kind = words[0]
            if not part:
                continue
            if len(words) == 2 and kind == "job" and words[1]:
                parts["job"] = words[1]
            elif len(words) == 2 and kind in ("replica", "task") and words[1]:
                parts[kind] = int(words[1])
            elif kind == "device" and len(words) == 3:
                _set_device(parts, words[1:], spec)
            elif kind.upper() in _TYPES and len(words) <= 2:
                _set_device(parts, words, spec)
            else:
                raise ValueError(
                    f"Unknown attribute '{kind}' is encountered while parsing the device spec: "
                    f"'{spec}'."
                )
        return cls(**parts)

    def to_string(self) -> str:
        """The name; an open index is written `*`."""
        text = ""
        for name in ("job", "replica", "task"):
            value = getattr(self, name)
            if value is not None:
                text += f"/{name}:{value}"
        if self.device_type is not None:
            index = "*" if self.device_index is None else self.device_index
            text += f"/device:{self.device_type}:{index}"
        return text

    def make_merged_spec(self, dev: DeviceSpec) -> DeviceSpec:
        """This name with the parts that `dev` states."""
        stated = {name: value for name, value in vars(dev).items() if value is not None}
        return replace(self, **stated)

    def parse_from_string(self, spec: str) -> DeviceSpec:
        """`from_string`; this name stays as it is."""
        return type(self).from_string(spec)

    def replace(self, **parts: Any) -> DeviceSpec:
        """This name with other parts."""
        return replace(self, **parts)

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"<DeviceSpec({parts})>"

    __str__ = __repr__


def _set_device(parts: dict[str, Any], words: list[str], spec: str) -> None:
    if "device_type" in parts:
        raise ValueError(
            f"Multiple device types are not allowed while parsing the device spec: {spec}."
        )
    parts["device_type"] = words[0].upper()
    if len(words) == 2 and words[1] != "*":
        parts["device_index"] = int(words[1])


_LOCAL = DeviceSpec("localhost", 0, 0, "CPU", 0)


def canonical_name(device: Any) -> str:
    """The whole name of a device of this process.

    `canonical_name("gpu:0")` is "/job:localhost/replica:0/task:0/device:GPU:0".
    """
    return _LOCAL.make_merged_spec(_as_spec(device)).to_string()


def _as_spec(device: Any) -> DeviceSpec:
    if isinstance(device, DeviceSpec):
        return device
    device = getattr(device, "name", device)  # of a LogicalDevice
    if callable(device):
        raise RuntimeError("tf.device does not support functions.")
    return DeviceSpec.from_string(str(device))


class device:
    """Block whose ops run (in a graph: are placed) on a device: `with tf.device("/GPU:0"):`.

    Without a GPU an op that asks for one runs on the CPU, unless
    `tf.config.set_soft_device_placement(False)` was called. None leaves outer blocks.

    Args:
      device_name: a name, whole or in part, a DeviceSpec, or None.

    Raises:
      ValueError: text that is no device name.
      InvalidArgumentError: in eager mode, a device of another process; without soft placement, a
        device that does not exist.
    """

    def __init__(self, device_name: Any) -> None:
        self._spec = None if device_name is None else _as_spec(device_name)

    def __enter__(self) -> None:
        self._outer = state.device
        if self._spec is None:
            state.device = None
            return
        merged = DeviceSpec.from_string(self._outer or "").make_merged_spec(self._spec)
        if state.graph is None:
            _check_is_here(merged)
        if merged.device_type == "GPU" and gpu_count():
            backend.require_accelerator()
        state.device = merged.to_string() or None

    def __exit__(self, *exc: Any) -> None:
        state.device = self._outer


def _check_is_here(spec: DeviceSpec) -> None:
    name = _LOCAL.make_merged_spec(spec).to_string()
    there = spec.job not in (None, "localhost") or spec.task not in (None, 0)
    missing = spec.device_type == "GPU" and (spec.device_index or 0) >= gpu_count()
    if there or (missing and not _soft_placement):
        raise errors.InvalidArgumentError(f"{name} unknown device.")


# ---- tf.config --------------------------------------------------------------------------------
class PhysicalDevice(NamedTuple):
    """A device that the hardware has."""

    name: str
    device_type: str


class LogicalDevice(NamedTuple):
    """A device that ops can be placed on."""

    name: str
    device_type: str


class LogicalDeviceConfiguration(NamedTuple):
    """One of the logical devices of a physical one.

    Fields:
      memory_limit: of a GPU, MiB; it is not enforced.
    """

    memory_limit: int | None = None
    experimental_priority: int | None = None
    experimental_device_ordinal: int | None = None


_soft_placement = True
_logical: dict[PhysicalDevice, list[LogicalDeviceConfiguration]] = {}
_visible: dict[str, list[PhysicalDevice]] = {}


def gpu_count() -> int:
    """GPUs that cupy can use. cupy is imported only where a GPU driver is seen."""
    accelerator = backend.current_accelerator()
    if accelerator is not None and not hasattr(accelerator.xp, "cuda"):
        return 1  # another accelerator stands in for the GPU
    if not glob.glob("/dev/nvidia[0-9]*") and not glob.glob("/dev/dxg"):
        return 0
    if importlib.util.find_spec("cupy") is None:
        return 0
    import cupy

    try:
        return cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError:
        return 0


def list_physical_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The devices of this host: one CPU, and its GPUs."""
    found = [PhysicalDevice("/physical_device:CPU:0", "CPU")]
    if device_type in (None, "GPU"):
        found += [PhysicalDevice(f"/physical_device:GPU:{i}", "GPU") for i in range(gpu_count())]
    return [d for d in found if device_type in (None, d.device_type)]


def get_visible_devices(device_type: str | None = None) -> list[PhysicalDevice]:
    """The physical devices that are in use."""
    kinds = ("CPU", "GPU") if device_type is None else (device_type,)
    return [d for kind in kinds for d in _visible.get(kind, list_physical_devices(kind))]


def set_visible_devices(devices: Any, device_type: str | None = None) -> None:
    """Restricts what `list_logical_devices` shows; one device, a list, or an empty list.

    Raises ValueError for a device that does not exist or is of another type.
    """
    wanted = [devices] if isinstance(devices, PhysicalDevice) else list(devices or ())
    for d in wanted:
        if d not in list_physical_devices():
            raise ValueError(f"Unrecognized device: {d!r}")
        if device_type not in (None, d.device_type):
            raise ValueError(f"Device {d!r} is no {device_type}")
    for kind in ("CPU", "GPU") if device_type is None else (device_type,):
        _visible[kind] = [d for d in wanted if d.device_type == kind]


def list_logical_devices(device_type: str | None = None) -> list[LogicalDevice]:
    """The devices that ops can be placed on."""
    counts: dict[str, int] = {}
    found = []
    for d in get_visible_devices(device_type):
        for _ in range(len(_logical.get(d) or (None,))):
            index = counts.get(d.device_type, 0)
            counts[d.device_type] = index + 1
            found.append(LogicalDevice(f"/device:{d.device_type}:{index}", d.device_type))
    return found


def set_logical_device_configuration(device: PhysicalDevice, logical_devices: Any) -> None:
    """Lets `list_logical_devices` show several devices for one; they all are that one.

    Raises ValueError for a device that does not exist.
    """
    if device not in list_physical_devices():
        raise ValueError(f"Unrecognized device: {device!r}")
    _logical[device] = list(logical_devices or ())


def get_logical_device_configuration(
    device: PhysicalDevice,
) -> list[LogicalDeviceConfiguration] | None:
    """What was set; None where nothing was."""
    if device not in list_physical_devices():
        raise ValueError(f"Unrecognized device: {device!r}")
    return _logical.get(device)


def get_soft_device_placement() -> bool:
    """Whether an op runs on the CPU where the device it asks for does not exist."""
    return _soft_placement


def set_soft_device_placement(enabled: bool) -> None:
    """Sets it."""
    global _soft_placement
    _soft_placement = bool(enabled)


def set_memory_growth(device: PhysicalDevice, enable: bool) -> None:
    """Accepted for programs that ask for it: cupy's memory pool always grows by need."""
    if device not in list_physical_devices():
        raise ValueError(f"Unrecognized device: {device!r}")
    _memory_growth[device.name] = bool(enable)


_memory_growth: dict[str, bool] = {}


def memory_growth_of(device: PhysicalDevice) -> bool | None:
    """What `set_memory_growth` was told of a device; None where it was not called."""
    if device not in list_physical_devices():
        raise ValueError(f"Unrecognized device: {device!r}")
    return _memory_growth.get(device.name)

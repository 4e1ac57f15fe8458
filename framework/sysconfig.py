"""`tf.sysconfig`: how this framework was built; it has no compiled code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from shardtape.devices import list_physical_devices

CXX11_ABI_FLAG = 1
CXX_VERSION = 0
MONOLITHIC_BUILD = 0

__all__ = [
    "CXX11_ABI_FLAG",
    "CXX_VERSION",
    "MONOLITHIC_BUILD",
    "get_build_info",
    "get_compile_flags",
    "get_include",
    "get_lib",
    "get_link_flags",
]


def get_build_info() -> dict[str, Any]:
    """`is_cuda_build` and its like."""
    cuda = bool(list_physical_devices("GPU"))
    return {
        "is_cuda_build": cuda, "is_rocm_build": False, "is_tensorrt_build": False,
        "cpu_compiler": "", "msvcp_dll_names": "",
    }  # fmt: skip


def get_include() -> str:
    """The folder of the package: there are no headers."""
    return get_lib()


def get_lib() -> str:
    """The folder of the package."""
    return str(Path(__file__).parent)


def get_compile_flags() -> list[str]:
    """No flags: there is nothing to compile against."""
    return []


def get_link_flags() -> list[str]:
    """No flags: there is nothing to link against."""
    return []

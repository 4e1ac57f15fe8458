"""Array modules: numpy on the host, cupy on a GPU.

cupy is imported only when a GPU is asked for (`require_accelerator`); until then everything here
is numpy and one boolean. Tests put another accelerator in cupy's place with `using_accelerator`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from shardtape.backend.environment import apply_to_this_process

apply_to_this_process()  # before numpy, which chooses its BLAS kernel while it is loaded

import numpy as np  # noqa: E402

from shardtape import errors  # noqa: E402
from shardtape.context import state  # noqa: E402

# True once a GPU is in use; the eager path looks at nothing else.
accelerated = False


class Accelerator(NamedTuple):
    """What the framework needs to know of a device that is not the host."""

    xp: Any  # array module with numpy's functions
    array_type: type
    put: Callable[[np.ndarray], Any]  # host array to device array
    get: Callable[[Any], np.ndarray]  # device array to host array


_accelerator: Accelerator | None = None


def _cupy_accelerator(cupy: Any) -> Accelerator:
    return Accelerator(cupy, cupy.ndarray, cupy.asarray, cupy.asnumpy)


def require_accelerator() -> Accelerator:
    """The GPU's array module, imported on first use.

    Raises FailedPreconditionError where cupy or a GPU is missing.
    """
    global _accelerator, accelerated
    if _accelerator is None:
        try:
            import cupy

            count = cupy.cuda.runtime.getDeviceCount()
        except ImportError as error:
            raise errors.FailedPreconditionError(
                "A GPU was asked for, but cupy is not installed: pip install 'shardtape[gpu]'"
            ) from error
        except RuntimeError as error:  # cupy's CUDARuntimeError: no driver
            raise errors.FailedPreconditionError(
                f"A GPU was asked for, but CUDA does not start here: {error}"
            ) from error
        if not count:
            raise errors.FailedPreconditionError("A GPU was asked for, but CUDA finds none here.")
        _accelerator = _cupy_accelerator(cupy)
    accelerated = True
    return _accelerator


def current_accelerator() -> Accelerator | None:
    """What stands for the GPU in this process, if one is in use."""
    return _accelerator


@contextlib.contextmanager
def using_accelerator(accelerator: Accelerator | None) -> Iterator[None]:
    """Puts `accelerator` in the GPU's place inside the block, for the whole process."""
    global _accelerator, accelerated
    outer = _accelerator, accelerated
    _accelerator, accelerated = accelerator, accelerator is not None
    try:
        yield
    finally:
        _accelerator, accelerated = outer


def together(*arrays: Any) -> tuple[Any, list[Any]]:
    """The module of the arrays, and all of them on its side: on the GPU if one of them is."""
    xp = np if state.on_host else array_module(*arrays)
    return xp, [to_host(a) if xp is np else to_device(a) for a in arrays]


def is_host(array: Any) -> bool:
    """True for numpy arrays and scalars (and Python numbers)."""
    return not is_device(array)


def is_device(array: Any) -> bool:
    """True for arrays that lie on a GPU."""
    if _accelerator is not None:
        return isinstance(array, _accelerator.array_type)
    cupy = sys.modules.get("cupy")  # arrays that the user made with cupy himself
    return cupy is not None and isinstance(array, cupy.ndarray)


def array_module(*arrays: Any) -> Any:
    """The module of the arrays: cupy if one of them lies on a GPU, else numpy."""
    for array in arrays:
        if type(array) is not np.ndarray and is_device(array):
            return require_accelerator().xp
    return np


def op_module(*arrays: Any) -> Any:
    """The module in which an op on `arrays` runs: that of `tf.device`, else that of the arrays.

    Strings have no place on a GPU and keep an op on the host.
    """
    wanted = state.device
    if wanted is None:
        return array_module(*arrays)
    if "GPU" in wanted and not any(a.dtype.kind == "O" for a in arrays):
        return require_accelerator().xp
    return np


def to_device(array: Any) -> Any:
    """The array on the GPU; strings, and arrays that are there, come back as they are."""
    if is_device(array) or np.asarray(array).dtype.kind == "O":
        return array
    return require_accelerator().put(array)


def to_host(array: Any) -> Any:
    """The array as a numpy array; host arrays come back as they are."""
    if is_device(array):
        return require_accelerator().get(array)
    return array

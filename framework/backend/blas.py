"""`y += a * x` in one pass over memory, by the OpenBLAS that numpy has loaded.

numpy takes two passes and an array between them: 401,408 float32 out of the cache take it 60 us,
`axpy` takes 30 (AMD Zen 5). The function is called by its address because numpy hands out none of
BLAS's own; where numpy was built with another library, or without one, callers keep numpy's way.
Where the CPU has a fused multiply-add a result is rounded once and not twice.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from shardtape.logger import get_logger

# Below this the call costs more than the pass that it spares.
_LEAST_ELEMENTS = 1 << 14
_KINDS = {"f": ("s", ctypes.c_float), "d": ("d", ctypes.c_double)}
# numpy's wheels name OpenBLAS's functions so; the others are those of systems' own builds
_NAMES = ("scipy_cblas_{}axpy64_", "scipy_cblas_{}axpy", "cblas_{}axpy64_", "cblas_{}axpy")


def add_scaled(a: float, x: Any, y: Any) -> bool:
    """y += a * x, where that can be done in one pass.

    Args:
      x, y: arrays of one shape, float32 or float64.

    Returns:
      False where nothing was done: small arrays, arrays with gaps, other types, no OpenBLAS.
    """
    if y.size < _LEAST_ELEMENTS or type(y) is not np.ndarray or type(x) is not np.ndarray:
        return False
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    if not (x.flags.c_contiguous and y.flags.c_contiguous and y.flags.writeable):
        return False
    function = _functions().get(y.dtype.char)
    if function is None:
        return False
    function(y.size, a, x.ctypes.data, 1, y.ctypes.data, 1)
    return True


@functools.cache
def _functions() -> dict[str, Callable[..., None]]:
    """`axpy` by the character of its dtype."""
    from threadpoolctl import threadpool_info

    found: dict[str, Callable[..., None]] = {}
    for library in threadpool_info():
        if library.get("internal_api") != "openblas":
            continue
        try:
            opened = ctypes.CDLL(library["filepath"])
        except OSError as error:
            get_logger().debug("%s cannot be opened: %s", library["filepath"], error)
            continue
        for kind, (letter, number) in _KINDS.items():
            for name in _NAMES:
                function = getattr(opened, name.format(letter), None)
                if function is not None and kind not in found:
                    # an integer of 32 bits is passed in the same register
                    function.argtypes = (ctypes.c_int64, number, ctypes.c_void_p, ctypes.c_int64,
                                         ctypes.c_void_p, ctypes.c_int64)  # fmt: skip
                    function.restype = None
                    found[kind] = function
    return found

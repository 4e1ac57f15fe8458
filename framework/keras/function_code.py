"""Python functions in configurations: by name where a name is enough, else their code.

Code is only run from a configuration where the caller has allowed it (`safe_mode=False`).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import marshal
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_PLACES = ("", "nn.", "math.", "image.", "linalg.", "signal.", "strings.", "keras.activations.",
           "keras.backend.", "keras.losses.", "keras.utils.")  # fmt: skip


class _Mode(threading.local):
    allowed = False  # whether code in configurations is run
    python = PYTHON  # the Python that compiled the code, as the file says
    kept = False  # whether configurations hold functions themselves: they stay in this process


_mode = _Mode()


@contextlib.contextmanager
def reading(safe_mode: bool) -> Iterator[None]:
    """Context in which code of configurations is run, or not where `safe_mode`."""
    outer = _mode.allowed, _mode.python
    _mode.allowed, _mode.python = not safe_mode, PYTHON
    try:
        yield
    finally:
        _mode.allowed, _mode.python = outer


def compiled_by(python: str | bytes | None) -> None:
    """Says which Python ("3.11") wrote what is being read; None: nobody knows, take this one."""
    if python is not None:
        _mode.python = python.decode() if isinstance(python, bytes) else str(python)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Context in which configurations hold the functions themselves, for copies at once."""
    outer, _mode.kept = _mode.kept, True
    try:
        yield
    finally:
        _mode.kept = outer


def described(function: Callable[..., Any], owner: str) -> tuple[Any, str, str | None]:
    """(form, kind, module) of a function: kind "function" for a name, "lambda" for code.

    Args:
      owner: what holds it, for the errors.

    Raises NotImplementedError for a callable that has neither a known name nor code.
    """
    from shardtape.keras.saving.registry import get_registered_name, known

    module = getattr(function, "__module__", None)
    if _mode.kept:
        return function, "raw", module
    name = get_registered_name(function)
    if isinstance(name, str) and known(name) is function:
        return name, "function", module
    name = getattr(function, "__name__", "")
    for place in _PLACES:
        if name and _public(place + name) is function:
            return place + name, "function", module
    if not isinstance(function, types.FunctionType):
        raise NotImplementedError(
            f"{owner} holds {function!r}, which is no function with a known name: register it with "
            "`tf.keras.utils.register_keras_serializable`, or call it in a function of your own"
        )
    code = base64.b64encode(marshal.dumps(function.__code__))
    lines = [code[i : i + 76].decode() for i in range(0, len(code), 76)]  # as Keras breaks them
    cells = function.__closure__
    try:
        closure = tuple(c.cell_contents for c in cells) if cells else None
    except ValueError as error:
        raise NotImplementedError(f"{owner}: its function refers to an unset name") from error
    return ("\n".join(lines) + "\n", function.__defaults__, closure), "lambda", module


def function_of(form: Any, kind: str, module: Any, owner: str) -> Any:
    """The function of what `described` (or Keras) gave.

    Raises ValueError for a name that nobody knows, and for code that may not be run, was compiled
    by another Python or is damaged.
    """
    from shardtape.keras.saving.registry import get_custom_objects, known

    if callable(form):
        return form
    if kind == "function" or (kind != "lambda" and isinstance(form, str)):
        found = known(form)
        found = _public(form) if found is None else found
        if not callable(found):
            raise ValueError(
                f"Unknown function '{form}' in {owner}: pass it in `custom_objects`, or register "
                "it with `tf.keras.utils.register_keras_serializable`."
            )
        return found
    if not _mode.allowed:
        raise ValueError(
            f"{owner} holds the code of a Python function, and running code from a file can do "
            "anything. If you trust where it comes from, load it with `safe_mode=False`; or "
            "register the function with `tf.keras.utils.register_keras_serializable` before the "
            "model is saved."
        )
    if _mode.python != PYTHON:
        raise ValueError(
            f"{owner} holds code that Python {_mode.python} compiled, which Python {PYTHON} cannot "
            "run. Build the model by its code and take over its weights with `load_weights`."
        )
    text, defaults, closure = form if isinstance(form, (list, tuple)) else (form, None, None)
    try:
        code = marshal.loads(base64.b64decode(text))
    except (ValueError, TypeError, EOFError, binascii.Error) as error:
        raise ValueError(f"the code of the function in {owner} is damaged: {error}") from error
    cells = tuple(types.CellType(v) for v in closure) if closure else None
    values = None if defaults is None else tuple(defaults)
    names = {**_names_of(module), **get_custom_objects()}
    return types.FunctionType(code, names, code.co_name, values, cells)


def _names_of(module: Any) -> dict[str, Any]:
    """What code that was written in a module sees, as far as the module is there."""
    import numpy

    import shardtape

    return {
        "__builtins__": __builtins__, "tf": shardtape, "keras": shardtape.keras, "np": numpy,
        "K": shardtape.keras.backend, **getattr(sys.modules.get(str(module)), "__dict__", {}),
    }  # fmt: skip


def _public(name: str) -> Any:
    """The function `tf.<name>`; None where there is none."""
    import shardtape

    found: Any = shardtape
    for part in name.split("."):
        found = getattr(found, part, None)
    return found

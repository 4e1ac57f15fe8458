"""Classes and functions of the user's own, by the names that configurations have."""

from __future__ import annotations

import importlib
import inspect
import threading
from collections.abc import Callable
from typing import Any

_registered: dict[str, Any] = {}  # by "package>name"
_names: dict[Any, str] = {}
_imported: dict[str, Any] = {}  # classes that configurations name with their module


class _Scope(threading.local):
    def __init__(self) -> None:
        self.objects: dict[str, Any] = {}


_scope = _Scope()


def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[..., Any]:
    """Decorator: a class or function that configurations may name.

    Raises ValueError for a class without `get_config`, or a name that is taken.
    """

    def register(target: Any) -> Any:
        own = name or target.__name__
        full = f"{package}>{own}"
        if inspect.isclass(target) and not hasattr(target, "get_config"):
            raise ValueError(
                "Cannot register a class that does not have a get_config() method: "
                f"{target.__name__}"
            )
        taken = _registered.get(full)
        if taken is not None and _origin(taken) != _origin(target):
            raise ValueError(f"{full} has already been registered to {taken}")
        _registered[full] = target
        _names[target] = full
        return target

    return register


def _origin(target: Any) -> tuple[str, str]:
    return getattr(target, "__module__", ""), getattr(target, "__qualname__", "")


def get_registered_name(obj: Any) -> str:
    """`package>name` of what was registered, else its own name."""
    return _names.get(obj, getattr(obj, "__name__", str(obj)))


def get_registered_object(
    name: str, custom_objects: dict[str, Any] | None = None, module_objects: Any = None
) -> Any:
    """The class or function of a name, or None."""
    found = known(name, custom_objects)
    return found if found is not None else (module_objects or {}).get(name)


def known(name: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """What `custom_objects`, the scopes around or the register have by a name; None if nothing."""
    for objects in (custom_objects or {}, _scope.objects, _registered, _imported):
        if name in objects:
            return objects[name]
    if not isinstance(name, str):
        return None
    ending = f">{name}"
    return next((v for full, v in _registered.items() if full.endswith(ending)), None)


def imported(module: Any, name: str) -> str | None:
    """The name under which `known` has a class that nobody registered, found in its module.

    As in Keras the module is imported, so that reading a configuration runs its code. None for
    modules that cannot be imported, and for what is no class with a configuration.
    """
    if not isinstance(module, str) or module.split(".")[0] in ("", "builtins", "keras"):
        return None
    full = f"{module}>{name}"
    try:
        found = vars(importlib.import_module(module)).get(name)
    except ImportError:
        return None
    if not inspect.isclass(found) or not (
        hasattr(found, "get_config") and hasattr(found, "from_config")
    ):
        return None
    _imported[full] = found  # each time: a module may be loaded again
    return full


def get_custom_objects() -> dict[str, Any]:
    """The names that all scopes of this thread know; what is put in stays."""
    return _scope.objects


class custom_object_scope:
    """Context in which configurations may name some classes and functions.

    Args: dictionaries of them by name.
    """

    def __init__(self, *objects: dict[str, Any] | None) -> None:
        self._objects = {k: v for given in objects for k, v in (given or {}).items()}

    def __enter__(self) -> custom_object_scope:
        self._outer = _scope.objects
        _scope.objects = {**self._outer, **self._objects}
        return self

    def __exit__(self, *exc: Any) -> None:
        _scope.objects = self._outer


CustomObjectScope = custom_object_scope

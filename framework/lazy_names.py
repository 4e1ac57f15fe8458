"""Names of a namespace whose modules are loaded when one of them is asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shardtape.absent import missing_text


def lazily(
    package: str, path: str, modules: Mapping[str, Iterable[str]], advice: str = ""
) -> Callable[[str], Any]:
    """A `__getattr__` for a package.

    Args:
      package: its full name.
      path: the namespace as users write it, for the error of a name that it does not have.
      modules: the names that a module of the package has; none where the module is the name.
      advice: put behind that error's text.
    """
    homes = {name: module for module, names in modules.items() for name in names}

    def __getattr__(name: str) -> Any:
        holder = sys.modules[package]
        if name in homes:
            found = getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        elif name in modules:
            return importlib.import_module(f"{package}.{name}")
        else:
            known = vars(holder).get("__all__", ())
            raise AttributeError(missing_text(path, name, known) + advice)
        setattr(holder, name, found)
        return found

    return __getattr__

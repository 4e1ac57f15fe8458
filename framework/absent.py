"""Parts of TensorFlow that this framework does not have, and what it says of them."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any

_REASONS = {
    "estimator": "use tf.keras or tf.Trainer",
    "feature_column": "use the layers of tf.keras.layers (Normalization, StringLookup, ...)",
    "dtensor": "use tf.Trainer, which shards Variables over parameter servers",
}


class Absent:
    """Stands for a module that is not part of this framework; asking it for a name says so."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        reason = _REASONS[self._path.rsplit(".", 1)[-1]]
        raise AttributeError(
            f"{self._path}.{name}: {self._path} is not part of this framework; {reason}"
        )

    def __repr__(self) -> str:
        return f"<{self._path}, which is not part of this framework>"


estimator = Absent("tf.estimator")
feature_column = Absent("tf.feature_column")
dtensor = Absent("tf.experimental.dtensor")


def no_such_name(path: str, names: Iterable[str]) -> Callable[[str], Any]:
    """A module's `__getattr__`: AttributeError that says the nearest of the names that are there.

    Args:
      path: the module as users write it, like "tf.data".
    """
    known = sorted(names)

    def missing(name: str) -> Any:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"; the nearest name is '{near[0]}'" if near else ""
        raise AttributeError(f"module '{path}' has no attribute '{name}'{hint}")

    return missing

"""Parts of TensorFlow that this framework does not have, and what it says of them."""

from __future__ import annotations

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

"""`tf.train.experimental.PythonState`: what objects of one's own put into a checkpoint."""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

_KEY = "py_state"


class PythonState(abc.ABC):
    """Base of objects that save themselves as a string in a `tf.train.Checkpoint`.

    Example:
      >>> class Position(tf.train.experimental.PythonState):
      ...     at = 0
      ...     def serialize(self):
      ...         return str(self.at)
      ...     def deserialize(self, string_value):
      ...         self.at = int(string_value)
      >>> checkpoint = tf.train.Checkpoint(position=Position())
    """

    @abc.abstractmethod
    def serialize(self) -> str | bytes:
        """The state as a string; called when a checkpoint is written."""

    @abc.abstractmethod
    def deserialize(self, string_value: bytes) -> None:
        """Takes a state that `serialize` gave, as bytes; called when one is restored."""

    def _serialize_to_tensors(self) -> dict[str, Any]:
        value = self.serialize()
        if not isinstance(value, (str, bytes)):
            raise TypeError(
                f"{type(self).__name__}.serialize must return a string, got {type(value).__name__}"
            )
        return {_KEY: np.array(value.encode() if isinstance(value, str) else value, object)}

    def _restore_from_tensors(self, restored: dict[str, Any]) -> None:
        self.deserialize(bytes(np.asarray(restored[_KEY]).item()))

"""Members and forms of what symbolic tensors stand for: `x.to_tensor()` of a ragged input."""

from __future__ import annotations

from typing import Any

from shardtape.keras.layers.base import Layer
from shardtape.keras.naming import unique_object_name
from shardtape.sparse_tensor import to_dense


class InstanceProperty(Layer):
    """An attribute of its input.

    Args:
      attr_name: of the attribute.
    """

    def __init__(self, attr_name: str, **kwargs: Any) -> None:
        kwargs.setdefault("name", unique_object_name(f"input.{attr_name}"))
        super().__init__(autocast=False, **kwargs)
        self.attr_name = attr_name

    def call(self, obj: Any) -> Any:
        return getattr(obj, self.attr_name)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "attr_name": self.attr_name}


class InstanceMethod(InstanceProperty):
    """A method of its input, called with arguments."""

    def call(self, obj: Any, args: Any = (), kwargs: Any = None) -> Any:  # type: ignore[override]
        return getattr(obj, self.attr_name)(*args, **(kwargs or {}))


class DenseForm(Layer):
    """A sparse input as a tensor: what `tf.keras.backend.to_dense` is between layers."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("name", unique_object_name("tf.keras.backend.to_dense"))
        super().__init__(autocast=False, **kwargs)

    def call(self, inputs: Any) -> Any:
        return to_dense(inputs)

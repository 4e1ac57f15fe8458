"""Members and forms of what symbolic tensors stand for: `x.to_tensor()` of a ragged input."""

from __future__ import annotations

from typing import Any

from shardtape.keras.layers.base import Layer
from shardtape.keras.naming import unique_object_name


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


class BackendCall(Layer):
    """A function of `tf.keras.backend` that was called between layers.

    Args:
      function: its name.
      arguments: those by name beside the first one.
    """

    def __init__(self, function: str, arguments: Any = None, **kwargs: Any) -> None:
        kwargs.setdefault("name", unique_object_name(f"tf.keras.backend.{function}"))
        super().__init__(autocast=False, **kwargs)
        self.function, self.arguments = function, dict(arguments or {})

    def call(self, inputs: Any) -> Any:
        from shardtape.keras import backend_state

        return getattr(backend_state, self.function)(inputs, **self.arguments)

    def get_config(self) -> dict[str, Any]:
        own = {"function": self.function, "arguments": self.arguments}
        return {**super().get_config(), **own}

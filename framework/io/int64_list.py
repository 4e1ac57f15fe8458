"""`tf.train.Int64List`, which takes truth values too."""

from __future__ import annotations

from typing import Any

import numpy as np

from shardtape.protos.example_pb2 import Int64List as Message


class _MessageType(type):
    """A stand-in for a class of messages, which Protocol Buffers let nobody derive from."""

    def __call__(cls, *args: Any, value: Any = (), **kwargs: Any) -> Message:
        # newer Protocol Buffers refuse bool, which programs put into features as 0 or 1
        plain = [int(v) if isinstance(v, (bool, np.bool_)) else v for v in value]
        return Message(*args, value=plain, **kwargs)

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Message)

    def __subclasscheck__(cls, other: type) -> bool:
        return issubclass(other, Message)

    def __getattr__(cls, name: str) -> Any:
        return getattr(Message, name)


class Int64List(metaclass=_MessageType):
    """Integers of a feature; calling it makes a message.

    Args:
      value: integers of 64 bits, or bool.
    """

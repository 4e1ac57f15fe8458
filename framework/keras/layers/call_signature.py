"""What the `call` of a layer's class takes besides the inputs: `training` and `mask`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple


class CallSignature(NamedTuple):
    """What `call` takes, besides self."""

    first: str
    takes_training: bool
    position: int | None  # of `training` among the arguments after the first
    default: Any  # of `training`
    takes_mask: bool
    mask_position: int | None  # of `mask` among the arguments after the first


@functools.lru_cache(maxsize=4096)
def call_signature(call: Callable[..., Any]) -> CallSignature:
    """What a `call` method takes."""
    parameters = list(inspect.signature(call).parameters.values())[1:]
    first = parameters[0].name if parameters else "inputs"
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    position = mask_position = default = None
    for i, p in enumerate(parameters):
        if p.name == "training":
            position, default = i - 1, None if p.default is p.empty else p.default
        elif p.name == "mask":
            mask_position = i - 1
    takes_training = open_ended or position is not None
    takes_mask = open_ended or mask_position is not None
    return CallSignature(first, takes_training, position, default, takes_mask, mask_position)
